// Watching addresses: adding one, and ending it.

import { useState } from 'preact/hooks';
import { ask } from '../store/api.js';
import { t } from '../store/i18n.js';
import { offers } from '../store/offers.js';
import { may } from '../store/session.js';
import { Drawer } from './drawer.js';
import { html } from './html.js';
import { say, Trouble } from './panel.js';

const ADDRESS = /^0x[0-9a-fA-F]{40}$/;
const BLOCK = /^\d{1,15}$/;

/** Whether the reader may change the watch-list here. */
export function mayWatch() {
  return may('watchlist:write') && offers('post /wallets');
}

/** Ends the watching of an entry; it is asked again first, since no copy of it stays. */
export function Unwatch({ address, chain, onDone }) {
  const [isAsked, setAsked] = useState(false);
  const end = async () => {
    try {
      await ask(`/wallets/${address}`, { method: 'DELETE', parameters: { chain: chain === 'all' ? undefined : chain } });
      say(t('unwatched'));
      onDone();
    } catch (problem) {
      say(problem.detail || problem.title || t('failed'));
    }
  };
  if (!isAsked) return html`<button type="button" onClick=${() => setAsked(true)}>${t('unwatch')}</button>`;
  return html`<button type="button" class="tone-bad" onClick=${end}>${t('unwatch.sure')}</button><button type="button" onClick=${() => setAsked(false)}>${t('cancel')}</button>`;
}

/** Adds an address to the watch-list. It counts from the next block on. */
export function Watch({ chains, address = '', onClose, onDone }) {
  const [form, setForm] = useState({ address, label: '', tags: '', chain: '', backfill: '' });
  const [problem, setProblem] = useState(null);
  const set = (name) => (event) => setForm({ ...form, [name]: event.target.value });
  const isValid = ADDRESS.test(form.address.trim()) && (form.backfill === '' || BLOCK.test(form.backfill));
  const submit = async (event) => {
    event.preventDefault();
    if (!isValid) return;
    const tags = form.tags.split(',').map((tag) => tag.trim()).filter(Boolean);
    const body = { address: form.address.trim(), label: form.label.trim() || undefined, tags: tags.length ? tags : undefined, chain: form.chain || undefined, backfill: form.backfill === '' ? undefined : Number(form.backfill) };
    try {
      const answer = await ask('/wallets', { method: 'POST', body });
      say(answer?.not_queued ? t('watch.past.failed', { chains: answer.not_queued.join(', ') }) : t('watch added'));
      onDone();
    } catch (caught) {
      setProblem(caught);
    }
  };
  return html`<${Drawer} title=${t('watch add')} onClose=${onClose}>
    <form class="fields" onSubmit=${submit}>
      <p class="muted">${t('watch add.hint')}</p>
      ${problem && html`<${Trouble} problem=${problem} />`}
      <label>${t('address')}<input required spellcheck="false" placeholder="0x…" value=${form.address} onInput=${set('address')} aria-invalid=${form.address && !ADDRESS.test(form.address.trim()) ? 'true' : undefined} /></label>
      <label>${t('label')}<input maxlength="64" value=${form.label} onInput=${set('label')} /></label>
      <label>${t('tags')}<input placeholder=${t('by commas')} value=${form.tags} onInput=${set('tags')} /></label>
      <label>${t('chain')}<select value=${form.chain} onChange=${set('chain')}><option value="">${t('all chains')}</option>
        ${chains.map((one) => html`<option value=${one.chain}>${one.chain}</option>`)}</select></label>
      ${may('ops:write') && html`<label>${t('watch.past')}<input inputmode="numeric" pattern="[0-9]*" placeholder=${t('watch.past.none')} value=${form.backfill} onInput=${set('backfill')} /></label>`}
      <button class="primary" type="submit" disabled=${!isValid}>${t('watch add')}</button>
    </form>
  <//>`;
}
