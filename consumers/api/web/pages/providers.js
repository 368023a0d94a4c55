// Which source fails, is close to its limit, is late? And does everything behind them progress?

import { offers } from '../store/offers.js';
import { t } from '../store/i18n.js';
import * as number from '../store/number.js';
import { may } from '../store/session.js';
import { probesOf, streamsOf } from '../store/shapes.js';
import * as time from '../store/time.js';
import { Meter } from '../parts/chart.js';
import { Gaps, Jumps, Verified } from '../parts/gaps.js';
import { html } from '../parts/html.js';
import { DeadLetters } from '../parts/letters.js';
import { Panel, useResource } from '../parts/panel.js';
import { Sources } from '../parts/sources.js';
import { Table } from '../parts/table.js';
import { safe, State, Time } from '../parts/values.js';

export default function Providers({ chains, query }) {
  const status = useResource('/status', {}, 10_000);
  return html`<div class="page">
    <div class="head"><h1>${t('page.providers')}</h1>
      ${status.data && html`<${State} tone=${status.data.ready ? 'good' : 'bad'}>${t(status.data.ready ? 'ready' : 'not ready')}<//> <span class="muted">${status.data.version} · ${status.data.instance}</span>`}</div>
    ${(status.data?.problems ?? []).map((text) => html`<p class="banner tone-bad" role="alert">${safe(text)}</p>`)}
    ${offers('get /providers') && html`<${Sources} query=${query} />`}
    <div class="columns"><${Streams} status=${status} /><${Leaders} status=${status} /></div>
    <div class="columns">${offers('get /nodes') && html`<${Nodes} />`}${offers('get /reorgs') && html`<${Reorgs} />`}</div>
    <div class="columns">${offers('get /verified') && html`<${Verified} />`}${offers('get /jumps') && html`<${Jumps} />`}</div>
    ${may('ops') && offers('get /gaps') && html`<${Gaps} chains=${chains} />`}
    <${Probes} status=${status} />
    ${offers('get /dead-letters') && html`<${DeadLetters} />`}
  </div>`;
}

/** How far tables are behind is a number without a judgement: ticks count, which they never read. The probes judge. */
function Streams({ status }) {
  const rows = streamsOf(status.data);
  const columns = [
    { key: 'name', title: t('stream'), card: 'a', render: (row) => html`<span class="strong">${row.name}</span>` },
    { key: 'messages', title: t('messages'), end: true, card: 'b', render: (row) => html`<span class="number">${number.count(row.messages)}</span>` },
    { key: 'fill', title: t('fill'), wide: 'wide', render: (row) => (row.fill === null ? html`<span class="muted">–</span>` : html`<${Meter} value=${row.fill} tone=${row.fill > 0.9 ? 'bad' : row.fill > 0.7 ? 'warn' : 'accent'} label=${number.percent(row.fill * 100, 1)} />`) },
    { key: 'bytes', title: t('size'), end: true, wide: 'wide', render: (row) => html`<span class="number">${number.count(Math.ceil(row.bytes / 1024))} KiB</span>` },
    { key: 'behind', title: t('rows behind'), end: true, card: 'd', render: (row) => (row.behind === null ? html`<span class="muted">${t('not stored')}</span>` : html`<span class="number">${number.count(row.behind)}</span>`) },
  ];
  return html`<${Panel} flush title=${t('streams')} resource=${status} isEmpty=${rows.length === 0} height=${240} empty=${{ title: t('no stream') }}>
    <${Table} caption=${t('streams')} columns=${columns} rows=${rows} keyOf=${(row) => row.name} /><//>`;
}

