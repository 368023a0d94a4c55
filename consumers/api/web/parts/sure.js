// A button for what cannot be taken back: it asks once more.

import { useState } from 'preact/hooks';
import { t } from '../store/i18n.js';
import { html } from './html.js';
import { say } from './panel.js';

/** `act` is carried out after the second press; its problem is told. */
export function Sure({ label, question, act, disabled }) {
  const [isAsked, setAsked] = useState(false);
  const [isBusy, setBusy] = useState(false);
  const go = async () => {
    setBusy(true);
    try {
      await act();
    } catch (problem) {
      say(problem.detail || problem.title || t('failed'));
    }
    setBusy(false);
    setAsked(false);
  };
  if (!isAsked) return html`<button type="button" disabled=${disabled} onClick=${() => setAsked(true)}>${label}</button>`;
  return html`<button type="button" class="tone-bad" disabled=${isBusy} onClick=${go}>${question}</button><button type="button" disabled=${isBusy} onClick=${() => setAsked(false)}>${t('cancel')}</button>`;
}
