// One pool of an exchange on a chain: its tokens, what is traded in it, its newest swaps.

import { t, term } from '../store/i18n.js';
import * as number from '../store/number.js';
import { filter } from '../store/route.js';
import { finalityOf } from '../store/shapes.js';
import * as time from '../store/time.js';
import { poolOf, swapsOf, tradedOf } from '../store/token-shapes.js';
import { Histogram } from '../parts/chart.js';
import { Facts } from '../parts/drawer.js';
import { classes, html } from '../parts/html.js';
import { Empty, Panel, States, useResource } from '../parts/panel.js';
import { Pages, Table } from '../parts/table.js';
import { Address, Copy, Finality, Pattern, safe, Time, TokenName, Transaction } from '../parts/values.js';

export default function Pool({ chain, pool: address, chains, query }) {
  const place = `/pools/${encodeURIComponent(chain)}/${encodeURIComponent(address)}`;
  const found = useResource(place, {}, 30_000);
  const pool = found.data && poolOf(found.data);
  const range = query.range ?? '7d';
  const isNothing = !pool && found.problem?.status === 404;
  const pair = pool?.tokens.map((one) => safe(one.symbol ?? '?', 24)).join(' / ');
  return html`<div class="page">
    <div class="wallet-head"><${Pattern} address=${address} size="44" />
      <div><h1>${pair || t('pool')}</h1>
        <p class="mono break">${safe(address)} <${Copy} text=${address} label=${t('copy.address')} /></p>
        <p class="muted">${safe(chain)}${pool && ` · ${safe(pool.protocol)}`}</p></div></div>
    ${isNothing ? html`<${Empty} title=${t('pool.none')} hint=${t('pool.none.hint')} />` : html`<div class="with-rail">
      <div class="stack">
        <${Traded} place=${place} range=${range} />
        <${Swaps} place=${place} pool=${pool} chains=${chains} query=${query} range=${range} />
      </div>
      <aside><${Known} resource=${found} pool=${pool} /></aside>
    </div>`}
  </div>`;
}

function Known({ resource, pool }) {
  const items = pool ? [
    ...pool.tokens.map((one, index) => [t('pool.token', { place: index + 1 }), html`<${TokenName} chain=${pool.chain} address=${one.address} symbol=${one.symbol} verified=${one.verified} />`]),
    [t('contract'), html`<${Address} address=${pool.address} quiet=${false} />`],
    [t('pool.tick'), pool.tick === null ? null : html`<span class="number">${number.count(pool.tick)}</span>`],
    [t('labels'), pool.labels.length > 0 && pool.labels.map((one) => html`<span class=${classes('mark', one.category === 'sanctioned' && 'tone-bad')}>${term('tag', safe(one.category))}${one.name && `: ${safe(one.name)}`}</span> `)],
    [t('pool.last'), html`<${Time} at=${pool.last} always="age" />`],
  ] : [];
  return html`<${Panel} title=${t('facts')} resource=${resource} height=${200}><${Facts} items=${items} /><//>`;
}

function Traded({ place, range }) {
  const seconds = time.seconds(range) ?? 604_800;
  const step = seconds > 604_800 ? 'day' : 'hour';
  const found = useResource(`${place}/volume`, { step, since: `-${range}` }, 60_000);
  const steps = tradedOf(found.data, step, seconds, time.now.value);
  const swaps = steps.reduce((all, one) => all + one.swaps, 0);
  const at = step === 'day' ? time.day : time.short;
  const bars = steps.map((one) => ({ label: `${at(one.at)}: ${number.count(one.swaps)}`, parts: [{ tone: 'accent', value: one.swaps }] }));
  const label = t('pool.swaps of', { count: number.count(swaps), range: t(`range.${range}`) });
  return html`<${Panel} title=${t('pool.traded')} resource=${found} isEmpty=${swaps === 0} height=${150} empty=${{ title: t('pool.quiet'), hint: t('no match.hint') }}>
    <${Histogram} bars=${bars} label=${label} first=${steps.length > 0 && at(steps[0].at)} middle=${html`<span>${label}</span>`} last=${t('now')} /><//>`;
}

function Swaps({ place, pool, chains, query, range }) {
  const found = useResource(`${place}/swaps`, { since: `-${range}`, limit: 50, cursor: query.cursor }, 15_000);
  const rows = swapsOf(found.data);
  const amount = (value, index) => {
    const token = pool?.tokens[index];
    const whole = token?.decimals === null || !token ? null : number.fromUnits(value, token.decimals);
    return html`<span class="number" title=${value}>${whole === null ? number.compact(value) : number.amount(whole)}</span> <span class="muted">${token ? safe(token.symbol ?? '', 24) : t('units')}</span>`;
  };
  const columns = [
    { key: 'time', title: t('time'), card: 'c', render: (row) => html`<${Time} at=${row.block_time_us} />` },
    { key: 'who', title: t('pool.trader'), card: 'a', render: (row) => html`<${Address} address=${row.tx_from ?? row.sender} />` },
    { key: 'first', title: t('pool.token', { place: 1 }), end: true, card: 'b', render: (row) => amount(row.amount0, 0) },
    { key: 'second', title: t('pool.token', { place: 2 }), end: true, card: 'd', render: (row) => amount(row.amount1, 1) },
    { key: 'finality', title: t('finality'), wide: 'wide', render: (row) => html`<${Finality} value=${finalityOf(row, chains)} />` },
    { key: 'transaction', title: t('transaction'), wide: 'wider', render: (row) => html`<${Transaction} chain=${row.chain} hash=${row.tx_hash} block=${row.block_number} />` },
  ];
  return html`<section aria-label=${t('pool.newest')}><div class="head slim"><h2>${t('pool.newest')}</h2></div>
    <p class="muted">${t('pool.note')}</p>
    <${States} resource=${found} height=${320} isEmpty=${rows.length === 0} empty=${{ title: t('pool.quiet'), hint: t('no match.hint') }}>
      <${Table} caption=${t('pool.newest')} columns=${columns} rows=${rows} keyOf=${(row) => row.id} /><//>
    <${Pages} list=${found.data} isFirst=${!query.cursor} go=${(cursor) => filter({ cursor })} /></section>`;
}
