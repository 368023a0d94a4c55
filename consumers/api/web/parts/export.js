// A list as a file: read as it comes, checked to be whole, then handed to the browser.

import { useEffect, useRef, useState } from 'preact/hooks';
import { download, fileEnd } from '../store/file.js';
import { t } from '../store/i18n.js';
import * as number from '../store/number.js';
import { may } from '../store/session.js';
import { html, Icon } from './html.js';
import { say } from './panel.js';

const FORMATS = ['csv', 'ndjson'];

/** Hands a file to the browser. */
export function save(blob, name) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** Buttons that get the list of `path` with these parameters as a file; the page and its size are left out. */
export function Export({ path, parameters, name }) {
  const [running, setRunning] = useState(null);
  const abort = useRef(null);
  useEffect(() => () => abort.current?.abort(), []);
  if (!may('export')) return null;
  const start = async (format) => {
    abort.current = new AbortController();
    setRunning(0);
    try {
      const wanted = { ...parameters, limit: undefined, cursor: undefined, format };
      const blob = await download(path, { parameters: wanted, signal: abort.current.signal, onBytes: setRunning });
      const end = await fileEnd(blob, format);
      if (end === null) say(t('export.cut'));
      else {
        save(blob, `${name}-${new Date().toISOString().slice(0, 19).replace(/\D/g, '')}.${format}`);
        const count = number.count(end.items);
        say(end.next ? t('export.more', { count }) : t('export.done', { count }));
      }
    } catch (problem) {
      if (!abort.current.signal.aborted) say(problem.detail || problem.title || t('failed'));
    }
    setRunning(null);
  };
  if (running !== null) {
    return html`<span class="export"><span class="note number muted" role="status">${t('export.running', { size: number.count(Math.ceil(running / 1024)) })}</span>
      <button type="button" onClick=${() => abort.current.abort()}>${t('cancel')}</button></span>`;
  }
  return html`<span class="export" role="group" aria-label=${t('export')}><${Icon} name="down" size="14" />
    ${FORMATS.map((format) => html`<button type="button" class="link" title=${t('export.as', { format: format.toUpperCase() })} onClick=${() => start(format)}>${format.toUpperCase()}</button>`)}</span>`;
}
