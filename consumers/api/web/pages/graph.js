// Who deals with whom around an address: a drawing, and the same as a table.

import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { t, term } from '../store/i18n.js';
import { layoutOf, PLACE, widthOf } from '../store/layout.js';
import * as number from '../store/number.js';
import { filter, link } from '../store/route.js';
import { graphOf, sumsOf, walletsOf } from '../store/shapes.js';
import { imitates } from '../parts/events.js';
import { classes, html } from '../parts/html.js';
import { useDelayed } from '../parts/live.js';
import { Panel, States, useResource } from '../parts/panel.js';
import { Table } from '../parts/table.js';
import { Address, Copy, safe, shortAddress, Time, Usd } from '../parts/values.js';
import { mayWatch, Watch } from '../parts/watch.js';

const ADDRESS = /^0x[0-9a-fA-F]{40}$/;
const MAX_NODES = 60;
/** With more edges only those of the chosen node say what they are worth. */
const MAX_WORDS = 24;

export default function Graph({ chains, query }) {
  const isAddress = ADDRESS.test(query.address ?? '');
  const later = useDelayed((name, value) => filter({ [name]: value.trim(), node: '' }), 400);
  const typed = (name) => (event) => later(name, event.target.value);
  const depth = query.depth === '2' ? '2' : '1';
  return html`<div class="page">
    <div class="head"><h1>${t('page.graph')}</h1></div>
    <div class="filters open"><form onSubmit=${(event) => event.preventDefault()}>
      <label>${t('address')}<input size="42" placeholder="0x…" spellcheck="false" value=${query.address ?? ''} onInput=${typed('address')} aria-invalid=${query.address && !isAddress ? 'true' : undefined} /></label>
      <label>${t('at least')}<input inputmode="decimal" size="9" placeholder="0" value=${query.min_usd ?? ''} onInput=${typed('min_usd')} aria-label=${t('at least.usd')} /></label>
      <span class="chips" role="group" aria-label=${t('graph.depth')}>${['1', '2'].map((one) => html`<button type="button" class="chip" aria-pressed=${one === depth ? 'true' : 'false'} onClick=${() => filter({ depth: one === '1' ? '' : one, node: '' })}>${t(`graph.depth.${one}`)}</button>`)}</span>
    </form></div>
    ${isAddress ? html`<${Around} key=${query.address} address=${query.address.toLowerCase()} depth=${depth} query=${query} chains=${chains} />` : html`<${Begin} />`}
  </div>`;
}

/** Where to begin: whom we watch. */
function Begin() {
  const found = useResource('/wallets', { limit: 24 }, 0);
  const rows = walletsOf(found.data);
  return html`<${Panel} title=${t('graph.begin')} resource=${found} isEmpty=${rows.length === 0} empty=${{ title: t('no wallet'), hint: t('graph.begin.hint') }}>
    <ul class="lines">${rows.map((row) => html`<li key=${`${row.address} ${row.chain}`}><a href=${link('/graph', { address: row.address })}>${Address({ address: row.address, label: row.label, plain: true })}</a></li>`)}</ul>
  <//>`;
}

function Around({ address, depth, query, chains }) {
  const least = /^\d+(\.\d+)?$/.test(query.min_usd ?? '') ? query.min_usd : undefined;
  const found = useResource('/graph', { address, depth, limit: MAX_NODES, chain: query.chain, min_usd: least, since: `-${query.range ?? '24h'}` }, 60_000);
  const graph = useMemo(() => marked(graphOf(found.data)), [found.data]);
  const chosen = graph.nodes.find((node) => node.address === query.node);
  const choose = (node) => filter({ node: node.address === query.node ? '' : node.address });
  return html`<${States} resource=${found} height=${520} isEmpty=${graph.nodes.length < 2} empty=${{ title: t('no counterparty'), hint: t('no match.hint') }}>
    ${graph.cut.map((text) => html`<p class="fold">${safe(text)}</p>`)}
    ${graph.found > graph.nodes.length && html`<p class="fold">${t('graph.shown', { shown: graph.nodes.length, found: number.count(graph.found) })}</p>`}
    <div class="stack"><div class="with-rail">
      <section class="panel flush" aria-label=${t('graph.drawing')}><div class="body"><${Drawing} graph=${graph} chosen=${chosen} choose=${choose} /></div></section>
      <aside>${chosen ? html`<${Chosen} key=${chosen.address} node=${chosen} graph=${graph} chains=${chains} again=${found.again} />` : html`<${Legend} />`}</aside>
    </div>
    <${NodeTable} graph=${graph} chosen=${chosen} choose=${choose} /></div>
  <//>`;
}

