// One token on its chain: what it is and who says so, how much of it moves, what moved last.

import { useState } from 'preact/hooks';
import { t, term } from '../store/i18n.js';
import * as number from '../store/number.js';
import { offers } from '../store/offers.js';
import { link } from '../store/route.js';
import { may } from '../store/session.js';
import { tokenOf, volumeOf } from '../store/token-shapes.js';
import * as time from '../store/time.js';
import { Histogram } from '../parts/chart.js';
import { Facts } from '../parts/drawer.js';
import { classes, html, Icon } from '../parts/html.js';
import { LiveControl, useFeed } from '../parts/live.js';
import { Empty, Panel, useResource } from '../parts/panel.js';
import { Address, Age, Copy, Pattern, safe, Time, Usd } from '../parts/values.js';
import { EventDrawer, EventList } from './transactions.js';

export default function Token({ chain, address, chains, query }) {
  const place = `/tokens/${encodeURIComponent(chain)}/${encodeURIComponent(address)}`;
  const found = useResource(place, {}, 30_000);
  const token = found.data && tokenOf(found.data);
  const isNothing = !token && found.problem?.status === 404;
  return html`<div class="page">
    <${Head} chain=${chain} address=${address} token=${token} />
    ${isNothing ? html`<${Empty} title=${t('token.none')} hint=${t('token.none.hint')} />` : html`<div class="with-rail">
      <div class="stack">
        <${Volume} place=${place} range=${query.range ?? '7d'} />
        <${Newest} chain=${chain} address=${address} chains=${chains} query=${query} />
      </div>
      <aside><${Known} resource=${found} token=${token} /></aside>
    </div>`}
  </div>`;
}

/** Whether the list vouches for the name: everybody may call a token USDC. */
function Verified({ token }) {
  if (!token) return null;
  return token.verified
    ? html`<span class="mark tone-good">${t('verified')}</span>`
    : html`<span class="mark tone-warn" title=${t('unverified.why')}>${t('unverified')}</span>`;
}

function Head({ chain, address, token }) {
  return html`<div class="wallet-head">
    <${Pattern} address=${address} size="44" />
    <div>
      <h1>${safe(token?.symbol ?? t('token'), 64)} <${Verified} token=${token} /></h1>
      ${token?.name && html`<p>${safe(token.name)}</p>`}
      <p class="mono break">${safe(address)} <${Copy} text=${address} label=${t('copy.address')} /></p>
      <p class="muted">${safe(chain)}</p>
    </div>
    <span class="actions"><a class="button" href=${link('/transactions', { chain, token: address })}><${Icon} name="transactions" /> ${t('token.transactions')}</a>
      ${may('rules:test') && offers('post /rules/from-filter') && html`<a class="button" href=${link('/rules/new', { chain, token: address })}><${Icon} name="rules" /> ${t('rule.of filter')}</a>`}</span>
  </div>`;
}

function Known({ resource, token }) {
  const items = token ? [
    [t('token.said by'), term('token.by', token.saidBy)],
    [t('token.standard'), token.standard],
    [t('token.decimals'), token.decimals === null ? null : number.count(token.decimals)],
    [t('asset'), token.asset && html`<a href=${`/market?asset=${encodeURIComponent(token.asset)}`}>${safe(token.asset)}</a>`],
    [t('price'), token.price && html`<span class="number" title=${token.price.usd}>${number.price(token.price.usd)}</span> <span class="muted">${safe(token.price.source)} · <${Age} at=${token.price.at} warn=${600} bad=${3600} /></span>`],
    [t('labels'), token.labels.length > 0 && token.labels.map((one) => html`<span class=${classes('mark', one.category === 'sanctioned' && 'tone-bad')} title=${safe(`${one.source} · ${one.confidence} %`)}>${term('tag', safe(one.category))}${one.name && `: ${safe(one.name)}`}</span> `)],
    [t('token.last'), token.last && html`<${Time} at=${token.last} always="age" />`],
    [t('address'), html`<${Address} address=${token.address} quiet=${false} />`],
  ] : [];
  return html`<${Panel} title=${t('facts')} resource=${resource} height=${240}><${Facts} items=${items} /><//>`;
}

function Volume({ place, range }) {
  const seconds = time.seconds(range) ?? 604_800;
  const step = seconds > 604_800 ? 'day' : 'hour';
  const found = useResource(`${place}/volume`, { step, since: `-${range}` }, 60_000);
  const steps = volumeOf(found.data, step, seconds, time.now.value);
  const transfers = steps.reduce((all, one) => all + one.transfers, 0);
  const priced = steps.map((one) => one.usd).filter((one) => one !== null);
  const usd = priced.length > 0 ? number.sum(priced) : null;
  const at = step === 'day' ? time.day : time.short;
  const bars = steps.map((one) => ({
    label: `${at(one.at)}: ${number.count(one.transfers)}${one.usd === null ? '' : ` · ${number.usdShort(one.usd)}`}`,
    parts: [{ tone: 'accent', value: one.transfers }],
  }));
  const label = t('token.volume of', { count: number.count(transfers), range: t(`range.${range}`) });
  return html`<${Panel} title=${t('token.volume')} resource=${found} isEmpty=${transfers === 0} height=${150} empty=${{ title: t('token.quiet'), hint: t('no match.hint') }}>
    <${Histogram} bars=${bars} label=${label} first=${steps.length > 0 && at(steps[0].at)} last=${t('now')}
      middle=${html`<span>${label}${usd !== null && html` · <${Usd} value=${usd} short />`}</span>`} />
  <//>`;
}

function Newest({ chain, address, chains, query }) {
  const [open, setOpen] = useState(null);
  const parameters = { chain, token: address, since: `-${query.range ?? '7d'}`, limit: 50, cursor: query.cursor };
  const filters = query.cursor ? null : { service: 'onchain', chains: [chain], tokens: [address], kinds: ['erc20', 'erc721', 'erc1155'].map((kind) => `transfer.${kind}`) };
  const feed = useFeed({ name: `token ${chain} ${address}`, filters, past: { path: '/transactions', parameters }, most: 50 });
  return html`<section aria-label=${t('token.newest')}>
    <div class="head slim"><h2>${t('token.newest')}</h2><span class="space"></span>${filters && html`<${LiveControl} feed=${feed} />`}</div>
    <${EventList} feed=${feed} chains=${chains} query=${{ range: '7d', ...query }} onOpen=${setOpen} caption=${t('token.newest')} />
    ${open && html`<${EventDrawer} event=${open} chains=${chains} onClose=${() => setOpen(null)} />`}
  </section>`;
}
