// A rule of a filter of transfers: the text is made by the API, then written on, checked and tried here.

import { useEffect, useState } from 'preact/hooks';
import { ask } from '../store/api.js';
import { t, term } from '../store/i18n.js';
import { filter } from '../store/route.js';
import { html } from '../parts/html.js';
import { Skeleton, Trouble } from '../parts/panel.js';
import { safe } from '../parts/values.js';
import { Workshop } from '../parts/workshop.js';

const SEVERITIES = ['info', 'warning', 'critical'];
const ID = /^[a-z0-9][a-z0-9-]{0,63}$/;

/** The filter of the list of transactions, as the API makes a rule of it. */
export function filterOf(query) {
  return {
    id: ID.test(query.id ?? '') ? query.id : undefined,
    severity: SEVERITIES.includes(query.severity) ? query.severity : undefined,
    chain: query.chain ? [query.chain] : undefined,
    kind: query.kind ? [query.kind] : undefined,
    address: query.address || undefined,
    direction: (query.address && query.direction) || undefined,
    token: query.token || undefined,
    watched: query.watched ? true : undefined,
    verified: query.verified ? true : undefined,
    min_usd: query.min_usd || undefined,
  };
}

export default function RuleNew({ query }) {
  const body = filterOf(query);
  const asked = JSON.stringify(body);
  const [made, setMade] = useState({ toml: null, problem: null, of: null });
  const make = () => {
    const abort = new AbortController();
    ask('/rules/from-filter', { method: 'POST', body, signal: abort.signal }).then(
      (answer) => setMade({ toml: answer.toml, problem: null, of: asked }),
      (problem) => !abort.signal.aborted && setMade({ toml: null, problem, of: asked }),
    );
    return () => abort.abort();
  };
  useEffect(make, [asked]);
  const words = ['chain', 'kind', 'address', 'direction', 'token', 'min_usd'].filter((name) => query[name]).map((name) => `${term('filter', name)}: ${safe(query[name])}`);
  if (query.watched) words.push(t('watched'));
  if (query.verified) words.push(t('verified only'));
  return html`<div class="page">
    <div class="head"><h1>${t('rule.new')}</h1></div>
    <p class="muted">${words.length ? words.join(' · ') : t('rule.every')}</p>
    <div class="filters open"><form onSubmit=${(event) => event.preventDefault()}>
      <label>${t('name')}<input size="28" maxlength="64" placeholder="transfers-of-a-filter" value=${query.id ?? ''} aria-invalid=${query.id && !body.id ? 'true' : undefined} onChange=${(event) => filter({ id: event.target.value.trim() })} /></label>
      <label>${t('severity')}<select value=${query.severity ?? 'info'} onChange=${(event) => filter({ severity: event.target.value })}>${SEVERITIES.map((one) => html`<option value=${one} selected=${one === (query.severity ?? 'info')}>${term('severity', one)}</option>`)}</select></label>
    </form></div>
    ${made.problem && html`<${Trouble} problem=${made.problem} again=${make} />`}
    ${made.toml === null && !made.problem && html`<${Skeleton} height=${420} />`}
    ${made.toml !== null && html`<${Workshop} key=${made.of} text=${made.toml} name=${body.id ?? 'transfers-of-a-filter'} />`}
  </div>`;
}
