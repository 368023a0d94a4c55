// Polled providers: all of them, and what of them needs a look: limits near their end, late schedules, old data, failures. A press on one
// shows all that is known of it, and what may be done.

import { useState } from 'preact/hooks';
import { ask } from '../store/api.js';
import { t, term } from '../store/i18n.js';
import * as number from '../store/number.js';
import { offers } from '../store/offers.js';
import { filter } from '../store/route.js';
import { may } from '../store/session.js';
import { providersOf } from '../store/shapes.js';
import * as time from '../store/time.js';
import { Meter } from './chart.js';
import { Drawer, Facts, Raw } from './drawer.js';
import { html, Icon } from './html.js';
import { Panel, say, States, Trouble, useResource } from './panel.js';
import { Pages, Table } from './table.js';
import { Age, Outside, PROVIDER_TONES, safe, State, Time } from './values.js';

const TABS = [
  { name: 'all', route: 'get /providers', view: All },
  { name: 'limits', route: 'get /rate-limits', view: Limits },
  { name: 'schedule', route: 'get /schedule', view: Schedule },
  { name: 'freshness', route: 'get /freshness', view: Freshness },
  { name: 'failures', route: 'get /failures', view: Failures },
];

/** The tabs about providers, and the sheet of the chosen one. */
export function Sources({ query }) {
  const tabs = TABS.filter((one) => offers(one.route));
  const tab = tabs.find((one) => one.name === query.tab) ?? tabs[0];
  const open = offers('get /providers/{name}') ? (provider) => filter({ provider }) : undefined;
  return html`<div class="tabs" role="tablist" aria-label=${t('providers')}>${tabs.map(({ name }) => html`<button type="button" role="tab" id=${`tab-${name}`} aria-selected=${name === tab.name ? 'true' : 'false'} aria-controls="tab-panel" onClick=${() => filter({ tab: name === 'all' ? '' : name, cursor: '', only: '' })}>${t(`providers.${name}`)}</button>`)}</div>
    <div role="tabpanel" id="tab-panel" aria-labelledby=${`tab-${tab.name}`}><${tab.view} query=${query} open=${open} /></div>
    ${query.provider && open && html`<${ProviderDrawer} key=${query.provider} name=${query.provider} onClose=${() => filter({ provider: '' })} />`}`;
}

const tone = (state) => PROVIDER_TONES[state] ?? 'warn';
const name = (row) => html`<span class="strong">${safe(row.provider)}</span> ${row.endpoint && html`<span class="muted">${safe(row.endpoint)}</span>`}`;
const seconds = (value) => html`<span class="number">${value === null || value === undefined ? '–' : time.span(value)}</span>`;
const byName = (a, b) => a.provider.localeCompare(b.provider);

function All({ open }) {
  const found = useResource('/providers', {}, 15_000);
  const rows = providersOf(found.data);
  const isClose = (row) => row.used !== null && row.limit && row.used / row.limit >= 0.8;
  const columns = [
    { key: 'name', title: t('provider'), card: 'a', sort: (a, b) => a.name.localeCompare(b.name), render: (row) => name({ provider: row.name, endpoint: row.endpoint }) },
    { key: 'state', title: t('state'), card: 'b', sort: (a, b) => String(a.state).localeCompare(String(b.state)), render: (row) => html`<${State} tone=${tone(row.state)}>${term('provider', row.state)}<//>` },
    { key: 'latency', title: t('latency'), end: true, wide: 'wide', sort: (a, b) => (a.latency ?? 0) - (b.latency ?? 0), render: (row) => time.latency(row.latency) },
    { key: 'quota', title: t('quota'), card: 'd', render: (row) => (row.limit ? html`<${Meter} value=${row.used / row.limit} tone=${isClose(row) ? 'warn' : 'accent'} label=${`${row.used} / ${row.limit}`} /><span class="number muted">${number.count(row.used)} / ${number.count(row.limit)} ${term('window', row.window)}</span>` : html`<span class="muted">–</span>`) },
    { key: 'ontime', title: t('on time'), end: true, wide: 'wide', render: (row) => html`<span class="number">${row.onTime === null ? '–' : `${row.onTime} %`}</span>` },
    { key: 'detail', title: t('detail'), card: 'c', render: (row) => html`<span class="muted detail" title=${row.detail}>${safe(row.detail)}</span>` },
    { key: 'at', title: t('reported'), end: true, wide: 'wider', render: (row) => html`<${Age} at=${row.at} />` },
  ];
  const bad = rows.filter((row) => tone(row.state) !== 'good').length;
  return html`<${Panel} flush title=${t('providers')} note=${rows.length > 0 && t('providers.count', { count: rows.length, bad })} resource=${found} isEmpty=${rows.length === 0} height=${260} empty=${{ title: t('no provider') }}>
    <${Table} caption=${t('providers')} columns=${columns} rows=${rows} keyOf=${(row) => `${row.name}/${row.endpoint}`} onOpen=${open && ((row) => open(row.name))} /><//>`;
}

