// What departs from its usual hours.

import { t, term } from '../store/i18n.js';
import * as number from '../store/number.js';
import { offers } from '../store/offers.js';
import { link } from '../store/route.js';
import { may } from '../store/session.js';
import { anomaliesOf } from '../store/token-shapes.js';
import { html } from './html.js';
import { Panel, useResource } from './panel.js';
import { Age, safe, State, TokenName } from './values.js';

export function Anomalies({ query }) {
  const found = useResource('/analysis/anomalies', { chain: query.chain, limit: 30 }, 60_000);
  const rows = anomaliesOf(found.data);
  return html`<${Panel} title=${t('anomalies')} resource=${found} isEmpty=${rows.length === 0} height=${180} empty=${{ title: t('no anomaly'), hint: t('no anomaly.hint') }}>
    <ul class="gauges anomalies">${rows.map((one) => html`<${Anomaly} key=${one.key} one=${one} />`)}</ul>
  <//>`;
}

function Anomaly({ one }) {
  const shown = one.what === 'price' ? number.price : number.compact;
  const isMore = one.z > 0;
  const off = html`<${State} tone=${isMore ? 'info' : 'warn'}>${isMore ? t('anomaly.more') : t('anomaly.less')} · ${t('anomaly.off', { z: number.amount(Math.abs(one.z).toFixed(1)) })}<//>`;
  const mayRule = one.token && may('rules:test') && offers('post /rules/from-filter');
  return html`<li>
    <p>${one.token
      ? html`<${TokenName} chain=${one.chain} address=${one.token} symbol=${one.name} verified=${one.verified} /> <span class="muted">${one.chain}</span>`
      : html`<a class="strong" href=${link('/market', { asset: one.asset })}>${safe(one.name)}</a> <span class="muted">${safe(one.source)}</span>`}</p>
    <p><span class="muted">${term('anomaly.what', one.what)}</span> ${off}</p>
    <p class="figure small"><span class="number" title=${number.exact(one.value)}>${shown(one.value)}</span>
      <span class="muted" title=${`${number.exact(one.low)} – ${number.exact(one.high)}`}>${t('anomaly.usual', { low: shown(one.low), high: shown(one.high) })}</span></p>
    <p class="muted small">${t('anomaly.since')} <${Age} at=${one.since} />${mayRule && html` · <a href=${link('/rules/new', { chain: one.chain, token: one.token })}>${t('rule.of filter')}</a>`}</p></li>`;
}
