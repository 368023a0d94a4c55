// A sheet beside the page for one thing. It takes the focus, Escape closes it, and the focus goes back.

import { useLayoutEffect, useRef } from 'preact/hooks';
import { t } from '../store/i18n.js';
import { html, Icon } from './html.js';

export function Drawer({ title, onClose, children, actions }) {
  const sheet = useRef(null);
  // At once, not after the next frame: the next key is for the page again.
  useLayoutEffect(() => {
    const before = document.activeElement;
    const opened = sheet.current;
    opened.showModal();
    return () => {
      // While it is open nothing else takes the focus.
      opened.close();
      before?.focus?.();
    };
  }, []);
  const pressed = (event) => {
    // The backdrop belongs to the dialog; its content is in the article.
    if (event.target === sheet.current) onClose();
  };
  return html`<dialog class="drawer" ref=${sheet} aria-label=${title} onCancel=${onClose} onClick=${pressed}>
    <article>
      <header><h2>${title}</h2><span class="actions">${actions}
        <button type="button" class="plain" onClick=${onClose} aria-label=${t('close')}><${Icon} name="cross" /></button></span></header>
      <div class="body">${children}</div>
    </article>
  </dialog>`;
}

/** Names and values below each other. Absent values are left out. */
export function Facts({ items }) {
  return html`<dl class="facts">${items
    .filter(([, value]) => value !== null && value !== undefined && value !== '' && value !== false)
    .map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
}

/** The event as it came, for those who want to know. */
export function Raw({ value }) {
  const text = JSON.stringify(value, null, 2);
  return html`<details class="raw"><summary>${t('raw')}</summary>
    <button type="button" data-copy=${text}>${t('copy')}</button><pre tabindex="0">${text}</pre></details>`;
}