/** Nodes with their sums, and with whom they could be mistaken for. */
function marked(graph) {
  const sums = sumsOf(graph);
  const frequent = graph.nodes.filter((node) => node.level === 0 || node.watched || sums.get(node.address).transfers > 2).map((node) => node.address);
  const nodes = graph.nodes.map((node) => ({ ...node, ...sums.get(node.address), like: node.level === 0 || node.watched ? null : imitates(node.address, frequent) }));
  return { ...graph, nodes };
}

const nameOf = (node) => (node.label ? safe(node.label).slice(0, 24) : shortAddress(node.address));

/** What a node is, in words: for its title, its name to screen readers, and its marks. */
function wordsOf(node) {
  return [
    node.watched && t('watched'),
    ...node.categories.map((one) => term('tag', safe(one))),
    node.stop && t(`graph.stop.${node.stop}`),
    node.like && t('looks like'),
  ].filter(Boolean);
}

function Drawing({ graph, chosen, choose }) {
  const places = useMemo(() => layoutOf(graph), [graph]);
  const by = new Map(graph.nodes.map((node) => [node.address, node]));
  const { width, height } = PLACE;
  const box = useRef(null);
  // Where it is wider than the page, its middle is seen first.
  useEffect(() => {
    box.current.scrollLeft = (box.current.scrollWidth - box.current.clientWidth) / 2;
  }, [graph.root]);
  const edges = graph.edges.filter((edge) => places.has(edge.from) && places.has(edge.to));
  const ofRoot = (edge) => edge.from === graph.root || edge.to === graph.root;
  const many = edges.length > MAX_WORDS;
  // Those of the middle are drawn last, above the others.
  const drawn = [...edges.filter((edge) => !ofRoot(edge)), ...edges.filter(ofRoot)];
  const says = chosen ? edges.filter((edge) => edge.from === chosen.address || edge.to === chosen.address).slice(0, MAX_WORDS / 2) : many ? [] : edges;
  // One stop for the tabulator: arrows walk from node to node.
  const [stop, setStop] = useState(0);
  const walk = (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const next = (stop + step + graph.nodes.length) % graph.nodes.length;
    setStop(next);
    box.current.querySelectorAll('.dot')[next].focus();
  };
  return html`<div class="graph" ref=${box} onKeyDown=${walk}><svg viewBox=${`${-width / 2} ${-height / 2} ${width} ${height}`} role="group" aria-label=${t('graph.drawing')}>
    <defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="9" markerHeight="9" markerUnits="userSpaceOnUse" orient="auto"><path d="M0 .5L8 4 0 7.500z" /></marker></defs>
    ${drawn.map((edge) => Edge({ edge, places, by, root: graph.root, chosen }))}
    ${says.map((edge) => Worth({ edge, places }))}
    ${graph.nodes.map((node, index) => Dot({ node, place: places.get(node.address), isChosen: node === chosen, choose, isStop: index === Math.min(stop, graph.nodes.length - 1), onFocus: () => setStop(index) }))}
  </svg></div>`;
}

