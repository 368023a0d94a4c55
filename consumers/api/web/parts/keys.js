// Shortcuts: `/` searches, `g` and a letter opens a page, `j` and `k` walk through rows.

import { signal } from '@preact/signals-core';
import { shortcuts } from '../store/i18n.js';
import { go } from '../store/route.js';

/** Whether the list of shortcuts is open. */
export const isHelping = signal(false);

export function askForHelp() {
  isHelping.value = true;
}

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
      askForHelp();
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
