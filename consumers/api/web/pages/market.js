// What moves, and is the price true?

import { useEffect, useRef } from 'preact/hooks';
import { t, theme } from '../store/i18n.js';
import * as number from '../store/number.js';
import { offers } from '../store/offers.js';
import { filter } from '../store/route.js';
import { candlesOf, indicesOf, moversOf, pricesOf, spreadOf } from '../store/shapes.js';
import { html } from '../parts/html.js';
import { Panel, States, useResource } from '../parts/panel.js';
import { Table } from '../parts/table.js';
import { Age, Change, Outside, safe } from '../parts/values.js';

const STEPS = ['1m', '5m', '1h', '1d'];
const SINCE = { '1m': '-6h', '5m': '-24h', '1h': '-7d', '1d': '-30d' };

export default function Market({ query }) {
  const summary = useResource('/market/summary', {}, 15_000);
  const prices = pricesOf(summary.data);
  const asset = query.asset ?? prices[0]?.asset;
  const step = STEPS.includes(query.step) ? query.step : '1m';
  return html`<div class="page">
    <div class="head"><h1>${t('page.market')}</h1></div>
    <${States} resource=${summary} height=${520} isEmpty=${prices.length === 0} empty=${{ title: t('no price'), hint: t('no price.hint') }}>
      <div class="market">
        <${Assets} prices=${prices} asset=${asset} />
        <div>
          <${Candles} asset=${asset} step=${step} chosen=${query.source} price=${prices.find((one) => one.asset === asset)} />
          <div class="columns">${offers('get /market/movers') && html`<${Movers} />`}${offers('get /market/indices') && html`<${Indices} />`}</div>
        </div>
      </div>
    <//>
  </div>`;
}

function Assets({ prices, asset }) {
  return html`<section class="panel flush" aria-label=${t('assets')}><div class="body"><ul class="assets">${prices.map((one) => html`<li key=${one.asset}>
    <a href=${`/market?asset=${one.asset}`} aria-current=${one.asset === asset ? 'true' : undefined} onClick=${(event) => { event.preventDefault(); filter({ asset: one.asset, source: '' }); }}>
      <span class="name"><span class="strong">${one.asset}</span><span class="muted">${one.source} · <${Age} at=${one.at} warn=${600} bad=${3600} /></span></span>
      <span class="end"><span class="number" title=${one.price}>${number.price(one.price)}</span><${Change} value=${one.change} /></span></a></li>`)}</ul></div></section>`;
}

/** Candles of one source; the others are a press away, so that what differs is seen. */
function Candles({ asset, step, price, chosen }) {
  const found = useResource(asset ? `/market/assets/${asset}/candles` : null, { step, since: SINCE[step] }, 15_000);
  const sources = candlesOf(found.data);
  const names = [...sources.keys()];
  const name = names.includes(chosen) ? chosen : names.find((one) => one.startsWith(`${price?.source} `)) ?? names[0];
  const candles = sources.get(name) ?? [];
  const chip = (value, isOn, change) => html`<button type="button" class="chip" aria-pressed=${isOn ? 'true' : 'false'} onClick=${() => filter(change)}>${value}</button>`;
  const steps = html`<span class="chips">${STEPS.map((one) => chip(one, one === step, { step: one }))}</span>`;
  const spread = price ? spreadOf(price) : null;
  const note = price && html`<span class="number strong" title=${price.price}>${number.price(price.price)}</span> <${Change} value=${price.change} />
    ${spread !== null && spread > 1 && html` <span class="mark tone-warn">${t('spread', { percent: number.percent(spread) })}</span>`}`;
  return html`<${Panel} title=${asset ?? ''} note=${note} actions=${steps} resource=${found} isEmpty=${candles.length === 0} height=${380} empty=${{ title: t('no candle'), hint: t('no candle.hint') }}>
    ${names.length > 1 && html`<p class="chips" role="group" aria-label=${t('source')}>${names.map((one) => chip(one, one === name, { source: one }))}</p>`}
    <${Chart} candles=${candles} label=${t('candles of', { asset, count: candles.length })} name=${`${asset} ${step} ${name}`} />
    <p class="muted small">${t('chart by')} <${Outside} href="https://www.tradingview.com/">TradingView Lightweight Charts™<//></p>
  <//>`;
}