/** The middle of an edge's bow: both directions of a pair are beside each other. */
function bowOf(a, b) {
  const length = Math.hypot(b.x - a.x, b.y - a.y) || 1;
  const [dx, dy] = [(b.x - a.x) / length, (b.y - a.y) / length];
  const bend = Math.min(28, length * 0.08);
  return { x: (a.x + b.x) / 2 - dy * bend, y: (a.y + b.y) / 2 + dx * bend, end: { x: b.x - dx * 15, y: b.y - dy * 15 } };
}

const worthOf = (edge) => (edge.priced > 0 ? number.usdShort(edge.usd) : '–');

function Edge({ edge, places, by, root, chosen }) {
  const a = places.get(edge.from);
  const bow = bowOf(a, places.get(edge.to));
  const isOf = !chosen || edge.from === chosen.address || edge.to === chosen.address;
  const way = edge.to === root ? 'in' : edge.from === root ? 'out' : 'other';
  const text = t('graph.edge', { from: nameOf(by.get(edge.from)), to: nameOf(by.get(edge.to)), usd: worthOf(edge), count: number.count(edge.transfers) });
  return html`<g key=${`${edge.from} ${edge.to}`} class=${classes('edge', way, isOf ? chosen && 'clear' : 'dim')} aria-hidden="true"><title>${text}</title>
    <path d=${`M${a.x} ${a.y}Q${bow.x} ${bow.y} ${bow.end.x} ${bow.end.y}`} style=${{ strokeWidth: widthOf(edge.usd) }} marker-end="url(#arrow)" />
  </g>`;
}

/** What an edge is worth, above all edges. */
function Worth({ edge, places }) {
  const b = places.get(edge.to);
  const bow = bowOf(places.get(edge.from), b);
  return html`<text key=${`${edge.from} ${edge.to}`} class="worth" aria-hidden="true" x=${(bow.x + b.x) / 2} y=${(bow.y + b.y) / 2 + 4}>${worthOf(edge)} · ${number.count(edge.transfers)}×</text>`;
}

function Dot({ node, place, isChosen, choose, isStop, onFocus }) {
  const words = wordsOf(node);
  const press = (event) => {
    if (event.key !== 'Enter' && event.key !== ' ') return;
    event.preventDefault();
    choose(node);
  };
  const end = Math.cos(place.angle) < -0.2 ? 'end' : Math.cos(place.angle) > 0.2 && node.level ? 'start' : 'middle';
  const away = { start: 18, end: -18, middle: 0 }[end];
  const mark = node.like ? '!' : node.watched ? '●' : '';
  return html`<g key=${node.address} class=${classes('dot', node.level === 0 && 'root', node.stop && 'stop', node.watched && 'watched', (node.like || node.isBad) && 'bad', isChosen && 'chosen')}
    role="button" tabindex=${isStop ? 0 : -1} onFocus=${onFocus} aria-pressed=${isChosen ? 'true' : 'false'} aria-label=${[nameOf(node), ...words].join(', ')} onClick=${() => choose(node)} onKeyDown=${press} onDblClick=${() => filter({ address: node.address, node: '' })}
    transform=${`translate(${place.x} ${place.y})`}>
    <title>${[node.label && safe(node.label), node.address, ...words].filter(Boolean).join('\n')}</title>
    <circle class="hit" r="18" />
    ${node.stop ? html`<rect x="-10" y="-10" width="20" height="20" rx="3" />` : html`<circle r=${node.level === 0 ? 15 : 10} />`}
    <text class="sign" y="4">${mark}</text>
    <text x=${away} y=${end === 'middle' ? (place.y < 0 ? -18 : 30) : 4} text-anchor=${end}>${nameOf(node)}</text>
  </g>`;
}

