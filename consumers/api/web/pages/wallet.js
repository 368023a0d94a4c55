// One address on all chains: what it holds, what it did, with whom.

import { useState } from 'preact/hooks';
import { t, term } from '../store/i18n.js';
import * as number from '../store/number.js';
import { offers } from '../store/offers.js';
import { filter } from '../store/route.js';
import { may } from '../store/session.js';
import { balancesOf, counterpartiesOf, flowOf, walletsOf } from '../store/shapes.js';
import { Approvals } from '../parts/approvals.js';
import { Meter } from '../parts/chart.js';
import { imitates } from '../parts/events.js';
import { Export } from '../parts/export.js';
import { classes, html, Icon } from '../parts/html.js';
import { LiveControl, useFeed } from '../parts/live.js';
import { Panel, States, useResource } from '../parts/panel.js';
import { Table } from '../parts/table.js';
import { Tell } from '../parts/tell.js';
import { Address, Age, Amount, Copy, Pattern, safe, Time, TokenName, tokenPage, Usd } from '../parts/values.js';
import { mayWatch, Unwatch, Watch } from '../parts/watch.js';
import { EventDrawer, EventList } from './transactions.js';

/** The watch-list is stored a moment after it changed. */
const STORED_MS = 1500;
const TABS = ['activity', 'counterparties', 'flow', 'approvals'];

export default function Wallet({ address, chains, query }) {
  const wallet = useResource(`/wallets/${address}`, {}, 60_000);
  const facts = wallet.data && { ...walletsOf({ items: wallet.data.entries })[0], isWatched: wallet.data.watched, said: wallet.data.labels ?? [] };
  const tabs = TABS.filter((one) => one !== 'approvals' || offers('get /wallets/{address}/approvals'));
  const tab = tabs.includes(query.tab) ? query.tab : 'activity';
  return html`<div class="page">
    <${Head} address=${address} facts=${facts} chains=${chains} again=${() => setTimeout(wallet.again, STORED_MS)} />
    <div class="with-rail">
      <div>
        <div class="tabs" role="tablist" aria-label=${t('parts of wallet')}>${tabs.map((one) => html`<button type="button" role="tab" id=${`tab-${one}`} aria-selected=${one === tab ? 'true' : 'false'} aria-controls="tab-panel" onClick=${() => filter({ tab: one === 'activity' ? '' : one })}>${t(`tab.${one}`)}</button>`)}</div>
        <div role="tabpanel" id="tab-panel" aria-labelledby=${`tab-${tab}`}>
          ${tab === 'activity' && html`<${Activity} address=${address} chains=${chains} query=${query} />`}
          ${tab === 'counterparties' && html`<${Counterparties} address=${address} query=${query} />`}
          ${tab === 'flow' && html`<${Flow} address=${address} query=${query} />`}
          ${tab === 'approvals' && html`<${Approvals} address=${address} query=${query} />`}
        </div>
      </div>
      <aside><${Balances} address=${address} /></aside>
    </div>
  </div>`;
}

function Head({ address, facts, chains, again }) {
  const [isAdding, setAdding] = useState(false);
  const done = () => {
    setAdding(false);
    again();
  };
  const said = (facts?.said ?? []).filter((one) => one.name);
  return html`<div class="wallet-head">
    <${Pattern} address=${address} size="44" />
    <div>
      <h1>${safe(facts?.label ?? said[0]?.name ?? t('wallet'))} ${(facts?.tags ?? []).map((tag) => html`<span class="mark">${term('tag', safe(tag))}</span> `)}</h1>
      <p class="mono break">${address} <${Copy} text=${address} label=${t('copy.address')} /></p>
      <p class="muted">${facts?.isWatched ? html`${t('watched since')} <${Time} at=${facts.since} />` : facts ? t('not watched') : ''}
        ${facts?.group && html` · ${t('group')} ${safe(facts.group)}`}</p>
      ${facts?.said.length > 0 && html`<p>${facts.said.map((one) => html`<span class=${classes('mark', one.category === 'sanctioned' && 'tone-bad')} title=${`${one.source} · ${one.confidence} %`}>${term('tag', safe(one.category))}${one.name && `: ${safe(one.name)}`}</span> `)}</p>`}
    </div>
    <span class="actions">${offers('get /graph') && html`<a class="button" href=${`/graph?address=${address}`}><${Icon} name="graph" /> ${t('page.graph')}</a>`}${may('rules:test') && offers('post /rules/from-filter') && html`<a class="button" href=${`/rules/new?address=${address}`}><${Icon} name="alerts" /> ${t('alert me')}</a>`}<${Tell} target=${address} />${mayWatch() && facts && (facts.isWatched
      ? html`<${Unwatch} address=${address} chain=${facts.chain} onDone=${again} />`
      : html`<button type="button" class="primary" onClick=${() => setAdding(true)}>${t('watch')}</button>`)}</span>
    ${isAdding && html`<${Watch} chains=${chains} address=${address} onClose=${() => setAdding(false)} onDone=${done} />`}
  </div>`;
}

