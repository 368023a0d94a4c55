// What moved, now or then: a live table with filters that live in the address.

import { useMemo, useState } from 'preact/hooks';
import { clock, language, t, term } from '../store/i18n.js';
import * as number from '../store/number.js';
import { offers } from '../store/offers.js';
import { filter, link } from '../store/route.js';
import { may } from '../store/session.js';
import { Facts, Drawer, Raw } from '../parts/drawer.js';
import { eventColumns, gapText, isLikelySpam, KINDS, Kind, Moved, partiesOf, Watched } from '../parts/events.js';
import { Export } from '../parts/export.js';
import { html, Icon } from '../parts/html.js';
import { Held, LiveControl, useDelayed, useFeed } from '../parts/live.js';
import { Empty, Skeleton, Trouble } from '../parts/panel.js';
import { Pages, Table } from '../parts/table.js';
import { Address, Block, Copy, Finality, Time, tokenPage, Transaction, Usd } from '../parts/values.js';
import { finalityOf } from '../store/shapes.js';

const ADDRESS = /^0x[0-9a-fA-F]{40}$/;
const LIMIT = 100;

/** The parameters of the API that the address asks for. */
export function parametersOf(query) {
  return {
    chain: query.chain,
    kind: query.kind,
    token: ADDRESS.test(query.token ?? '') ? query.token : undefined,
    address: ADDRESS.test(query.address ?? '') ? query.address : undefined,
    direction: query.address && query.direction ? query.direction : undefined,
    min_usd: /^\d+(\.\d+)?$/.test(query.min_usd ?? '') ? query.min_usd : undefined,
    watched: query.watched ? 'true' : undefined,
    verified: query.verified ? 'true' : undefined,
    since: `-${query.range ?? '24h'}`,
    limit: LIMIT,
    cursor: query.cursor,
  };
}

const OF_FILTER = ['kind', 'token', 'address', 'direction', 'min_usd', 'watched', 'verified'];

/** Where this filter becomes a rule; the chain goes along by itself. */
function ruleLink(query) {
  return link('/rules/new', Object.fromEntries(OF_FILTER.map((name) => [name, query[name]])));
}

/** The same filters for the websocket; null where a past page is shown. */
function subscriptionOf(parameters) {
  if (parameters.cursor) return null;
  return {
    service: 'onchain',
    chains: parameters.chain ? [parameters.chain] : undefined,
    kinds: (parameters.kind ? [parameters.kind] : KINDS).map((kind) => `transfer.${kind}`),
    addresses: parameters.address ? [parameters.address] : undefined,
    tokens: parameters.token ? [parameters.token] : undefined,
    min_usd: parameters.min_usd,
    watched: parameters.watched ? true : undefined,
  };
}

export default function Transactions({ chains, query }) {
  const parameters = parametersOf(query);
  const keep = query.verified ? (event) => event.token_verified !== false : undefined;
  const feed = useFeed({ name: 'transactions', filters: subscriptionOf(parameters), past: { path: '/transactions', parameters }, keep });
  const [open, setOpen] = useState(null);
  return html`<div class="page">
    <div class="head"><h1>${t('page.transactions')}</h1>
      <span class="space"></span>
      <${Export} path="/transactions" parameters=${parameters} name="transactions" />
      ${may('rules:test') && offers('post /rules/from-filter') && html`<a class="button" href=${ruleLink(query)}><${Icon} name="rules" /> ${t('rule.of filter')}</a>`}
      ${!query.cursor && html`<${LiveControl} feed=${feed} />`}
    </div>
    <${Filters} query=${query} />
    <${EventList} feed=${feed} chains=${chains} query=${query} onOpen=${setOpen} caption=${t('page.transactions')} />
    ${open && html`<${EventDrawer} event=${open} chains=${chains} onClose=${() => setOpen(null)} />`}
  </div>`;
}

/** A list of events with its states; likely spam is folded. */
export function EventList({ feed, chains, query, onOpen, caption, self }) {
  const question = feed.question.value;
  const { rows } = feed.state.value;
  const columns = useMemo(() => eventColumns({ chains, self }), [self, language.value, clock.value, chains.map((one) => `${one.safe} ${one.final}`).join()]);
  if (!question.data && question.problem) return html`<${Trouble} problem=${question.problem} again=${() => feed.again()} />`;
  if (!question.data) return html`<${Skeleton} height=${520} />`;
  const isShown = (row) => row.gap || query.spam || !isLikelySpam(row.event);
  const shown = rows.filter(isShown);
  const hidden = rows.length - shown.length;
  const early = question.data.warnings?.length > 0;
  return html`
    ${question.problem && html`<${Trouble} problem=${question.problem} again=${() => feed.again()} at=${question.at} />`}
    ${rows.filter((row) => row.gap).map((row) => html`<p class="banner tone-warn" key=${row.key}>${gapText(row.gap)} <button type="button" onClick=${() => feed.again()}>${t('load')}</button></p>`)}
    ${hidden > 0 || query.spam ? html`<p class="fold">${query.spam ? t('spam.shown') : t('spam.hidden', { count: hidden })}
      <button type="button" class="link" onClick=${() => filter({ spam: query.spam ? '' : '1' })}>${query.spam ? t('hide') : t('show')}</button></p>` : null}
    <${Held} feed=${feed}>${shown.length
      ? html`<${Table} caption=${caption} columns=${columns} rows=${shown.filter((row) => row.event)} keyOf=${(row) => row.key}
          rowClass=${(row) => (row.struck ? 'struck' : undefined)} onOpen=${(row) => onOpen(row.event)} />`
      : html`<${Empty} title=${t('no match', { range: t(`range.${query.range ?? '24h'}`) })} hint=${early ? t('scan.ended') : t('no match.hint')}
          action=${html`<button type="button" onClick=${() => filter({ range: '30d', min_usd: '', kind: '', cursor: '' })}>${t('widen')}</button>`} />`}
    <//>
    <${Pages} list=${question.data} isFirst=${!query.cursor} go=${(cursor) => filter({ cursor })} />`;
}

