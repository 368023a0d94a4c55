// Who the API does not know is asked for a key.

import { useState } from 'preact/hooks';
import { t } from '../store/i18n.js';
import { enter } from '../store/session.js';
import { html, Icon } from '../parts/html.js';

const FORM = /^ci_[\w]{8}_[\w-]{20,}$/;

export function Login() {
  const [text, setText] = useState('');
  const [error, setError] = useState(null);
  const submit = async (event) => {
    event.preventDefault();
    if (!FORM.test(text.trim())) {
      setError(t('login.form'));
      return;
    }
    setError(null);
    try {
      await enter({ key: text });
    } catch (problem) {
      setError(problem.status === 401 ? t('login.refused') : problem.message || t('login.away'));
    }
  };
  return html`<main class="login" id="main">
    <form onSubmit=${submit}>
      <h1>crypto-intel</h1>
      <p class="muted">${t('login.why')}</p>
      <label for="key">${t('login.key')}</label>
      <input id="key" type="password" autocomplete="off" spellcheck="false" placeholder="ci_…" value=${text} onInput=${(event) => setText(event.target.value)}
        aria-invalid=${error ? 'true' : undefined} aria-describedby="key-help" />
      <p id="key-help" class=${error ? 'tone-bad' : 'muted'}>${error ? html`<${Icon} name="warn" size="13" /> ${error}` : t('login.help')}</p>
      <button class="primary" type="submit">${t('login.go')}</button>
    </form>
  </main>`;
}
