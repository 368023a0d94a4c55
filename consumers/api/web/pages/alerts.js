// What needs me, and was everybody told?

import { useMemo, useState } from 'preact/hooks';
import { ask } from '../store/api.js';
import { clock, language, t, term } from '../store/i18n.js';
import { filter } from '../store/route.js';
import { offers } from '../store/offers.js';
import { may } from '../store/session.js';
import { alertEvent, alertOf, deliveriesOf, silencesOf } from '../store/shapes.js';
import * as time from '../store/time.js';
import { Drawer, Facts, Raw } from '../parts/drawer.js';
import { Export } from '../parts/export.js';
import { html, Icon } from '../parts/html.js';
import { Held, LiveControl, useFeed } from '../parts/live.js';
import { Empty, say, Skeleton, States, Trouble, useResource } from '../parts/panel.js';
import { Pages, Table } from '../parts/table.js';
import { Block, Copy, Outside, safe, Severity, State, Time, Transaction } from '../parts/values.js';

const TABS = ['all', 'open', 'silences'];
const SEVERITIES = ['critical', 'warning', 'info'];

export default function Alerts({ query }) {
  const tabs = TABS.filter((one) => one !== 'silences' || offers('get /silences'));
  const tab = tabs.includes(query.tab) ? query.tab : 'all';
  const close = () => filter({ alert: '' });
  return html`<div class="page">
    <div class="head"><h1>${t('page.alerts')}</h1></div>
    <div class="tabs" role="tablist" aria-label=${t('page.alerts')}>${tabs.map((one) => html`<button type="button" role="tab" id=${`tab-${one}`} aria-selected=${one === tab ? 'true' : 'false'} aria-controls="tab-panel" onClick=${() => filter({ tab: one === 'all' ? '' : one, cursor: '' })}>${t(`alerts.${one}`)}</button>`)}</div>
    <div role="tabpanel" id="tab-panel" aria-labelledby=${`tab-${tab}`}>
      ${tab === 'silences' ? html`<${Silences} />` : html`<${List} key=${tab} query=${query} isOpen=${tab === 'open'} />`}
    </div>
    ${query.alert && html`<${AlertDrawer} key=${query.alert} alert=${query.alert} onClose=${close} />`}
  </div>`;
}

/** Only the newest state of each alert is a row. */
function newest(rows) {
  const known = new Set();
  return rows.filter(({ event }) => event && !known.has(event.alert) && known.add(event.alert));
}

function List({ query, isOpen }) {
  const parameters = { severity: query.severity, chain: query.chain, rule: query.rule, since: `-${query.range ?? '24h'}`, limit: 100, cursor: query.cursor };
  const feed = useFeed({
    name: `alerts ${isOpen}`,
    filters: query.cursor ? null : { service: 'alerts', chains: query.chain ? [query.chain] : undefined },
    past: { path: '/alerts', parameters },
    eventOf: alertEvent,
    keep: (event) => (event.kind === undefined || event.kind === 'alert') && (!query.severity || event.severity === query.severity) && (!query.rule || event.rule === query.rule),
  });
  const question = feed.question.value;
  const columns = useMemo(alertColumns, [language.value, clock.value]);
  const rows = newest(feed.state.value.rows)
    .filter(({ event }) => !isOpen || (event.ongoing && event.state !== 'resolved'))
    .filter(({ event }) => !query.code || event.code === query.code);
  const body = () => {
    if (!question.data) return question.problem ? html`<${Trouble} problem=${question.problem} again=${() => feed.again()} />` : html`<${Skeleton} height=${420} />`;
    if (rows.length === 0) return html`<${Empty} title=${t(isOpen ? 'no open alert' : 'no alert')} hint=${t('no alert.hint')} action=${html`<button type="button" onClick=${() => filter({ range: '30d', severity: '', code: '', rule: '' })}>${t('widen')}</button>`} />`;
    return html`<${Table} caption=${t('page.alerts')} columns=${columns} rows=${rows} keyOf=${(row) => row.event.alert} onOpen=${(row) => filter({ alert: row.event.alert })} selected=${query.alert}
      rowClass=${(row) => (row.event.state === 'resolved' ? 'done' : undefined)} />`;
  };
  return html`<div class="head slim">
      <div class="chips" role="group" aria-label=${t('severity')}>${SEVERITIES.map((one) => html`<button type="button" class="chip" aria-pressed=${query.severity === one ? 'true' : 'false'} onClick=${() => filter({ severity: query.severity === one ? '' : one, cursor: '' })}><${Severity} value=${one} /></button>`)}
        ${query.code && html`<button type="button" class="chip" onClick=${() => filter({ code: '' })}>#${query.code} <${Icon} name="cross" size="12" label=${t('clear')} /></button>`}
        ${query.rule && html`<button type="button" class="chip" onClick=${() => filter({ rule: '' })}>${query.rule} <${Icon} name="cross" size="12" label=${t('clear')} /></button>`}</div>
      <span class="space"></span><${Export} path="/alerts" parameters=${parameters} name="alerts" />${!query.cursor && html`<${LiveControl} feed=${feed} />`}</div>
    <${Held} feed=${feed}>${body()}<//>
    <${Pages} list=${question.data} isFirst=${!query.cursor} go=${(cursor) => filter({ cursor })} />`;
}

function alertColumns() {
  return [
    { key: 'severity', title: t('severity'), card: 'a', render: ({ event }) => html`<${Severity} value=${event.severity} />` },
    { key: 'title', title: t('what'), card: 'c', render: ({ event }) => html`<span class="title">${safe(event.title)}</span>` },
    { key: 'state', title: t('state'), card: 'd', render: ({ event }) => html`<${AlertState} event=${event} />` },
    { key: 'rule', title: t('rule'), wide: 'wide', render: ({ event }) => html`<span class="muted">${safe(event.rule)}</span>` },
    { key: 'chain', title: t('chain'), wide: 'wide', render: ({ event }) => event.chain ?? '' },
    { key: 'told', title: t('told'), wide: 'wide', render: ({ event }) => html`<${Told} deliveries=${deliveriesOf(event)} />` },
    { key: 'time', title: t('time'), end: true, card: 'b', render: ({ event }) => html`<${Time} at=${event.event_at_us} />` },
  ];
}

const STATE_TONES = { fired: 'warn', corrected: 'info', resolved: 'good' };

function AlertState({ event }) {
  const open = event.state === 'fired' && event.ongoing;
  return html`<${State} tone=${open ? 'bad' : event.state === 'fired' ? 'none' : STATE_TONES[event.state] ?? 'none'}>${open ? t('alert.open') : term('alert', event.state)}<//>`;
}