/** A switch between all rows and those that need a look; it is in the address. */
function Only({ query, label }) {
  const isOn = query.only !== 'all';
  return html`<button type="button" class="chip" aria-pressed=${isOn ? 'true' : 'false'} onClick=${() => filter({ only: isOn ? 'all' : '' })}>${label}</button>`;
}

const flag = (query) => (query.only === 'all' ? undefined : true);
const LEVELS = { ok: 'good', near: 'warn', spent: 'bad' };

function limitColumns() {
  return [
    { key: 'name', title: t('provider'), card: 'a', sort: byName, render: (row) => html`<span class="strong">${safe(row.provider)}</span> ${row.key > 1 && html`<span class="muted">${t('key.place', { place: row.key })}</span>`}` },
    { key: 'window', title: t('window'), card: 'c', render: (row) => term('window', row.window) },
    { key: 'used', title: t('quota'), card: 'd', sort: (a, b) => a.used_percent - b.used_percent, render: (row) => html`<${Meter} value=${row.used / row.limit} tone=${row.level === 'ok' ? 'accent' : LEVELS[row.level]} label=${`${row.used} / ${row.limit}`} /><span class="number muted">${number.count(row.used)} / ${number.count(row.limit)}</span>` },
    { key: 'level', title: t('state'), card: 'b', render: (row) => html`<${State} tone=${LEVELS[row.level] ?? 'warn'}>${term('quota.level', row.level)}<//>` },
    { key: 'reset', title: t('begins again'), end: true, wide: 'wide', render: (row) => html`<${Time} at=${row.resets_at_us} />` },
  ];
}

function Limits({ query, open }) {
  const found = useResource('/rate-limits', { near: flag(query) }, 15_000);
  const rows = found.data?.items ?? [];
  return html`<${Panel} flush title=${t('providers.limits')} actions=${html`<${Only} query=${query} label=${t('only near')} />`} resource=${found} isEmpty=${rows.length === 0} height=${260} empty=${{ title: t('no near limit'), hint: t('no near limit.hint') }}>
    <${Table} caption=${t('providers.limits')} columns=${limitColumns()} rows=${rows} keyOf=${(row) => `${row.provider}/${row.key}/${row.window}`} onOpen=${open && ((row) => open(row.provider))} /><//>`;
}

function Schedule({ query, open }) {
  const found = useResource('/schedule', { late: flag(query) }, 15_000);
  const rows = found.data?.items ?? [];
  const columns = [
    { key: 'name', title: t('provider'), card: 'a', sort: byName, render: name },
    { key: 'late', title: t('late by'), end: true, card: 'b', sort: (a, b) => (a.late_seconds ?? -1) - (b.late_seconds ?? -1), render: (row) => html`<span class=${row.late ? 'tone-warn' : ''}>${seconds(row.late_seconds)}</span>` },
    { key: 'every', title: t('every'), end: true, wide: 'wide', render: (row) => seconds(row.every_seconds) },
    { key: 'last', title: t('last poll'), end: true, card: 'd', render: (row) => html`<${Time} at=${row.last_us} />` },
    { key: 'next', title: t('next poll'), end: true, wide: 'wide', render: (row) => html`<${Time} at=${row.next_us} />` },
    { key: 'ontime', title: t('on time'), end: true, card: 'c', sort: (a, b) => Number(a.on_time_percent) - Number(b.on_time_percent), render: (row) => html`<span class="number">${row.on_time_percent === null ? '–' : `${row.on_time_percent} %`}</span>` },
  ];
  return html`<${Panel} flush title=${t('providers.schedule')} actions=${html`<${Only} query=${query} label=${t('only late')} />`} resource=${found} isEmpty=${rows.length === 0} height=${260} empty=${{ title: t('no late schedule'), hint: t('no late schedule.hint') }}>
    <${Table} caption=${t('providers.schedule')} columns=${columns} rows=${rows} keyOf=${(row) => `${row.provider}/${row.endpoint}`} onOpen=${open && ((row) => open(row.provider))} /><//>`;
}