function Leaders({ status }) {
  const rows = status.data?.leaders ?? [];
  const columns = [
    { key: 'task', title: t('task'), card: 'a', render: (row) => html`<span class="strong">${row.task}</span>` },
    { key: 'owner', title: t('leader'), card: 'c', render: (row) => safe(row.owner) },
    { key: 'since', title: t('since'), end: true, card: 'b', render: (row) => html`<${Time} at=${row.since_us} />` },
  ];
  return html`<${Panel} flush title=${t('tasks')} resource=${status} isEmpty=${rows.length === 0} height=${240} empty=${{ title: t('no task') }}>
    <${Table} caption=${t('tasks')} columns=${columns} rows=${rows} keyOf=${(row) => row.task} /><//>`;
}

function Probes({ status }) {
  const rows = [...probesOf(status.data)].sort((a, b) => Number(a.healthy) - Number(b.healthy) || a.name.localeCompare(b.name));
  const columns = [
    { key: 'state', title: t('state'), card: 'b', render: (row) => html`<${State} tone=${row.healthy ? 'good' : row.advisory ? 'warn' : 'bad'}>${t(row.healthy ? 'well' : row.advisory ? 'advice' : 'failing')}<//>` },
    { key: 'name', title: t('probe'), card: 'a', render: (row) => html`<span class="strong">${row.name}</span>` },
    { key: 'detail', title: t('detail'), card: 'c', render: (row) => html`<span class="muted detail" title=${row.detail}>${safe(row.detail)}</span>` },
  ];
  return html`<${Panel} flush title=${t('probes')} resource=${status} isEmpty=${rows.length === 0} height=${240} empty=${{ title: t('no probe') }}>
    <${Table} caption=${t('probes')} columns=${columns} rows=${rows} keyOf=${(row) => row.name} /><//>`;
}

/** Endpoints of chains: which serve, which lag, and why not. */
function Nodes() {
  const found = useResource('/nodes', {}, 15_000);
  const rows = found.data?.items ?? [];
  const columns = [
    { key: 'endpoint', title: t('endpoint'), card: 'a', render: (row) => html`<span class="strong">${row.endpoint}</span> <span class="muted">${row.chain}</span>` },
    { key: 'state', title: t('state'), card: 'b', render: (row) => html`<${State} tone=${row.serving ? 'good' : row.connected ? 'warn' : 'bad'}>${row.serving ? t('serving') : safe(row.reason)}<//>` },
    { key: 'head', title: t('block'), end: true, wide: 'wide', render: (row) => html`<span class="number">${number.count(row.head)}</span>` },
    { key: 'lag', title: t('lag'), end: true, card: 'd', render: (row) => html`<span class="number">${number.count(row.lag_blocks)}</span>` },
    { key: 'latency', title: t('latency'), end: true, wide: 'wide', render: (row) => time.latency(row.latency_ms) },
    { key: 'errors', title: t('errors'), end: true, wide: 'wide', render: (row) => html`<span class="number">${row.error_percent} %</span>` },
    { key: 'detail', title: t('detail'), card: 'c', render: (row) => html`<span class="muted detail" title=${row.error}>${safe(row.error)}</span>` },
  ];
  return html`<${Panel} flush title=${t('endpoints')} resource=${found} isEmpty=${rows.length === 0} height=${120} empty=${{ title: t('no endpoint') }}>
    <${Table} caption=${t('endpoints')} columns=${columns} rows=${rows} keyOf=${(row) => `${row.chain} ${row.endpoint} ${row.instance}`} /><//>`;
}

/** Blocks that left their chains. */
function Reorgs() {
  const found = useResource('/reorgs', { since: '-30d', limit: 20 }, 60_000);
  const rows = found.data?.items ?? [];
  return html`<${Panel} title=${t('reorgs')} resource=${found} isEmpty=${rows.length === 0} height=${80} empty=${{ title: t('no reorg') }}>
    <ul class="lines">${rows.map((row) => html`<li key=${row.block_hash}><span class="strong">${row.chain}</span>
      <span class="title">${t('reorg', { count: row.depth, number: number.count(row.ancestor_number) })}</span> <span class="muted"><${Time} at=${row.observed_at_us} /></span></li>`)}</ul><//>`;
}