const DELIVERY_TONES = { sent: 'good', repeated: 'good', uncertain: 'warn', dead: 'bad', expired: 'warn', silenced: 'none', inhibited: 'none', muted: 'none' };

/** Nothing failed: it was meant not to be sent. */
const isKept = (delivery) => ['silenced', 'inhibited', 'muted'].includes(delivery.state);

function Told({ deliveries }) {
  if (deliveries.length === 0) return html`<span class="muted">–</span>`;
  return html`<span class="told">${deliveries.map((one) => html`<span title=${`${one.destination}: ${term('delivery', one.state)}`}><${State} tone=${DELIVERY_TONES[one.state] ?? 'warn'}>${safe(one.destination)}<//></span>`)}</span>`;
}

function AlertDrawer({ alert, onClose }) {
  const found = useResource(`/alerts/${alert}`, {}, 15_000);
  const [isSilencing, setSilencing] = useState(false);
  const whole = found.data ? alertOf(found.data) : null;
  const event = whole?.states.at(-1);
  const title = event ? `#${event.code}` : t('alert');
  return html`<${Drawer} title=${title} onClose=${onClose} actions=${event && html`<${Actions} event=${event} onSilence=${() => setSilencing(!isSilencing)} onDone=${found.again} />`}>
    <${States} resource=${found} height=${420}>
      ${event && html`
        <p class="figure small"><${Severity} value=${event.severity} /> ${safe(event.title)}</p>
        ${event.lines?.length > 0 && html`<p class="lines-of">${event.lines.map((line) => html`<span>${safe(line)}</span>`)}</p>`}
        ${isSilencing && html`<${SilenceForm} event=${event} onDone=${() => setSilencing(false)} />`}
        <h3>${t('time line')}</h3>
        <${TimeLine} whole=${whole} />
        <${Facts} items=${[
          [t('state'), html`<${AlertState} event=${event} />`],
          [t('rule'), html`<a href=${offers('get /rules') ? `/rule/${encodeURIComponent(event.rule)}` : `/alerts?rule=${event.rule}`}>${safe(event.rule)}</a>`],
          [t('chain'), event.chain],
          [t('block'), event.block_number !== undefined && html`<${Block} chain=${event.chain} number=${event.block_number} />`],
          [t('transaction'), event.tx_hash && html`<${Transaction} chain=${event.chain} hash=${event.tx_hash} block=${event.block_number} quiet=${false} />`],
          [t('labels'), event.labels && Object.entries(event.labels).map(([name, value]) => html`<span class="mark">${safe(name)}=${safe(value)}</span> `)],
          [t('links'), event.links?.length > 0 && event.links.map((link) => html`<${Outside} href=${link.url}>${safe(link.label)}<//> `)],
          [t('key'), html`<span class="mono">${event.alert}</span> <${Copy} text=${event.alert} />`],
        ]} />
        <${Raw} value=${found.data} />`}
    <//>
  <//>`;
}