function Legend() {
  return html`<${Panel} title=${t('graph.legend')}><ul class="legend">
    <li><svg width="22" height="14" aria-hidden="true"><path class="stroke in" d="M1 7h20" /></svg> ${t('graph.in')}</li>
    <li><svg width="22" height="14" aria-hidden="true"><path class="stroke out" d="M1 7h20" /></svg> ${t('graph.out')}</li>
    <li><svg width="22" height="14" aria-hidden="true"><rect class="box-sign" x="5" y="1" width="12" height="12" rx="2" /></svg> ${t('graph.stop')}</li>
    <li><span class="mark">●</span> ${t('watched')}</li>
    <li><span class="mark tone-bad">!</span> ${t('looks like')}</li></ul>
    <p class="muted">${t('graph.hint')}</p><//>`;
}

/** One node, and what can be done about it. */
function Chosen({ node, graph, chains, again }) {
  const [isAdding, setAdding] = useState(false);
  const edges = graph.edges.filter((edge) => edge.from === node.address || edge.to === node.address).slice(0, 8);
  const by = new Map(graph.nodes.map((one) => [one.address, one]));
  return html`<${Panel} title=${nameOf(node)}>
    <p class="mono break">${node.address} <${Copy} text=${node.address} label=${t('copy.address')} /></p>
    <p>${wordsOf(node).map((word) => html`<span class="mark">${word}</span> `)}${node.like && html`<span class="muted break">${t('graph.like', { address: node.like })}</span>`}</p>
    <p class="chips">
      <a class="button" href=${`/wallet/${node.address}`}>${t('graph.wallet')}</a>
      ${node.level > 0 && html`<button type="button" onClick=${() => filter({ address: node.address, node: '' })}>${t('graph.centre')}</button>`}
      ${mayWatch() && !node.watched && html`<button type="button" class="primary" onClick=${() => setAdding(true)}>${t('watch')}</button>`}</p>
    <ul class="lines">${edges.map((edge) => {
      const isIn = edge.to === node.address;
      const other = by.get(isIn ? edge.from : edge.to);
      return html`<li key=${`${edge.from} ${edge.to}`}><span class="title"><span class="muted">${t(isIn ? 'from' : 'to')}</span> ${other ? nameOf(other) : ''}</span>
        <span class="muted number">${number.count(edge.transfers)}×</span> <${Usd} value=${edge.priced ? edge.usd : null} short /></li>`;
    })}</ul>
    ${isAdding && html`<${Watch} chains=${chains} address=${node.address} onClose=${() => setAdding(false)} onDone=${() => { setAdding(false); setTimeout(again, 1500); }} />`}
  <//>`;
}

function NodeTable({ graph, chosen, choose }) {
  const rows = graph.nodes.filter((node) => node.level > 0);
  const columns = [
    { key: 'address', title: t('counterparty'), card: 'a', render: (row) => html`${Address({ address: row.address, label: row.label, tags: [...row.categories, ...row.tags] })}${row.like && html`<span class="mark tone-bad" title=${row.like}>${t('looks like')}</span>`}${row.watched && html` <span class="mark">${t('watched')}</span>`}` },
    { key: 'level', title: t('graph.steps'), end: true, wide: 'wide', render: (row) => html`<span class="number">${row.level}</span>` },
    { key: 'transfers', title: t('transfers'), end: true, card: 'b', sort: (a, b) => a.transfers - b.transfers, render: (row) => html`<span class="number">${number.count(row.transfers)}</span>` },
    { key: 'sent', title: t('graph.sent'), end: true, card: 'c', sort: (a, b) => number.compare(a.sent, b.sent), render: (row) => html`<${Usd} value=${row.sent} />` },
    { key: 'received', title: t('graph.received'), end: true, card: 'd', sort: (a, b) => number.compare(a.received, b.received), render: (row) => html`<${Usd} value=${row.received} />` },
    { key: 'last', title: t('last seen'), end: true, wide: 'wide', render: (row) => html`<${Time} at=${row.last} />` },
  ];
  return html`<${Table} caption=${t('graph.table')} columns=${columns} rows=${rows} keyOf=${(row) => row.address} onOpen=${choose} selected=${chosen?.address} />`;
}
