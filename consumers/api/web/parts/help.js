// The list of shortcuts, loaded when it is asked for.

import { t, shortcuts } from '../store/i18n.js';
import { Drawer } from './drawer.js';
import { html } from './html.js';

export function Help({ pages, onClose }) {
  const rows = [
    ['/', t('keys.search')],
    ...pages.filter((page) => page.key).map((page) => [`g ${page.key}`, t(page.title)]),
    ['j k', t('keys.rows')],
    ['Enter', t('keys.open')],
    ['Space', t('keys.pause')],
    ['y', t('keys.copy')],
    ['Esc', t('keys.close')],
    ['?', t('keys.help')],
  ];
  const toggle = (event) => {
    shortcuts.value = event.target.checked ? 'on' : 'off';
  };
  return html`<${Drawer} title=${t('keys')} onClose=${onClose}>
    <table class="keys"><tbody>${rows.map(([keys, what]) => html`<tr><th scope="row">${keys.split(' ').map((key) => html`<kbd>${key}</kbd> `)}</th><td>${what}</td></tr>`)}</tbody></table>
    <label class="check"><input type="checkbox" checked=${shortcuts.value === 'on'} onChange=${toggle} /> ${t('keys.on')}</label>
  <//>`;
}
