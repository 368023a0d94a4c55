// Whom we watch, and what they did.

import { useState } from 'preact/hooks';
import { t, term } from '../store/i18n.js';
import { filter, go } from '../store/route.js';
import { walletsOf } from '../store/shapes.js';
import { Export } from '../parts/export.js';
import { html, Icon } from '../parts/html.js';
import { useDelayed } from '../parts/live.js';
import { States, useResource } from '../parts/panel.js';
import { Pages, Table } from '../parts/table.js';
import { Address, safe, Time } from '../parts/values.js';
import { mayWatch, Watch } from '../parts/watch.js';

/** The watch-list is stored a moment after it changed. */
const STORED_MS = 1500;

export default function Wallets({ chains, query }) {
  const parameters = { chain: query.chain, label: query.label, tag: query.tag, limit: 100, cursor: query.cursor };
  const wallets = useResource('/wallets', parameters, 30_000);
  const rows = walletsOf(wallets.data);
  const [isAdding, setAdding] = useState(false);
  const later = useDelayed((value) => filter({ label: value.trim(), cursor: '' }));
  const add = mayWatch() && html`<button type="button" class="primary" onClick=${() => setAdding(true)}><${Icon} name="add" /> ${t('watch add')}</button>`;
  return html`<div class="page">
    <div class="head"><h1>${t('page.wallets')}</h1><span class="space"></span><${Export} path="/wallets" parameters=${parameters} name="wallets" />${add}</div>
    <div class="filters open"><form onSubmit=${(event) => event.preventDefault()}>
      <label>${t('label')}<input size="20" value=${query.label ?? ''} onInput=${(event) => later(event.target.value)} /></label>
      <label>${t('tag')}<input size="12" value=${query.tag ?? ''} onChange=${(event) => filter({ tag: event.target.value.trim(), cursor: '' })} /></label>
    </form></div>
    <${States} resource=${wallets} height=${420} isEmpty=${rows.length === 0}
      empty=${query.label || query.tag ? { title: t('no wallet match'), hint: t('no wallet match.hint') } : { title: t('no wallet'), hint: t('no wallet.hint'), action: add }}>
      <${Table} caption=${t('page.wallets')} columns=${columns()} rows=${rows} keyOf=${(row) => `${row.address} ${row.chain}`} onOpen=${(row) => go(`/wallet/${row.address}`)} />
      <${Pages} list=${wallets.data} isFirst=${!query.cursor} go=${(cursor) => filter({ cursor })} />
    <//>
    ${isAdding && html`<${Watch} chains=${chains} onClose=${() => setAdding(false)} onDone=${() => { setAdding(false); setTimeout(wallets.again, STORED_MS); }} />`}
  </div>`;
}

function columns() {
  return [
    { key: 'address', title: t('wallet'), card: 'a', sort: (a, b) => (a.label ?? '~').localeCompare(b.label ?? '~'), render: (row) => html`<${Address} address=${row.address} label=${row.label} />` },
    { key: 'chains', title: t('chains'), card: 'b', render: (row) => row.chains.join(', ') || t('all chains') },
    { key: 'group', title: t('group'), card: 'c', render: (row) => (row.group ? safe(row.group) : html`<span class="muted">–</span>`) },
    { key: 'tags', title: t('tags'), card: 'd', render: (row) => row.tags.map((tag) => html`<span class="mark">${term('tag', safe(tag))}</span> `) },
    { key: 'since', title: t('watched since'), wide: 'wide', end: true, sort: (a, b) => (a.since ?? 0) - (b.since ?? 0), render: (row) => html`<${Time} at=${row.since} />` },
  ];
}