function Activity({ address, chains, query }) {
  const [open, setOpen] = useState(null);
  const parameters = { chain: query.chain, since: `-${query.range ?? '7d'}`, limit: 100, cursor: query.cursor };
  const filters = query.cursor ? null : { service: 'onchain', addresses: [address], chains: query.chain ? [query.chain] : undefined };
  const feed = useFeed({ name: `wallet ${address}`, filters, past: { path: `/wallets/${address}/transfers`, parameters }, keep: (event) => event.kind?.startsWith('transfer.') });
  return html`<div class="head slim"><span class="space"></span><${Export} path=${`/wallets/${address}/transfers`} parameters=${parameters} name=${`wallet-${address.slice(0, 10)}`} />${filters && html`<${LiveControl} feed=${feed} />`}</div>
    <${EventList} feed=${feed} chains=${chains} query=${{ range: '7d', ...query }} self=${address} onOpen=${setOpen} caption=${t('tab.activity')} />
    ${open && html`<${EventDrawer} event=${open} chains=${chains} onClose=${() => setOpen(null)} />`}`;
}

function Counterparties({ address, query }) {
  const found = useResource(`/wallets/${address}/counterparties`, { since: `-${query.range ?? '7d'}` }, 60_000);
  const rows = counterpartiesOf(found.data);
  const most = Math.max(1, ...rows.map((row) => row.transfers));
  const frequent = rows.slice(0, 20).filter((row) => row.transfers > 2).map((row) => row.address);
  const columns = [
    { key: 'address', title: t('counterparty'), card: 'a', render: (row) => {
      const like = imitates(row.address, [...frequent, address]);
      return html`<${Address} address=${row.address} label=${row.label} tags=${row.tags} />${like && html`<span class="mark tone-bad" title=${like}>${t('looks like')}</span>`}`;
    } },
    { key: 'share', title: t('share'), wide: 'wide', render: (row) => html`<${Meter} value=${row.transfers / most} label=${`${number.count(row.transfers)} ${t('transfers')}`} />` },
    { key: 'transfers', title: t('transfers'), end: true, card: 'b', sort: (a, b) => a.transfers - b.transfers, render: (row) => html`<span class="number">${number.count(row.transfers)}</span>` },
    { key: 'in', title: t('in'), end: true, card: 'c', sort: (a, b) => number.compare(a.usdIn, b.usdIn), render: (row) => html`<${Usd} value=${row.usdIn} />` },
    { key: 'out', title: t('out'), end: true, card: 'd', sort: (a, b) => number.compare(a.usdOut, b.usdOut), render: (row) => html`<${Usd} value=${row.usdOut} />` },
    { key: 'last', title: t('last seen'), end: true, wide: 'wide', render: (row) => html`<${Time} at=${row.last} />` },
  ];
  return html`<${States} resource=${found} height=${320} isEmpty=${rows.length === 0} empty=${{ title: t('no counterparty'), hint: t('no match.hint') }}>
    <${Table} caption=${t('tab.counterparties')} columns=${columns} rows=${rows} keyOf=${(row) => row.address} /><//>`;
}

function Flow({ address, query }) {
  const found = useResource(`/wallets/${address}/flow`, { since: `-${query.range ?? '7d'}` }, 60_000);
  const rows = flowOf(found.data);
  const columns = [
    { key: 'token', title: t('token'), card: 'a', render: (row) => (row.token ? html`<${TokenName} chain=${row.chain} address=${row.token} symbol=${row.symbol} />` : html`<span class="strong">${safe(row.symbol ?? t('native'))}</span>`) },
    { key: 'chain', title: t('chain'), render: (row) => row.chain },
    { key: 'in', title: t('in'), end: true, card: 'b', render: (row) => html`<${Amount} value=${row.amountIn} />` },
    { key: 'out', title: t('out'), end: true, card: 'c', render: (row) => html`<${Amount} value=${row.amountOut} />` },
    { key: 'net', title: `${t('net')} USD`, end: true, card: 'd', sort: (a, b) => number.compare(a.usdNet, b.usdNet), render: (row) => html`<${Usd} value=${row.usdNet} />` },
  ];
  return html`<p class="muted">${t('flow.note')}</p>
    <${States} resource=${found} height=${320} isEmpty=${rows.length === 0} empty=${{ title: t('no flow'), hint: t('no match.hint') }}>
    <${Table} caption=${t('tab.flow')} columns=${columns} rows=${rows} keyOf=${(row) => `${row.chain} ${row.token}`} /><//>`;
}

/** What it holds, as the chain said at the block that is named. */
function Balances({ address }) {
  const found = useResource(`/wallets/${address}/balances`, {}, 30_000);
  const rows = balancesOf(found.data).filter((row) => !number.split(row.amount)?.zero);
  const total = number.sum(rows.map((row) => row.usd));
  return html`<${Panel} title=${t('balances')} actions=${rows.length > 0 && html`<${Export} path=${`/wallets/${address}/balances`} parameters=${{}} name=${`balances-${address.slice(0, 10)}`} />`} resource=${found} isEmpty=${rows.length === 0} height=${180} empty=${{ title: t('no balance'), hint: t('no balance.hint') }}
    note=${rows.length > 0 && html`<${Usd} value=${total} short />`}>
    <ul class="holdings">${rows.map((row) => html`<li key=${`${row.chain} ${row.asset}`}>
      <span><${Amount} value=${row.amount} symbol=${row.symbol} verified=${row.verified} compact href=${row.asset.startsWith('0x') ? tokenPage(row.chain, row.asset) : undefined} /> <span class="muted">${row.chain}</span>${row.problem && html` <span class="mark tone-warn">${safe(row.problem)}</span>`}</span>
      <span class="end"><${Usd} value=${row.usd} short /> <span class="muted"><${Age} at=${row.at} /></span></span></li>`)}</ul>
  <//>`;
}
