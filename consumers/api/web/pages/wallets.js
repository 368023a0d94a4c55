// Whom we watch, and what they did.

import { useState } from 'preact/hooks';
import { ask } from '../store/api.js';
import { t, term } from '../store/i18n.js';
import { filter, go } from '../store/route.js';
import { offers } from '../store/offers.js';
import { may } from '../store/session.js';
import { walletsOf } from '../store/shapes.js';
import { Drawer } from '../parts/drawer.js';
import { html } from '../parts/html.js';
import { Icon } from '../parts/icon.js';
import { useDelayed } from '../parts/live.js';
import { States, Trouble, useResource } from '../parts/panel.js';
import { say } from '../parts/say.js';
import { Pages, Table } from '../parts/table.js';
import { Address, safe, Time } from '../parts/values.js';

const ADDRESS = /^0x[0-9a-fA-F]{40}$/;

export default function Wallets({ chains, query }) {
  const wallets = useResource('/wallets', { chain: query.chain, label: query.label, tag: query.tag, limit: 100, cursor: query.cursor }, 30_000);
  const rows = walletsOf(wallets.data);
  const [isAdding, setAdding] = useState(false);
  const later = useDelayed((value) => filter({ label: value.trim(), cursor: '' }));
  const add = may('watchlist:write') && offers('post /wallets') && html`<button type="button" class="primary" onClick=${() => setAdding(true)}><${Icon} name="add" /> ${t('watch add')}</button>`;
  return html`<div class="page">
    <div class="head"><h1>${t('page.wallets')}</h1><span class="space"></span>${add}</div>
    <div class="filters open"><form onSubmit=${(event) => event.preventDefault()}>
      <label>${t('label')}<input size="20" value=${query.label ?? ''} onInput=${(event) => later(event.target.value)} /></label>
      <label>${t('tag')}<input size="12" value=${query.tag ?? ''} onChange=${(event) => filter({ tag: event.target.value.trim(), cursor: '' })} /></label>
    </form></div>
    <${States} resource=${wallets} height=${420} isEmpty=${rows.length === 0}
      empty=${query.label || query.tag ? { title: t('no wallet match'), hint: t('no wallet match.hint') } : { title: t('no wallet'), hint: t('no wallet.hint'), action: add }}>
      <${Table} caption=${t('page.wallets')} columns=${columns()} rows=${rows} keyOf=${(row) => `${row.address} ${row.chain}`} onOpen=${(row) => go(`/wallet/${row.address}`)} />
      <${Pages} list=${wallets.data} isFirst=${!query.cursor} go=${(cursor) => filter({ cursor })} />
    <//>
    ${isAdding && html`<${Add} chains=${chains} onClose=${() => setAdding(false)} onDone=${() => { setAdding(false); wallets.again(); }} />`}
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

/** Adds an address to the watch-list. It counts from the next block on. */
function Add({ chains, onClose, onDone }) {
  const [form, setForm] = useState({ address: '', label: '', tags: '', chain: '' });
  const [problem, setProblem] = useState(null);
  const set = (name) => (event) => setForm({ ...form, [name]: event.target.value });
  const isValid = ADDRESS.test(form.address.trim());
  const submit = async (event) => {
    event.preventDefault();
    if (!isValid) return;
    const tags = form.tags.split(',').map((tag) => tag.trim()).filter(Boolean);
    const body = { address: form.address.trim(), label: form.label.trim() || undefined, tags: tags.length ? tags : undefined, chain: form.chain || undefined };
    try {
      await ask('/wallets', { method: 'POST', body });
      say(t('watch added'));
      onDone();
    } catch (caught) {
      setProblem(caught);
    }
  };
  return html`<${Drawer} title=${t('watch add')} onClose=${onClose}>
    <form class="fields" onSubmit=${submit}>
      <p class="muted">${t('watch add.hint')}</p>
      ${problem && html`<${Trouble} problem=${problem} />`}
      <label>${t('address')}<input required spellcheck="false" placeholder="0x…" value=${form.address} onInput=${set('address')} aria-invalid=${form.address && !isValid ? 'true' : undefined} /></label>
      <label>${t('label')}<input maxlength="128" value=${form.label} onInput=${set('label')} /></label>
      <label>${t('tags')}<input placeholder=${t('by commas')} value=${form.tags} onInput=${set('tags')} /></label>
      <label>${t('chain')}<select value=${form.chain} onChange=${set('chain')}><option value="">${t('all chains')}</option>
        ${chains.map((one) => html`<option value=${one.chain}>${one.chain}</option>`)}</select></label>
      <button class="primary" type="submit" disabled=${!isValid}>${t('watch add')}</button>
    </form>
  <//>`;
}