/** The candles. The library is loaded here only, and fed by what changed. */
function Chart({ candles, label, name }) {
  const box = useRef(null);
  const chart = useRef(null);
  useEffect(() => {
    let isOpen = true;
    import('lightweight-charts').then((library) => {
      if (isOpen) chart.current = make(library, box.current, candles);
    });
    return () => {
      isOpen = false;
      chart.current?.whole.remove();
      chart.current = null;
    };
  }, [name, theme.value]);
  useEffect(() => {
    const { series, last } = chart.current ?? {};
    if (!series) return;
    for (const candle of candles.filter((one) => one.time >= last)) series.update(candle);
    chart.current.last = candles.at(-1)?.time ?? last;
  }, [candles]);
  return html`<div class="candles" ref=${box} role="img" aria-label=${label}></div>`;
}

function make(library, box, candles) {
  const style = getComputedStyle(box);
  const dark = matchMedia('(prefers-color-scheme: dark)').matches;
  const isDark = theme.peek() === 'auto' ? dark : theme.peek() === 'dark';
  const of = (light, other) => (isDark ? other : light);
  const whole = library.createChart(box, {
    autoSize: true,
    layout: { attributionLogo: false, background: { color: 'transparent' }, textColor: of('#5a6472', '#97a3b3'), fontFamily: style.fontFamily, fontSize: 11 },
    grid: { vertLines: { color: of('#eef0f3', '#1d232c') }, horzLines: { color: of('#eef0f3', '#1d232c') } },
    rightPriceScale: { borderVisible: false },
    timeScale: { borderVisible: false, timeVisible: true, maxBarSpacing: 14 },
    crosshair: { mode: 0 },
  });
  const series = whole.addSeries(library.CandlestickSeries, {
    upColor: of('#1a7f4b', '#3fb97c'), downColor: of('#c62f2f', '#f1746c'), borderVisible: false,
    wickUpColor: of('#1a7f4b', '#3fb97c'), wickDownColor: of('#c62f2f', '#f1746c'),
    priceFormat: precision(candles),
  });
  series.setData(candles);
  whole.timeScale().fitContent();
  return { whole, series, last: candles.at(-1)?.time ?? 0 };
}

/** As many digits as a price of this size deserves. */
function precision(candles) {
  const size = Math.abs(candles.at(-1)?.close ?? 1) || 1;
  const digits = Math.max(2, Math.min(10, 3 - Math.floor(Math.log10(size))));
  return { type: 'price', precision: digits, minMove: 10 ** -digits };
}

function Movers() {
  const found = useResource('/market/movers', {}, 60_000);
  const rows = moversOf(found.data).slice(0, 10);
  const columns = [
    { key: 'asset', title: t('asset'), card: 'a', render: (row) => html`<a href=${`/market?asset=${row.asset}`}>${row.asset}</a>` },
    { key: 'source', title: t('source'), card: 'd', render: (row) => html`<span class="muted">${row.source}</span>` },
    { key: 'price', title: t('price'), end: true, card: 'c', render: (row) => html`<span class="number" title=${row.price}>${number.price(row.price)}</span>` },
    { key: 'change', title: t('change'), end: true, card: 'b', render: (row) => html`<${Change} value=${row.change} />` },
  ];
  return html`<${Panel} flush title=${t('movers')} resource=${found} isEmpty=${rows.length === 0} empty=${{ title: t('no mover') }}>
    <${Table} caption=${t('movers')} columns=${columns} rows=${rows} keyOf=${(row) => `${row.asset} ${row.source} ${row.quote}`} /><//>`;
}

function Indices() {
  const found = useResource('/market/indices', {}, 60_000);
  const rows = indicesOf(found.data);
  return html`<${Panel} title=${t('indices')} resource=${found} isEmpty=${rows.length === 0} empty=${{ title: t('no index') }}>
    <ul class="lines">${rows.map((one) => html`<li key=${`${one.name} ${one.source}`}><span class="strong">${safe(one.name)}</span> <span class="number">${number.amount(one.value)}</span> <span class="title">${safe(one.classification ?? '')}</span> <span class="muted"><${Age} at=${one.at} /></span></li>`)}</ul><//>`;
}
