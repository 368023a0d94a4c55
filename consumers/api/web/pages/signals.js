// What is said about the market, how it feels, and who has trouble.

import { useMemo } from 'preact/hooks';
import { clock, language, t, term } from '../store/i18n.js';
import * as number from '../store/number.js';
import { offers } from '../store/offers.js';
import { filter } from '../store/route.js';
import { may } from '../store/session.js';
import { articleOf, indicesOf, isIncident, providersOf, sourcesOf } from '../store/shapes.js';
import { Anomalies } from '../parts/anomalies.js';
import { Meter } from '../parts/chart.js';
import { gapText } from '../parts/events.js';
import { classes, html } from '../parts/html.js';
import { Held, LiveControl, useDelayed, useFeed } from '../parts/live.js';
import { Empty, Panel, Skeleton, Trouble, useResource } from '../parts/panel.js';
import { Pages } from '../parts/table.js';
import { Age, Outside, PROVIDER_TONES, safe, State, Time } from '../parts/values.js';

const WORDS = ['all', 'news', 'incidents'];
/** Names of assets as the catalogue has them. */
const ASSET = /^[a-z0-9][a-z0-9.-]{0,63}$/;

export default function Signals({ query }) {
  const hasAnomalies = offers('get /analysis/anomalies') && may('chain');
  return html`<div class="page">
    <div class="head"><h1>${t('page.signals')}</h1></div>
    <div class=${classes('with-rail', hasAnomalies && 'three')}>
      <div>${offers('get /market/articles') && html`<${Articles} query=${query} />`}</div>
      ${hasAnomalies && html`<div><${Anomalies} query=${query} /></div>`}
      <aside>
        ${offers('get /market/indices') && html`<${Indices} />`}
        ${may('ops') && offers('get /providers') && html`<${InTrouble} />`}
      </aside>
    </div>
  </div>`;
}

function Articles({ query }) {
  const range = query.range ?? '24h';
  const words = WORDS.includes(query.words) ? query.words : 'all';
  const asset = ASSET.test(query.asset ?? '') ? query.asset : undefined;
  const parameters = { source: query.source, asset, since: `-${range}`, limit: 60, cursor: query.cursor };
  const feed = useFeed({
    name: `articles ${words}`,
    filters: query.cursor ? null : { service: 'news' },
    past: { path: '/market/articles', parameters },
    eventOf: articleOf,
    keep: (event) => (!query.source || event.source === query.source) && (!asset || event.assets?.includes(asset))
      && (words === 'all' || isIncident(event) === (words === 'incidents')),
    most: 120,
  });
  const later = useDelayed((value) => filter({ asset: value.trim().toLowerCase(), cursor: '' }), 400);
  const question = feed.question.value;
  const rows = feed.state.value.rows;
  const shown = rows.filter((row) => row.event);
  const known = useMemo(() => new Set(), []);
  const sources = sourcesOf(known, shown.map((row) => row.event), query.source);
  const chip = (text, isOn, change) => html`<button type="button" class="chip" aria-pressed=${isOn ? 'true' : 'false'} onClick=${() => filter({ ...change, cursor: '' })}>${text}</button>`;
  const list = () => {
    if (!question.data) return question.problem ? html`<${Trouble} problem=${question.problem} again=${() => feed.again()} />` : html`<${Skeleton} height=${520} />`;
    if (shown.length === 0) return html`<${Empty} title=${t('no article')} hint=${t('no article.hint')} action=${html`<button type="button" onClick=${() => filter({ range: '30d', source: '', words: '', asset: '', cursor: '' })}>${t('widen')}</button>`} />`;
    return html`<ul class="articles">${shown.map(({ key, event }) => html`<${Article} key=${key} event=${event} now=${`${language.value} ${clock.value}`} />`)}</ul>`;
  };
  return html`<div class="filters open above"><form onSubmit=${(event) => event.preventDefault()}>
      <span class="chips" role="group" aria-label=${t('kind')}>${WORDS.map((one) => chip(t(`articles.${one}`), one === words, { words: one === 'all' ? '' : one }))}</span>
      <label>${t('source')}<select value=${query.source ?? ''} onChange=${(event) => filter({ source: event.target.value, cursor: '' })}>
        <option value="">${t('all')}</option>${sources.map((one) => html`<option value=${one} selected=${one === query.source}>${safe(one)}</option>`)}</select></label>
      <label>${t('asset')}<input size="12" placeholder="bitcoin" value=${query.asset ?? ''} onInput=${(event) => later(event.target.value)} aria-invalid=${query.asset && !asset ? 'true' : undefined} /></label>
      <span class="space"></span>${!query.cursor && html`<${LiveControl} feed=${feed} />`}
    </form></div>
    ${question.data && question.problem && html`<${Trouble} problem=${question.problem} again=${() => feed.again()} at=${question.at} />`}
    ${rows.filter((row) => row.gap).map((row) => html`<p class="banner tone-warn" key=${row.key}>${gapText(row.gap)} <button type="button" onClick=${() => feed.again()}>${t('load')}</button></p>`)}
    <${Held} feed=${feed}>${list()}<//>
    <${Pages} list=${question.data} isFirst=${!query.cursor} go=${(cursor) => filter({ cursor })} />`;
}

