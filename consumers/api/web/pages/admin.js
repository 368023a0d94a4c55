// Who may use the API, and who changed what.

import { useState } from 'preact/hooks';
import { ask } from '../store/api.js';
import { t, term } from '../store/i18n.js';
import { offers } from '../store/offers.js';
import { filter } from '../store/route.js';
import { may } from '../store/session.js';
import { Drawer, Facts, Raw } from '../parts/drawer.js';
import { html, Icon } from '../parts/html.js';
import { Empty, Panel, say, Trouble, useResource } from '../parts/panel.js';
import { Pages, Table } from '../parts/table.js';
import { Copy, safe, State, Time } from '../parts/values.js';

const ROLES = ['viewer', 'analyst', 'operator', 'admin'];
const LENGTHS = ['7d', '30d', '90d', '365d'];
const TONES = { counts: 'good', expired: 'warn', revoked: 'none' };

export default function Admin({ chains, query }) {
  const mayKeys = may('keys') && offers('get /keys');
  const mayChanges = may('audit') && offers('get /audit');
  return html`<div class="page">
    <div class="head"><h1>${t('page.admin')}</h1></div>
    ${!mayKeys && !mayChanges && html`<${Empty} title=${t('forbidden')} hint=${t('forbidden.scope', { scope: 'keys' })} />`}
    ${mayKeys && html`<${Keys} chains=${chains} />`}
    ${mayChanges && html`<${Changes} query=${query} />`}
  </div>`;
}

function Keys({ chains }) {
  const [isAdding, setAdding] = useState(false);
  const found = useResource('/keys', {}, 30_000);
  const rows = found.data?.items ?? [];
  const columns = [
    { key: 'name', title: t('name'), card: 'a', sort: (a, b) => a.name.localeCompare(b.name), render: (row) => html`<span class="strong">${safe(row.name)}</span> <code>${row.id}</code>` },
    { key: 'role', title: t('key.role'), card: 'c', render: (row) => row.role },
    { key: 'chains', title: t('chains'), wide: 'wide', render: (row) => (row.chains ? row.chains.map((chain) => safe(chain)).join(', ') : t('all chains')) },
    { key: 'state', title: t('state'), card: 'b', render: (row) => html`<${State} tone=${TONES[row.state] ?? 'none'}>${term('keystate', row.state)}<//>` },
    { key: 'made', title: t('key.made'), end: true, wide: 'wide', sort: (a, b) => a.created_at_us - b.created_at_us, render: (row) => html`<${Time} at=${row.created_at_us} />` },
    { key: 'until', title: t('until'), end: true, card: 'd', render: (row) => (row.revoked_at_us ?? row.expires_at_us ? html`<${Time} at=${row.revoked_at_us ?? row.expires_at_us} />` : html`<span class="muted">–</span>`) },
    { key: 'end', title: t('key.revoke'), end: true, render: (row) => row.state === 'counts' && html`<${Revoke} id=${row.id} onDone=${found.again} />` },
  ];
  const add = offers('post /keys') && html`<button type="button" onClick=${() => setAdding(true)}><${Icon} name="add" /> ${t('key.add')}</button>`;
  return html`<${Panel} flush title=${t('api keys')} actions=${add} resource=${found} isEmpty=${rows.length === 0} height=${160} empty=${{ title: t('no key'), hint: t('no key.hint') }}>
    <${Table} caption=${t('api keys')} columns=${columns} rows=${rows} keyOf=${(row) => row.id} /><//>
    ${isAdding && html`<${AddKey} chains=${chains} onDone=${found.again} onClose=${() => setAdding(false)} />`}`;
}

/** Revokes a key; it is asked again first, since it counts in every process at once and there is no way back. */
function Revoke({ id, onDone }) {
  const [isAsked, setAsked] = useState(false);
  const revoke = async () => {
    try {
      await ask(`/keys/${id}`, { method: 'DELETE' });
      say(t('key.revoked'));
      onDone();
    } catch (problem) {
      say(problem.detail || problem.title || t('failed'));
    }
  };
  if (!isAsked) return html`<button type="button" onClick=${() => setAsked(true)}>${t('key.revoke')}</button>`;
  return html`<button type="button" class="tone-bad" onClick=${revoke}>${t('key.sure')}</button> <button type="button" onClick=${() => setAsked(false)}>${t('cancel')}</button>`;
}