function Filters({ query }) {
  const [isOpen, setOpen] = useState(false);
  const change = (name) => (event) => filter({ [name]: event.target.type === 'checkbox' ? (event.target.checked ? '1' : '') : event.target.value.trim(), cursor: '' });
  const later = useDelayed((name, value) => filter({ [name]: value.trim(), cursor: '' }), 400);
  const typed = (name) => (event) => later(name, event.target.value);
  const used = ['kind', 'token', 'address', 'min_usd', 'watched', 'verified'].filter((name) => query[name]).length;
  const wrong = (name) => (query[name] && !ADDRESS.test(query[name]) ? 'true' : undefined);
  return html`<div class="filters ${isOpen ? 'open' : ''}">
    <button type="button" class="toggle" aria-expanded=${isOpen ? 'true' : 'false'} onClick=${() => setOpen(!isOpen)}><${Icon} name="filter" /> ${t('filters')}${used > 0 && html` <span class="count">${used}</span>`}</button>
    <form onSubmit=${(event) => event.preventDefault()}>
      <label>${t('kind')}<select value=${query.kind ?? ''} onChange=${change('kind')}><option value="">${t('all')}</option>
        ${KINDS.map((kind) => html`<option value=${kind} selected=${query.kind === kind}>${term('kind', `transfer.${kind}`)}</option>`)}</select></label>
      <label>${t('at least')}<input inputmode="decimal" size="9" placeholder="100000" value=${query.min_usd ?? ''} onInput=${typed('min_usd')} aria-label=${t('at least.usd')} /></label>
      <label>${t('address')}<input size="20" placeholder="0x…" value=${query.address ?? ''} onInput=${typed('address')} aria-invalid=${wrong('address')} spellcheck="false" /></label>
      ${query.address && html`<label>${t('direction')}<select value=${query.direction ?? ''} onChange=${change('direction')}>
        <option value="">${t('both')}</option><option value="in">${t('in')}</option><option value="out">${t('out')}</option></select></label>`}
      <label>${t('token')}<input size="20" placeholder="0x…" value=${query.token ?? ''} onInput=${typed('token')} aria-invalid=${wrong('token')} spellcheck="false" /></label>
      <label class="check"><input type="checkbox" checked=${Boolean(query.watched)} onChange=${change('watched')} /> ${t('watched')}</label>
      <label class="check"><input type="checkbox" checked=${Boolean(query.verified)} onChange=${change('verified')} /> ${t('verified only')}</label>
      ${used > 0 && html`<button type="button" class="link" onClick=${() => filter({ kind: '', min_usd: '', address: '', direction: '', token: '', watched: '', verified: '', cursor: '' })}>${t('clear')}</button>`}
    </form>
  </div>`;
}

const isOfToken = (event) => event.kind?.startsWith('transfer.erc') ?? false;

/** One event in full. */
export function EventDrawer({ event, chains, onClose }) {
  const { from, to } = partiesOf(event);
  const title = `${term('kind', event.kind)} · ${event.chain ?? ''}`;
  const whole = html`<a class="button" href=${`/transactions/${event.chain}/${event.tx_hash}?block=${event.block_number}`}>${t('whole transaction')}</a>`;
  return html`<${Drawer} title=${title} onClose=${onClose} actions=${event.tx_hash && whole}>
    <p class="figure"><${Moved} event=${event} /> ${event.usd && html`<span class="muted"><${Usd} value=${event.usd} /></span>`}</p>
    <${Facts} items=${[
      [t('finality'), html`<${Finality} value=${finalityOf(event, chains)} />`],
      [t('from'), html`<${Address} ...${from} quiet=${false} />`],
      [t('to.party'), html`<${Address} ...${to} quiet=${false} />`],
      [t('watched'), event.watched?.length ? html`<${Watched} labels=${event.watched} />` : null],
      [t('token'), event.address && html`<${Address} address=${event.address} label=${event.symbol} quiet=${false} />${isOfToken(event) && html` <a href=${tokenPage(event.chain, event.address)}>${t('token.page')}</a>`}`],
      [t('amount.exact'), event.amount && html`<span class="number">${number.exact(event.amount)}</span> <${Copy} text=${event.amount} />`],
      [t('time'), html`<${Time} at=${event.block_time_us} always="age" />`],
      [t('seen after'), event.observed_at_us && event.block_time_us ? `${number.count(Math.max(0, Math.round((event.observed_at_us - event.block_time_us) / 1000)))} ms` : null],
      [t('block'), html`<${Block} chain=${event.chain} number=${event.block_number} />`],
      [t('transaction'), event.tx_hash && html`<${Transaction} chain=${event.chain} hash=${event.tx_hash} block=${event.block_number} quiet=${false} />`],
      [t('kind'), html`<${Kind} event=${event} />`],
      [t('method'), event.method && html`<code>${event.method}</code>`],
      ['id', html`<code class="break">${event.id}</code>`],
    ]} />
    <${Raw} value=${event} />
  <//>`;
}
