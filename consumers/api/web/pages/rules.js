// Rules in force: what each is about, who is told, when it fired last.

import { t, term } from '../store/i18n.js';
import * as number from '../store/number.js';
import { offers } from '../store/offers.js';
import { go } from '../store/route.js';
import { may } from '../store/session.js';
import { rulesOf } from '../store/shapes.js';
import { html, Icon } from '../parts/html.js';
import { States, useResource } from '../parts/panel.js';
import { Table } from '../parts/table.js';
import { safe, Severity, State, Time } from '../parts/values.js';

export default function Rules() {
  const found = useResource('/rules', {}, 30_000);
  const { rules, wrong } = rulesOf(found.data);
  const make = may('rules:test') && offers('post /rules/from-filter') && html`<a class="button" href="/rules/new"><${Icon} name="add" /> ${t('rule.new')}</a>`;
  return html`<div class="page">
    <div class="head"><h1>${t('page.rules')}</h1><span class="space"></span>${make}</div>
    ${wrong && html`<div class="trouble" role="status"><${Icon} name="warn" /><div><p class="strong">${t('rules.wrong', { count: wrong.count })}</p>
      ${wrong.problems.map((one) => html`<p class="mono">${[one.file, one.line, one.column].filter(Boolean).join(':')} ${safe(one.message, 500)}</p>`)}</div></div>`}
    <${States} resource=${found} height=${420} isEmpty=${rules.length === 0} empty=${{ title: t('no rule'), hint: t('no rule.hint') }}>
      <${Table} caption=${t('page.rules')} columns=${columns()} rows=${rows(rules)} keyOf=${(row) => row.id} onOpen=${(row) => go(`/rule/${encodeURIComponent(row.id)}`)} rowClass=${(row) => (row.enabled ? undefined : 'done')} />
    <//>
  </div>`;
}

/** Those that fired last come first. */
function rows(rules) {
  return [...rules].sort((a, b) => (b.last ?? 0) - (a.last ?? 0) || a.id.localeCompare(b.id));
}

function columns() {
  return [
    { key: 'rule', title: t('rule'), card: 'a', sort: (a, b) => a.id.localeCompare(b.id), render: (row) => html`<span class="strong title">${safe(row.id)}</span>` },
    { key: 'about', title: t('rule.about'), wide: 'wide', render: (row) => html`<span class="muted detail" title=${row.description}>${safe(row.description)}</span>` },
    { key: 'severity', title: t('severity'), card: 'c', render: (row) => html`<${Severity} value=${row.severity} />${!row.enabled && html` <${State} tone="none">${t('rule.off')}<//>`}` },
    { key: 'trigger', title: t('rule.trigger'), wide: 'roomy', render: (row) => term('trigger', row.trigger) },
    { key: 'told', title: t('told'), wide: 'wide', render: (row) => (row.routes.length ? row.routes.map((one) => html`<span class="mark">${safe(one)}</span> `) : html`<span class="muted">${t('rule.by routes')}</span>`) },
    { key: 'day', title: t('rule.day'), end: true, card: 'd', sort: (a, b) => a.day - b.day, render: (row) => html`<span class="number">${number.count(row.day)}</span>` },
    { key: 'last', title: t('rule.last'), end: true, card: 'b', sort: (a, b) => (a.last ?? 0) - (b.last ?? 0), render: (row) => html`<${Time} at=${row.last} />` },
  ];
}
