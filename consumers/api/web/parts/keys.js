// Shortcuts: `/` searches, `g` and a letter opens a page, `j` and `k` walk through rows.

import { signal } from '@preact/signals-core';
import { t } from '../store/i18n.js';
import { go } from '../store/route.js';
import { shortcuts } from '../store/settings.js';
import { Drawer } from './drawer.js';
import { html } from './html.js';

const isHelping = signal(false);
const CHORD_MS = 1200;

/** `pages` are `{path, key}`. */
export function startKeys(pages) {
  let chord = 0;
  document.addEventListener('keydown', (event) => {
    if (shortcuts.value === 'off' || event.metaKey || event.ctrlKey || event.altKey) return;
    if (event.target.closest?.('input, textarea, select, [contenteditable]')) return;
    const isChord = Date.now() - chord < CHORD_MS;
    chord = 0;
    if (isChord) {
      const page = pages.find((one) => one.key === event.key);
      if (page) go(page.path);
      return;
    }
    if (event.key === 'g') chord = Date.now();
    else if (act(event)) event.preventDefault();
  });
}

function act(event) {
  switch (event.key) {
    case '/':
      document.getElementById('search')?.focus();
      return true;
    case '?':
      isHelping.value = true;
      return true;
    case 'j':
      return walk(1);
    case 'k':
      return walk(-1);
    case 'y':
      document.activeElement?.querySelector?.('[data-copy]')?.click();
      return true;
    case ' ': {
      const button = event.target.closest?.('button, a, summary, dialog') ? null : document.querySelector('[data-pause]');
      button?.click();
      return Boolean(button);
    }
    default:
      return false;
  }
}

function walk(step) {
  const rows = [...document.querySelectorAll('main tr[tabindex]')];
  if (rows.length === 0) return false;
  const at = rows.indexOf(document.activeElement?.closest?.('tr'));
  const next = rows[Math.max(0, Math.min(rows.length - 1, at + step))];
  next.focus();
  next.scrollIntoView({ block: 'nearest' });
  return true;
}

export function Help({ pages }) {
  if (!isHelping.value) return null;
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
  return html`<${Drawer} title=${t('keys')} onClose=${() => { isHelping.value = false; }}>
    <table class="keys"><tbody>${rows.map(([keys, what]) => html`<tr><th scope="row">${keys.split(' ').map((key) => html`<kbd>${key}</kbd> `)}</th><td>${what}</td></tr>`)}</tbody></table>
    <label class="check"><input type="checkbox" checked=${shortcuts.value === 'on'} onChange=${toggle} /> ${t('keys.on')}</label>
  <//>`;
}

export function askForHelp() {
  isHelping.value = true;
}