/** Everything here is text of others: it is shown as text, and leads away by https only. */
function Article({ event }) {
  const about = (event.assets ?? []).slice(0, 6);
  return html`<li class="panel article">
    <p class="over"><span class="muted"><${Time} at=${event.event_at_us} always="age" /></span> <span class="strong">${safe(event.publisher ?? event.source)}</span>
      ${isIncident(event) && html`<${State} tone="warn">${t('incident')}<//>`}</p>
    <h2><${Outside} href=${event.link}>${safe(event.title)}<//></h2>
    ${event.summary && html`<p>${safe(event.summary, 500)}</p>`}
    ${about.length > 0 && html`<p class="chips">${about.map((one) => html`<a class="mark" href=${`/signals?asset=${encodeURIComponent(one)}`}>${safe(one)}</a>`)}</p>`}
  </li>`;
}

/** Indices on their scale of 0 to 100; what has another scale shows its number alone. */
function Indices() {
  const found = useResource('/market/indices', {}, 60_000);
  const rows = indicesOf(found.data);
  return html`<${Panel} title=${t('indices')} resource=${found} isEmpty=${rows.length === 0} height=${100} empty=${{ title: t('no index'), hint: t('no index.hint') }}>
    <ul class="gauges">${rows.map((one) => html`<li key=${`${one.name} ${one.source}`}>
      <p><span class="strong">${safe(one.name)}</span> <span class="muted">${safe(one.source)}</span></p>
      <p class="figure small"><span title=${number.exact(one.value)}>${number.amount(one.value)}</span> <span class="muted">${safe(one.classification ?? '')}</span></p>
      ${one.share !== null && html`<${Meter} value=${one.share} label=${t('of hundred', { value: number.amount(one.value) })} />`}
      <span class="muted small"><${Age} at=${one.at} /></span></li>`)}</ul>
  <//>`;
}

/** Sources whose numbers are late or missing: what is told of them is not the market. */
function InTrouble() {
  const found = useResource('/providers', {}, 30_000);
  const rows = providersOf(found.data).filter((row) => !['ok', 'off'].includes(row.state));
  return html`<${Panel} title=${t('in trouble')} resource=${found} isEmpty=${rows.length === 0} height=${100} empty=${{ title: t('no trouble') }} actions=${html`<a href="/providers">${t('all')}</a>`}>
    <ul class="lines">${rows.map((row) => html`<li key=${`${row.name}/${row.endpoint}`}><span class="title"><span class="strong">${safe(row.name)}</span> <span class="muted">${safe(row.endpoint || row.detail)}</span></span>
      <${State} tone=${PROVIDER_TONES[row.state] ?? 'warn'}>${term('provider', row.state)}<//></li>`)}</ul>
  <//>`;
}