/** From the block to each chat, with what every step took. */
function TimeLine({ whole }) {
  const [fired] = whole.states;
  const seen = fired.seen_at_us;
  const steps = [
    fired.block_time_us && { at: fired.block_time_us, text: t('step.block'), tone: 'none' },
    { at: seen, text: t('step.seen'), tone: 'none' },
    ...whole.states.map((state) => ({ at: state.observed_at_us, text: term('alert', state.state), tone: STATE_TONES[state.state] ?? 'none' })),
    ...whole.acknowledged.map((one) => ({ at: one.at_us, text: t('step.acknowledged', { by: safe(one.by) }), tone: 'info' })),
    ...whole.deliveries.map((one) => ({
      at: one.done_at_us,
      tone: DELIVERY_TONES[one.state] ?? 'warn',
      text: html`${safe(one.destination)} <span class="muted">${safe(one.channel)}</span> ${term('delivery', one.state)}${one.attempts > 1 && html` <span class="muted">${t('attempts', { count: one.attempts })}</span>`}${one.error && html` <span class=${isKept(one) ? 'muted' : 'tone-bad'}>${safe(one.error)}</span>`}`,
    })),
  ].filter((step) => step && step.at).sort((a, b) => a.at - b.at);
  return html`<ol class="time-line">${steps.map((step) => html`<li class=${`tone-${step.tone}`}>
    <span class="what">${step.text}</span>
    <span class="muted"><${Time} at=${step.at} /></span>
    <span class="number muted">${step.at > seen ? `+${time.latency((step.at - seen) / 1000)}` : ''}</span></li>`)}</ol>`;
}

function Actions({ event, onSilence, onDone }) {
  const acknowledge = async () => {
    try {
      await ask(`/alerts/${event.alert}/acknowledge`, { method: 'POST' });
      say(t('acknowledged'));
      onDone();
    } catch (problem) {
      say(problem.detail || problem.title || t('failed'));
    }
  };
  if (!may('alerts:write')) return null;
  return html`${offers('post /alerts/{alert}/acknowledge') && html`<button type="button" onClick=${acknowledge}><${Icon} name="check" /> ${t('acknowledge')}</button>`}
    ${offers('post /silences') && html`<button type="button" onClick=${onSilence}><${Icon} name="mute" /> ${t('silence')}</button>`}`;
}

const LENGTHS = ['1h', '4h', '24h', '7d'];

function SilenceForm({ event, onDone }) {
  const offered = [`rule=${event.rule}`, ...Object.entries(event.labels ?? {}).map(([name, value]) => `${name}=${value}`)];
  const [chosen, setChosen] = useState([offered[0]]);
  const [length, setLength] = useState('1h');
  const [reason, setReason] = useState('');
  const [problem, setProblem] = useState(null);
  const submit = async (press) => {
    press.preventDefault();
    try {
      await ask('/silences', { method: 'POST', body: { matchers: chosen, seconds: time.seconds(length), reason } });
      say(t('silenced'));
      onDone();
    } catch (caught) {
      setProblem(caught);
    }
  };
  const toggle = (matcher) => setChosen(chosen.includes(matcher) ? chosen.filter((one) => one !== matcher) : [...chosen, matcher]);
  return html`<form class="fields box" onSubmit=${submit}>
    ${problem && html`<${Trouble} problem=${problem} />`}
    <fieldset><legend>${t('silence.what')}</legend>${[...new Set(offered)].map((matcher) => html`<label class="check"><input type="checkbox" checked=${chosen.includes(matcher)} onChange=${() => toggle(matcher)} /> <code>${matcher}</code></label>`)}</fieldset>
    <label>${t('silence.long')}<select value=${length} onChange=${(change) => setLength(change.target.value)}>${LENGTHS.map((one) => html`<option value=${one} selected=${one === length}>${t(`range.${one}`)}</option>`)}</select></label>
    <label>${t('silence.why')}<input required value=${reason} onInput=${(change) => setReason(change.target.value)} /></label>
    <button class="primary" type="submit" disabled=${chosen.length === 0 || !reason.trim()}>${t('silence')}</button>
  </form>`;
}

function Silences() {
  const found = useResource('/silences', {}, 30_000);
  const rows = silencesOf(found.data);
  const end = async (silence) => {
    try {
      await ask(`/silences/${silence.id}`, { method: 'DELETE' });
      found.again();
    } catch (problem) {
      say(problem.detail || problem.title || t('failed'));
    }
  };
  const columns = [
    { key: 'what', title: t('silence.what'), card: 'a', render: (row) => row.matchers.map((matcher) => html`<code>${safe(matcher)}</code> `) },
    { key: 'why', title: t('silence.why'), card: 'c', render: (row) => safe(row.reason) },
    { key: 'who', title: t('author'), card: 'd', render: (row) => safe(row.author) },
    { key: 'until', title: t('until'), end: true, card: 'b', render: (row) => html`<${Time} at=${row.ends_us} />` },
    { key: 'end', title: t('end'), end: true, render: (row) => may('alerts:write') && html`<button type="button" onClick=${() => end(row)}>${t('end')}</button>` },
  ];
  return html`<${States} resource=${found} height=${240} isEmpty=${rows.length === 0} empty=${{ title: t('no silence'), hint: t('no silence.hint') }}>
    <${Table} caption=${t('alerts.silences')} columns=${columns} rows=${rows} keyOf=${(row) => row.id} /><//>`;
}
