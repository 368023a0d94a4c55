// One rule: what it says, when it fired, and what it would have said with another text.

import { t, term } from '../store/i18n.js';
import * as number from '../store/number.js';
import { offers } from '../store/offers.js';
import { may } from '../store/session.js';
import { ruleOf } from '../store/shapes.js';
import { Facts } from '../parts/drawer.js';
import { html } from '../parts/html.js';
import { Panel, useResource } from '../parts/panel.js';
import { Tell } from '../parts/tell.js';
import { safe, Severity, State, Time } from '../parts/values.js';
import { Workshop } from '../parts/workshop.js';

export default function Rule({ name }) {
  const found = useResource(`/rules/${encodeURIComponent(name)}`, {}, 30_000);
  const rule = found.data && ruleOf(found.data);
  const mayTry = may('rules:test') && offers('post /rules/test');
  const marks = (texts) => texts.length > 0 && texts.map((one) => html`<span class="mark">${safe(one)}</span> `);
  return html`<div class="page">
    <div class="head"><h1>${safe(name)}</h1>${rule && html`<${Severity} value=${rule.severity} />${!rule.enabled && html`<${State} tone="none">${t('rule.off')}<//>`}`}
      <span class="space"></span><${Tell} target=${name} /><a class="button" href=${`/alerts?rule=${encodeURIComponent(name)}`}>${t('page.alerts')}</a></div>
    ${rule?.description && html`<p>${safe(rule.description, 500)}</p>`}
    <${Panel} title=${t('facts')} resource=${found} height=${240}>
      ${rule && html`<${Facts} items=${[
        [t('rule.last'), rule.last && html`<${Time} at=${rule.last} always="age" />`],
        [t('rule.day'), number.count(rule.day)],
        [t('rule.on'), marks(rule.on)],
        [t('rule.when'), rule.when && html`<code>${safe(rule.when, 2000)}</code>`],
        [t('rule.trigger'), term('trigger', rule.trigger)],
        [t('rule.lasts'), rule.lasts],
        [t('rule.cooldown'), rule.cooldown],
        [t('rule.groups'), marks(rule.groups)],
        [t('labels'), marks(rule.labels)],
        [t('told'), rule.routes.length ? marks(rule.routes) : t('rule.by routes')],
        [t('rule.file'), html`<code>${safe(rule.file)}:${rule.line}</code>`],
      ]} />`}
    <//>
    ${rule && (mayTry ? html`<${Workshop} key=${rule.id} text=${rule.text} name=${rule.id} />` : html`<${Panel} title=${t('rule.text')}><pre class="code" tabindex="0">${rule.text}</pre><//>`)}
  </div>`;
}