/** Makes a key, and shows it until the sheet is closed: it is kept nowhere. */
function AddKey({ chains, onDone, onClose }) {
  const [form, setForm] = useState({ name: '', role: 'viewer', expires: '90d', chain: '' });
  const [problem, setProblem] = useState(null);
  const [made, setMade] = useState(null);
  const set = (name) => (event) => setForm({ ...form, [name]: event.target.value });
  const submit = async (event) => {
    event.preventDefault();
    const body = { name: form.name.trim(), role: form.role, expires: form.expires || undefined, chains: form.chain ? [form.chain] : undefined };
    try {
      setMade(await ask('/keys', { method: 'POST', body }));
      setProblem(null);
      onDone();
    } catch (caught) {
      setProblem(caught);
    }
  };
  if (made) {
    return html`<${Drawer} title=${t('key.add')} onClose=${onClose}>
      ${made.secret
        ? html`<p class="strong">${t('key.once')}</p><p class="mono break">${made.secret} <${Copy} text=${made.secret} label=${t('copy')} /></p>`
        : html`<p class="tone-bad">${t('key.lost', { id: made.id })}</p>`}
      <${Facts} items=${[[t('name'), safe(made.name)], [t('key.role'), made.role], [t('key'), made.id], [t('until'), made.expires_at_us && html`<${Time} at=${made.expires_at_us} />`]]} />
    <//>`;
  }
  return html`<${Drawer} title=${t('key.add')} onClose=${onClose}>
    <form class="fields" onSubmit=${submit}>
      ${problem && html`<${Trouble} problem=${problem} />`}
      <label>${t('name')}<input required maxlength="64" value=${form.name} onInput=${set('name')} /></label>
      <label>${t('key.role')}<select value=${form.role} onChange=${set('role')}>${ROLES.map((role) => html`<option value=${role} selected=${role === form.role}>${role}</option>`)}</select></label>
      <label>${t('key.long')}<select value=${form.expires} onChange=${set('expires')}>${LENGTHS.map((one) => html`<option value=${one} selected=${one === form.expires}>${t('days', { count: parseInt(one, 10) })}</option>`)}<option value="">${t('key.unlimited')}</option></select></label>
      <label>${t('chain')}<select value=${form.chain} onChange=${set('chain')}><option value="">${t('all chains')}</option>${chains.map((one) => html`<option value=${one.chain}>${one.chain}</option>`)}</select></label>
      <button class="primary" type="submit" disabled=${!form.name.trim()}>${t('key.add')}</button>
    </form>
  <//>`;
}

/** Who changed what, through the API or by a command; a press shows what was before. */
function Changes({ query }) {
  const [open, setOpen] = useState(null);
  const found = useResource('/audit', { since: `-${query.range ?? '24h'}`, limit: 50, cursor: query.changes }, 30_000);
  const rows = found.data?.items ?? [];
  const columns = [
    { key: 'time', title: t('time'), card: 'b', render: (row) => html`<${Time} at=${row.event_at_us} />` },
    { key: 'actor', title: t('author'), card: 'a', render: (row) => html`<span class="strong">${safe(row.actor)}</span> <span class="muted">${safe(row.via)} ${safe(row.origin)}</span>` },
    { key: 'action', title: t('audit.action'), card: 'c', render: (row) => html`<code>${safe(row.action)}</code>` },
    { key: 'target', title: t('audit.target'), card: 'd', render: (row) => html`<span class="mono detail" title=${safe(row.target)}>${safe(row.target)}</span>` },
  ];
  return html`<${Panel} flush title=${t('audit')} resource=${found} isEmpty=${rows.length === 0} height=${120} empty=${{ title: t('no change'), hint: t('no match.hint') }}>
    <${Table} caption=${t('audit')} columns=${columns} rows=${rows} keyOf=${(row) => row.id} onOpen=${setOpen} />
    <${Pages} list=${found.data} isFirst=${!query.changes} go=${(changes) => filter({ changes })} />
    ${open && html`<${Drawer} title=${safe(open.action)} onClose=${() => setOpen(null)}><${Facts} items=${[
      [t('author'), html`${safe(open.actor)} <span class="muted">${safe(open.via)} ${safe(open.origin)}</span>`],
      [t('time'), html`<${Time} at=${open.event_at_us} always="age" />`],
      [t('audit.target'), html`<code>${safe(open.target)}</code>`],
      [t('audit.before'), open.before && html`<code>${safe(open.before, 4000)}</code>`],
      [t('audit.after'), open.after && html`<code>${safe(open.after, 4000)}</code>`],
      [t('key'), open.key],
    ]} /><${Raw} value=${open} /><//>`}
  <//>`;
}
