// Is it running, is it current, what just happened?

import { t, term } from '../store/i18n.js';
import * as number from '../store/number.js';
import { offers } from '../store/offers.js';
import { may } from '../store/session.js';
import { alertEvent, alertHours, blocksOf, pricesOf, probesOf } from '../store/shapes.js';
import * as time from '../store/time.js';
import { Histogram, Spark } from '../parts/chart.js';
import { Moved, Parties } from '../parts/events.js';
import { html } from '../parts/html.js';
import { Held, LiveControl, useFeed } from '../parts/live.js';
import { Empty, Panel, Skeleton, Trouble, useResource } from '../parts/panel.js';
import { chainTone } from '../parts/truth.js';
import { Age, Block, Change, Severity, State, Time, Usd, safe } from '../parts/values.js';

const LARGE_USD = '100000';

export default function Overview({ chains, query }) {
  const shown = chains.filter((one) => !query.chain || one.chain === query.chain);
  return html`<div class="page overview">
    <h1 class="hidden">${t('page.overview')}</h1>
    <div class="cards">${shown.map((chain) => html`<${ChainCard} key=${chain.chain} chain=${chain} />`)}
      ${shown.length === 0 && html`<${Empty} title=${t('no chain')} hint=${t('no chain.hint')} />`}</div>
    <div class="columns uneven">
      ${may('alerts') && html`<${Alerts} query=${query} />`}
      <${Large} query=${query} />
    </div>
    <div class="columns">
      ${may('market') && offers('get /market/summary') && html`<${Prices} />`}
      ${may('ops') && html`<${Pipeline} />`}
    </div>
  </div>`;
}

/** A chain: its head, how old that is against its pace, how fast rows follow, how far it is final. */
function ChainCard({ chain }) {
  const blocks = useResource(offers('get /blocks') ? '/blocks' : null, { chain: chain.chain, limit: 60 }, 15_000);
  const tone = chainTone(chain, time.now.value);
  const seconds = Math.max(0, (time.now.value - (chain.headAt ?? 0)) / 1000);
  const pace = Math.max(1, chain.blockSeconds ?? 12);
  // Full is late, as the shape beside it then says.
  const width = `${Math.min(100, (seconds / (pace * 3 + 5)) * 100)}%`;
  const values = blocksOf(blocks.data).map((block) => block.transactions ?? null).reverse();
  return html`<section class="panel card" aria-label=${chain.chain}>
    <header><h2><a href=${`/transactions?chain=${chain.chain}`}>${chain.chain}</a></h2><span class="actions"><${State} tone=${tone}>${t(`chain.${tone}`)}<//></span></header>
    <div class="body">
      <p class="figure"><${Block} chain=${chain.chain} number=${chain.head} />
        <span class="muted"><${Age} at=${chain.headAt === null ? null : chain.headAt * 1000} /></span></p>
      <div class="age" title=${t('age against pace', { pace: time.span(Math.round(pace)) })}><span class=${`tone-fill-${tone}`} style=${{ width }}></span></div>
      <dl class="mini">
        <div><dt>${t('pace')}</dt><dd>${chain.blockSeconds ? t('seconds', { count: chain.blockSeconds.toFixed(1) }) : '–'}</dd></div>
        <div><dt>${t('to the row')}</dt><dd>${time.latency(chain.storedAfterMs)}</dd></div>
        ${values.length > 0 && html`<div><dt>${t('by block')}</dt><dd title=${t('transactions by block')}>${number.count(mean(values))}</dd></div>`}
        <div><dt>${t('final')}</dt><dd title=${number.count(chain.final)}>${chain.final === null ? '–' : t('blocks behind', { count: number.count(Math.max(0, chain.head - chain.final)) })}</dd></div>
      </dl>
      ${values.length > 1 && html`<${Spark} values=${values} label=${t('transactions by block')} height=${30} />`}
    </div>
  </section>`;
}

function mean(values) {
  return Math.round(values.reduce((all, value) => all + value, 0) / values.length);
}

/** Alerts by hour and severity, and the last ones. */
function Alerts({ query }) {
  const range = query.range ?? '24h';
  const summary = useResource(offers('get /alerts/summary') ? '/alerts/summary' : null, { since: `-${range}` }, 30_000);
  const feed = useFeed({
    name: 'overview alerts',
    filters: { service: 'alerts', chains: query.chain ? [query.chain] : undefined },
    past: { path: '/alerts', parameters: { chain: query.chain, since: `-${range}`, limit: 11 } },
    eventOf: alertEvent,
    keep: (event) => event.kind === undefined || event.kind === 'alert',
    most: 11,
  });
  const hours = alertHours(summary.data, time.seconds(range), time.now.value);
  const bars = hours.map((hour) => ({
    label: `${time.short(hour.at)}: ${hour.critical} · ${hour.warning} · ${hour.info}`,
    parts: [{ tone: 'info', value: hour.info }, { tone: 'warn', value: hour.warning }, { tone: 'bad', value: hour.critical }],
  }));
  const count = (severity) => hours.reduce((all, hour) => all + hour[severity], 0);
  const total = count('critical') + count('warning') + count('info');
  const legend = html`<span class="told">${['critical', 'warning', 'info'].map((one) => html`<${State} tone=${{ critical: 'bad', warning: 'warn', info: 'info' }[one]}><span class="number">${number.count(count(one))}</span> ${term('severity', one)}<//>`)}</span>`;
  const axis = (time.seconds(range) ?? 0) > 86_400 ? time.day : time.minute;
  return html`<${Panel} title=${t('page.alerts')} resource=${offers('get /alerts/summary') ? summary : null} height=${330} actions=${html`<a href="/alerts">${t('all')}</a>`}>
    ${summary.data && html`<${Histogram} bars=${bars} label=${t('alerts by hour', { count: total, range: t(`range.${range}`) })} first=${axis(hours[0].at)} middle=${legend} last=${t('now')} />`}
    <${AlertList} feed=${feed} />
  <//>`;
}