function Freshness({ query, open }) {
  const found = useResource('/freshness', { stale: flag(query), limit: 200 }, 15_000);
  const rows = found.data?.items ?? [];
  const columns = [
    { key: 'name', title: t('provider'), card: 'a', sort: byName, render: name },
    { key: 'fact', title: t('fact'), card: 'c', render: (row) => html`<span class="muted">${safe(row.fact ?? t('last answer'))}</span>` },
    { key: 'age', title: t('age'), end: true, card: 'b', sort: (a, b) => (a.age_seconds ?? -1) - (b.age_seconds ?? -1), render: (row) => html`<span class=${row.stale ? 'tone-warn' : ''}>${seconds(row.age_seconds)}</span>` },
    { key: 'limit', title: t('limit'), end: true, card: 'd', render: (row) => seconds(row.limit_seconds) },
    { key: 'at', title: t('time'), end: true, wide: 'wide', render: (row) => html`<${Time} at=${row.at_us} />` },
  ];
  return html`<${Panel} flush title=${t('providers.freshness')} actions=${html`<${Only} query=${query} label=${t('only stale')} />`} resource=${found} isEmpty=${rows.length === 0} height=${260} empty=${{ title: t('nothing stale'), hint: t('nothing stale.hint') }}>
    <${Table} caption=${t('providers.freshness')} columns=${columns} rows=${rows} keyOf=${(row) => `${row.provider}/${row.endpoint}/${row.fact}`} onOpen=${open && ((row) => open(row.provider))} />
    ${(found.data?.warnings ?? []).map((text) => html`<p class="muted">${safe(text)}</p>`)}<//>`;
}

function Failures({ query, open }) {
  const found = useResource('/failures', { since: `-${query.range ?? '24h'}`, limit: 50, cursor: query.cursor }, 30_000);
  const rows = found.data?.items ?? [];
  const counts = (found.data?.counts ?? []).slice(0, 12);
  const columns = [
    { key: 'time', title: t('time'), card: 'b', render: (row) => html`<${Time} at=${row.at_us} />` },
    { key: 'name', title: t('provider'), card: 'a', render: name },
    { key: 'state', title: t('state'), card: 'd', render: (row) => html`<${State} tone=${tone(row.state)}>${term('provider', row.state)}<//>` },
    { key: 'detail', title: t('detail'), card: 'c', render: (row) => html`<span class="muted detail" title=${safe(row.detail)}>${safe(row.detail)}</span>` },
  ];
  return html`<${Panel} flush title=${t('providers.failures')} resource=${found} isEmpty=${rows.length === 0} height=${260} empty=${{ title: t('no failure'), hint: t('no match.hint') }}>
    <p class="chips">${counts.map((one) => html`<span class="mark">${safe(one.provider)} <span class=${`tone-${tone(one.state)}`}>${term('provider', one.state)}</span> × ${number.count(one.told)}</span> `)}</p>
    <${Table} caption=${t('providers.failures')} columns=${columns} rows=${rows} keyOf=${(row) => `${row.at_us}/${row.provider}/${row.endpoint}`} onOpen=${open && ((row) => row.provider !== 'facts' && open(row.provider))} />
    <${Pages} list=${found.data} isFirst=${!query.cursor} go=${(cursor) => filter({ cursor })} /><//>`;
}

function ProviderDrawer({ name: provider, onClose }) {
  const found = useResource(`/providers/${encodeURIComponent(provider)}`, {}, 5_000);
  const one = found.data;
  const [tried, setTried] = useState(null);
  const limits = (one?.limits ?? []).filter((limit) => limit.used > 0);
  return html`<${Drawer} title=${safe(one?.title ?? provider)} onClose=${onClose}>
    <${States} resource=${found} height=${420}>${one && html`
      <p>${one.told && html`<${State} tone=${tone(one.told.state)}>${term('provider', one.told.state)}<//>`} ${!one.enabled && html`<span class="mark">${t('not polled')}</span>`} <span class="muted">${safe(one.told?.detail)}</span></p>
      ${(one.pauses ?? []).map((pause) => html`<p class="banner tone-warn">${t('paused.by', { what: pause.endpoint ?? one.name, by: safe(pause.by) })} <${Time} at=${pause.until_us} /> <span class="muted">${safe(pause.reason)}</span></p>`)}
      ${may('ops:write') && html`<${Actions} provider=${one} again=${found.again} onTried=${setTried} />`}
      ${tried && html`<${Tried} tried=${tried} />`}
      <${Facts} items=${[
        [t('key'), one.needs_key ? t('key.needed') : one.takes_key ? t('key.taken') : null],
        [t('reported'), one.told && html`<${Time} at=${one.told.at_us} always="age" />`],
        [t('documentation'), one.documentation && html`<${Outside} href=${one.documentation}>${safe(one.documentation)}<//>`],
        [t('attribution'), safe(one.attribution)],
      ]} />
      ${limits.length > 0 && html`<h3>${t('providers.limits')}</h3><${Table} caption=${t('providers.limits')} columns=${limitColumns().slice(1, 4)} rows=${limits} keyOf=${(row) => `${row.key}/${row.window}`} />`}
      <h3>${t('endpoints.polled')}</h3><${Table} caption=${t('endpoints.polled')} columns=${endpointColumns()} rows=${one.endpoints} keyOf=${(row) => row.name} />
      <${Raw} value=${one} />`}
    <//><//>`;
}

