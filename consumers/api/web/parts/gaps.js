// What is complete: up to where audits found everything, and what history still has to publish.

import { useState } from 'preact/hooks';
import { ask } from '../store/api.js';
import { t, term } from '../store/i18n.js';
import * as number from '../store/number.js';
import { offers } from '../store/offers.js';
import { may } from '../store/session.js';
import { Meter } from './chart.js';
import { Drawer } from './drawer.js';
import { html, Icon } from './html.js';
import { Panel, say, Trouble, useResource } from './panel.js';
import { Sure } from './sure.js';
import { Table } from './table.js';
import { safe, State, Time } from './values.js';

const TONES = { queued: 'none', begun: 'good', held: 'bad' };
const DIGITS = /^\d{1,15}$/;

/** Ranges that history still has to publish, and a form for another one. */
export function Gaps({ chains }) {
  const [isAsking, setAsking] = useState(false);
  const found = useResource('/gaps', { limit: 100 }, 5_000);
  const rows = found.data?.items ?? [];
  const takeBack = (row) => async () => {
    await ask(`/backfill/${row.chain}/${row.from}`, { method: 'DELETE' });
    say(t('gap.taken back'));
    found.again();
  };
  const mayTake = (row) => row.reason === 'backfill' && !row.address && may('ops:write') && offers('delete /backfill/{chain}/{number}');
  const columns = [
    { key: 'chain', title: t('chain'), card: 'a', render: (row) => html`<span class="strong">${row.chain}</span>` },
    { key: 'range', title: t('gap.range'), card: 'c', render: (row) => html`<span class="number">${number.count(row.from)} – ${number.count(row.to)}</span>${row.address && html` <span class="mono muted">${safe(row.address)}</span>`}` },
    { key: 'reason', title: t('gap.reason'), wide: 'wide', render: (row) => term('gap', row.reason) },
    { key: 'state', title: t('state'), card: 'b', render: (row) => html`<span title=${safe(row.trouble)}><${State} tone=${TONES[row.state] ?? 'warn'}>${term('gap.state', row.state)}<//></span>` },
    { key: 'progress', title: t('gap.progress'), card: 'd', render: (row) => {
      const share = row.blocks > 0 ? row.published / row.blocks : 0;
      return html`<${Meter} value=${share} label=${number.percent(share * 100, 1)} /><span class="number muted">${number.count(row.published)} / ${number.count(row.blocks)}</span>
        ${mayTake(row) && html`<${Sure} label=${t('gap.take back')} question=${t('gap.take back.sure')} act=${takeBack(row)} />`}`;
    } },
    { key: 'queued', title: t('gap.queued'), end: true, wide: 'wider', render: (row) => html`<${Time} at=${row.queued_at_us} />` },
  ];
  const form = may('ops:write') && offers('post /backfill') && chains.length > 0
    && html`<button type="button" onClick=${() => setAsking(true)}><${Icon} name="add" /> ${t('backfill')}</button>`;
  return html`<${Panel} flush title=${t('gaps')} note=${safe(found.data?.warnings?.[0])} actions=${form} resource=${found} isEmpty=${rows.length === 0} height=${80} empty=${{ title: t('no gap'), hint: t('no gap.hint') }}>
    <${Table} caption=${t('gaps')} columns=${columns} rows=${rows} keyOf=${(row) => `${row.chain} ${row.from} ${row.address ?? ''} ${row.reason}`} /><//>
    ${isAsking && html`<${Backfill} chains=${chains} onClose=${() => setAsking(false)} onDone=${() => { setAsking(false); found.again(); }} />`}`;
}

/** Queues a past range of a chain. */
function Backfill({ chains, onClose, onDone }) {
  const [form, setForm] = useState({ chain: chains[0].chain, from: '', to: '' });
  const [problem, setProblem] = useState(null);
  const set = (name) => (event) => setForm({ ...form, [name]: event.target.value });
  const isValid = DIGITS.test(form.from) && DIGITS.test(form.to) && Number(form.from) <= Number(form.to);
  const submit = async (event) => {
    event.preventDefault();
    if (!isValid) return;
    try {
      const range = await ask('/backfill', { method: 'POST', body: { chain: form.chain, from: Number(form.from), to: Number(form.to) } });
      say(t('backfill.done', { count: range.blocks, to: number.count(range.to) }));
      onDone();
    } catch (caught) {
      setProblem(caught);
    }
  };
  const block = (name, title) => html`<label>${title}<input required inputmode="numeric" pattern="[0-9]*" value=${form[name]} onInput=${set(name)} aria-invalid=${form[name] && !DIGITS.test(form[name]) ? 'true' : undefined} /></label>`;
  return html`<${Drawer} title=${t('backfill')} onClose=${onClose}>
    <form class="fields" onSubmit=${submit}>
      <p class="muted">${t('backfill.hint')}</p>
      ${problem && html`<${Trouble} problem=${problem} />`}
      <label>${t('chain')}<select value=${form.chain} onChange=${set('chain')}>${chains.map((one) => html`<option value=${one.chain}>${one.chain}</option>`)}</select></label>
      ${block('from', t('backfill.from'))}
      ${block('to', t('backfill.to'))}
      <button class="primary" type="submit" disabled=${!isValid}>${t('backfill')}</button>
    </form>
  <//>`;
}

/** Up to which block audits found everything. */
export function Verified() {
  const found = useResource('/verified', {}, 60_000);
  const rows = found.data?.items ?? [];
  const columns = [
    { key: 'chain', title: t('chain'), card: 'a', render: (row) => html`<span class="strong">${row.chain}</span>` },
    { key: 'number', title: t('verified.to'), end: true, card: 'b', render: (row) => (row.number === null ? html`<span class="muted">${t('verified.never')}</span>` : html`<span class="number" title=${row.hash}>${number.count(row.number)}</span>`) },
    { key: 'behind', title: t('verified.behind'), end: true, card: 'd', render: (row) => html`<span class="number">${row.unverified_blocks === null ? '–' : number.count(row.unverified_blocks)}</span>` },
    { key: 'against', title: t('verified.against'), wide: 'wide', render: (row) => (row.against ? term('verified.against', row.against) : html`<span class="muted">–</span>`) },
    { key: 'at', title: t('verified.at'), end: true, wide: 'wide', render: (row) => (row.at_us === null ? html`<span class="muted">–</span>` : html`<${Time} at=${row.at_us} />`) },
  ];
  return html`<${Panel} flush title=${t('verified blocks')} resource=${found} isEmpty=${rows.length === 0} height=${80} empty=${{ title: t('no chain') }}>
    <${Table} caption=${t('verified blocks')} columns=${columns} rows=${rows} keyOf=${(row) => row.chain} /><//>`;
}

/** Ranges that live left to history: rules did not see them. */
export function Jumps() {
  const found = useResource('/jumps', { since: '-30d', limit: 20 }, 60_000);
  const rows = found.data?.items ?? [];
  return html`<${Panel} title=${t('jumps')} resource=${found} isEmpty=${rows.length === 0} height=${80} empty=${{ title: t('no jump') }}>
    <ul class="lines">${rows.map((row) => html`<li key=${`${row.chain} ${row.block_hash}`}><span class="strong">${row.chain}</span>
      <span class="title">${t('jump', { from: number.count(row.from_number), to: number.count(row.to_number) })}</span> <span class="muted"><${Time} at=${row.observed_at_us} /></span></li>`)}</ul><//>`;
}
