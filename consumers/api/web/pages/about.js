// Versions, licences, notices.

import { t } from '../store/i18n.js';
import { html } from '../parts/html.js';
import { Panel } from '../parts/panel.js';
import { Outside } from '../parts/values.js';

/** As `vendor/vendor.lock` names them; a test compares the two. */
export const MODULES = [
  { name: 'preact', version: '11.2.0', licence: 'MIT', home: 'https://preactjs.com' },
  { name: '@preact/signals', version: '2.11.4', licence: 'MIT', home: 'https://github.com/preactjs/signals' },
  { name: '@preact/signals-core', version: '1.14.5', licence: 'MIT', home: 'https://github.com/preactjs/signals' },
  { name: 'htm', version: '3.1.1', licence: 'Apache-2.0', home: 'https://github.com/developit/htm' },
  { name: 'lightweight-charts', version: '5.2.1', licence: 'Apache-2.0', home: 'https://www.tradingview.com/' },
];

export default function About() {
  return html`<div class="page narrow">
    <div class="head"><h1>${t('page.about')}</h1></div>
    <${Panel} title="crypto-intel">
      <p>${t('about.what')}</p>
      <p><a href="/docs">${t('about.api')}</a> · <a href="/api/v1/openapi.json">openapi.json</a></p>
      <p class="muted">${t('about.privacy')}</p>
    <//>
    <${Panel} title=${t('about.modules')} flush>
      <div class="table"><table><caption class="hidden">${t('about.modules')}</caption>
        <thead><tr><th scope="col">${t('name')}</th><th scope="col">${t('version')}</th><th scope="col">${t('licence')}</th></tr></thead>
        <tbody>${MODULES.map((one) => html`<tr><td><${Outside} href=${one.home}>${one.name}<//></td><td class="number">${one.version}</td><td>${one.licence}</td></tr>`)}</tbody>
      </table></div>
    <//>
    <${Panel} title=${t('about.notice')}><p>TradingView Lightweight Charts™<br />Copyright (с) TradingView, Inc. <${Outside} href="https://www.tradingview.com/">https://www.tradingview.com/<//></p><//>
  </div>`;
}