function endpointColumns() {
  return [
    { key: 'name', title: t('endpoint'), card: 'a', render: (row) => html`<span class="strong">${safe(row.name)}</span> <span class="muted">${safe(row.kind)}</span>` },
    { key: 'state', title: t('state'), card: 'b', render: (row) => (row.enabled ? row.state && html`<${State} tone=${tone(row.state)}>${term('provider', row.state)}<//>` : html`<span class="muted">${t('provider.off')}</span>`) },
    { key: 'age', title: t('age'), end: true, card: 'c', render: (row) => html`<span class=${row.age_seconds > row.limit_seconds ? 'tone-warn' : ''}>${seconds(row.age_seconds)}</span>` },
    { key: 'every', title: t('every'), end: true, card: 'd', render: (row) => seconds(row.every_seconds) },
  ];
}

const LENGTHS = ['1h', '4h', '24h', '7d'];

/** What may be done to a provider. A pause is a form of its own: what is not asked for is missing in the data. */
function Actions({ provider, again, onTried }) {
  const path = `/providers/${encodeURIComponent(provider.name)}`;
  const [isPausing, setPausing] = useState(false);
  const [isBusy, setBusy] = useState(false);
  const isPaused = (provider.pauses ?? []).length > 0;
  const change = async (action, body) => {
    setBusy(true);
    try {
      return await ask(`${path}/${action}`, { method: 'POST', body });
    } catch (problem) {
      say(problem.detail || problem.title || t('failed'));
      return null;
    } finally {
      setBusy(false);
      again();
    }
  };
  const attempt = async () => onTried(await change('try', {}));
  const resume = () => change('resume', {});
  return html`<p class="actions">
      ${offers('post /providers/{name}/try') && html`<button type="button" disabled=${isBusy} onClick=${attempt}>${t(isBusy ? 'trying' : 'try now')}</button>`}
      ${offers('post /providers/{name}/pause') && html`<button type="button" aria-expanded=${isPausing ? 'true' : 'false'} onClick=${() => setPausing(!isPausing)}><${Icon} name="mute" /> ${t('pause provider')}</button>`}
      ${isPaused && offers('post /providers/{name}/resume') && html`<button type="button" disabled=${isBusy} onClick=${resume}>${t('resume provider')}</button>`}</p>
    ${isPausing && html`<${PauseForm} provider=${provider} path=${path} onDone=${() => {
      setPausing(false);
      again();
    }} />`}`;
}

function PauseForm({ provider, path, onDone }) {
  const [length, setLength] = useState('1h');
  const [endpoint, setEndpoint] = useState('');
  const [reason, setReason] = useState('');
  const [problem, setProblem] = useState(null);
  const submit = async (press) => {
    press.preventDefault();
    try {
      await ask(`${path}/pause`, { method: 'POST', body: { seconds: time.seconds(length), endpoint: endpoint || undefined, reason } });
      say(t('paused'));
      onDone();
    } catch (caught) {
      setProblem(caught);
    }
  };
  return html`<form class="fields box" onSubmit=${submit}>
    <p class="muted">${t('pause.hint')}</p>
    ${problem && html`<${Trouble} problem=${problem} />`}
    <label>${t('endpoint')}<select value=${endpoint} onChange=${(change) => setEndpoint(change.target.value)}><option value="">${t('all endpoints')}</option>${provider.endpoints.map((one) => html`<option value=${one.name}>${one.name}</option>`)}</select></label>
    <label>${t('silence.long')}<select value=${length} onChange=${(change) => setLength(change.target.value)}>${LENGTHS.map((one) => html`<option value=${one} selected=${one === length}>${t(`range.${one}`)}</option>`)}</select></label>
    <label>${t('silence.why')}<input required value=${reason} onInput=${(change) => setReason(change.target.value)} /></label>
    <button class="primary" type="submit" disabled=${!reason.trim()}>${t('pause provider')}</button>
  </form>`;
}

/** What a try gave: nothing of it is published. */
function Tried({ tried }) {
  return html`<ul class="lines" aria-label=${t('try now')}>${tried.runs.map((run) => html`<li key=${run.endpoint}><span class="strong">${safe(run.endpoint)}</span>
    ${run.error ? html`<span class="tone-bad">${safe(run.error)}</span>` : html`<span>${t('tried', { count: run.events })}</span>`} <span class="muted">${time.latency(run.elapsed_ms)}</span>
    ${run.dropped.slice(0, 3).map((text) => html`<span class="tone-warn">${safe(text)}</span>`)}</li>`)}
    ${!tried.complete && html`<li class="muted">${t('tried.part')}</li>`}</ul>`;
}