function AlertList({ feed }) {
  const question = feed.question.value;
  if (!question.data) return question.problem ? html`<${Trouble} problem=${question.problem} again=${() => feed.again()} />` : html`<${Skeleton} height=${220} />`;
  const rows = feed.state.value.rows.filter((row) => row.event);
  if (rows.length === 0) return html`<${Empty} title=${t('no alert')} hint=${t('no alert.hint')} />`;
  return html`<ul class="lines">${rows.map(({ key, event }) => html`<li key=${key}>
    <a href=${`/alerts?alert=${event.alert}`}><${Severity} value=${event.severity} /><span class="title">${safe(event.title)}</span>
      <span class="muted"><${Time} at=${event.event_at_us} /></span></a></li>`)}</ul>`;
}

/** Large transfers as they come. */
function Large({ query }) {
  const least = query.min_usd ?? LARGE_USD;
  const feed = useFeed({
    name: 'overview transfers',
    filters: { service: 'whale_tracking', chains: query.chain ? [query.chain] : undefined, min_usd: least },
    past: { path: '/transactions', parameters: { chain: query.chain, min_usd: least, since: `-${query.range ?? '24h'}`, limit: 14 } },
    keep: (event) => event.kind?.startsWith('transfer.') && event.token_verified !== false,
    most: 14,
  });
  const question = feed.question.value;
  const rows = feed.state.value.rows.filter((row) => row.event);
  return html`<section class="panel" aria-label=${t('large transfers')}>
    <header><h2>${t('large transfers')}</h2><span class="note muted">≥ ${number.usdShort(least)}</span>
      <span class="actions"><${LiveControl} feed=${feed} /><a href=${`/transactions?min_usd=${least}`}>${t('all')}</a></span></header>
    <div class="body">
      ${!question.data && (question.problem ? html`<${Trouble} problem=${question.problem} again=${() => feed.again()} />` : html`<${Skeleton} height=${330} />`)}
      ${question.data && rows.length === 0 && html`<${Empty} title=${t('no large')} hint=${t('no large.hint')} />`}
      <${Held} feed=${feed}><ul class="moves">${rows.map(({ key, event, struck }) => html`<li key=${key} class=${struck ? 'struck' : undefined}>
        <span class="muted"><${Time} at=${event.block_time_us} /></span>
        <span class="strong"><${Usd} value=${event.usd} short /></span>
        <span class="what"><${Moved} event=${event} compact /></span>
        <span class="who"><${Parties} event=${event} /></span>
      </li>`)}</ul><//>
    </div>
  </section>`;
}

function Prices() {
  const summary = useResource('/market/summary', {}, 15_000);
  const prices = pricesOf(summary.data).slice(0, 8);
  return html`<${Panel} title=${t('prices')} resource=${summary} isEmpty=${prices.length === 0} height=${240}
    empty=${{ title: t('no price'), hint: t('no price.hint') }} actions=${html`<a href="/market">${t('all')}</a>`}>
    <ul class="prices">${prices.map((one) => html`<li key=${one.asset}><a href=${`/market?asset=${one.asset}`}>
      <span class="strong">${one.asset}</span>
      <span class="number" title=${one.price}>${number.price(one.price)}</span>
      <${Change} value=${one.change} />
      <span class="muted">${one.source}</span>
      <span class="muted"><${Age} at=${one.at} warn=${600} bad=${3600} /></span></a></li>`)}</ul>
  <//>`;
}

/** What /ready says, in the words of the probes. */
function Pipeline() {
  const status = useResource('/status', {}, 10_000);
  const probes = probesOf(status.data);
  const failing = probes.filter((probe) => !probe.healthy);
  const tone = failing.some((probe) => !probe.advisory) ? 'bad' : failing.length ? 'warn' : 'good';
  return html`<${Panel} title=${t('pipeline')} resource=${status} isEmpty=${probes.length === 0} height=${240} empty=${{ title: t('no probe') }}
    note=${html`<${State} tone=${tone}>${tone === 'good' ? t('ready') : t('probes failing', { count: failing.length })}<//>`}
    actions=${html`<a href="/providers">${t('all')}</a>`}>
    <ul class="probes">${[...failing, ...probes.filter((probe) => probe.healthy)].slice(0, 12).map((probe) => html`<li key=${probe.name}>
      <${State} tone=${probe.healthy ? 'good' : probe.advisory ? 'warn' : 'bad'}>${term('probe', probe.name)}<//>
      <span class="muted detail" title=${probe.detail}>${safe(probe.detail)}</span></li>`)}</ul>
  <//>`;
}
