// Having a chat told of an address or a rule: which are told, another one, and the end of one.

import { useState } from 'preact/hooks';
import { ask } from '../store/api.js';
import { t } from '../store/i18n.js';
import { offers } from '../store/offers.js';
import { may } from '../store/session.js';
import { Drawer } from './drawer.js';
import { html, Icon } from './html.js';
import { Empty, say, States, Trouble, useResource } from './panel.js';
import { Table } from './table.js';
import { safe, Usd } from './values.js';

/** The button; nothing for readers who may not. */
export function Tell({ target }) {
  const [isOpen, setOpen] = useState(false);
  if (!may('subscriptions:write') || !offers('post /subscriptions')) return null;
  return html`<button type="button" onClick=${() => setOpen(true)}><${Icon} name="alerts" /> ${t('tell')}</button>
    ${isOpen && html`<${Subscriptions} target=${target} onClose=${() => setOpen(false)} />`}`;
}

function Subscriptions({ target, onClose }) {
  const found = useResource('/subscriptions');
  const places = useResource('/destinations');
  const rows = (found.data?.items ?? []).filter((one) => one.target === target.toLowerCase() || one.target === target);
  const end = async (id) => {
    try {
      await ask(`/subscriptions/${id}`, { method: 'DELETE' });
      found.again();
    } catch (problem) {
      say(problem.detail || problem.title || t('failed'));
    }
  };
  const columns = [
    { key: 'destination', title: t('told'), card: 'a', render: (row) => html`<span class="strong">${safe(row.destination)}</span> <span class="muted">${safe(row.author)}</span>` },
    { key: 'chains', title: t('chains'), card: 'c', render: (row) => (row.chains ? row.chains.join(', ') : t('all chains')) },
    { key: 'from', title: t('at least'), card: 'b', end: true, render: (row) => (row.min_usd ? html`<${Usd} value=${row.min_usd} />` : html`<span class="muted">–</span>`) },
    { key: 'end', title: t('end'), card: 'd', end: true, render: (row) => html`<button type="button" onClick=${() => end(row.id)}>${t('end')}</button>` },
  ];
  const names = (places.data?.items ?? []).map((one) => one.name);
  return html`<${Drawer} title=${t('tell')} onClose=${onClose}>
    <p class="muted">${t('tell.hint')}</p>
    <${States} resource=${found} height=${60} isEmpty=${rows.length === 0} empty=${{ title: t('tell.none') }}>
      <${Table} caption=${t('tell')} columns=${columns} rows=${rows} keyOf=${(row) => row.id} /><//>
    <${States} resource=${places} height=${60}>${names.length === 0
      ? html`<${Empty} title=${t('tell.nowhere')} hint=${t('tell.nowhere.hint')} />`
      : html`<${Form} target=${target} names=${names} onDone=${found.again} />`}<//>
  <//>`;
}

function Form({ target, names, onDone }) {
  const [form, setForm] = useState({ destination: names[0], min_usd: '' });
  const [problem, setProblem] = useState(null);
  const isAddress = target.startsWith('0x');
  const set = (name) => (event) => setForm({ ...form, [name]: event.target.value });
  const submit = async (event) => {
    event.preventDefault();
    try {
      const made = await ask('/subscriptions', { method: 'POST', body: { target, destination: form.destination, min_usd: form.min_usd.trim() || undefined } });
      say(made.warnings[0] ?? t('tell.done'));
      setProblem(null);
      onDone();
    } catch (caught) {
      setProblem(caught);
    }
  };
  return html`<form class="fields" onSubmit=${submit}>
    ${problem && html`<${Trouble} problem=${problem} />`}
    <label>${t('told')}<select value=${form.destination} onChange=${set('destination')}>${names.map((name) => html`<option value=${name} selected=${name === form.destination}>${safe(name)}</option>`)}</select></label>
    ${isAddress && html`<label>${t('at least.usd')}<input inputmode="decimal" placeholder="10000" value=${form.min_usd} onInput=${set('min_usd')} /></label>`}
    <button class="primary" type="submit">${t('tell')}</button>
  </form>`;
}
