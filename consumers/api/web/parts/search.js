// One field for anything: an address, a hash, a block, an alert's code, a label, a token.

import { useRef, useState } from 'preact/hooks';
import { ask } from '../store/api.js';
import { t } from '../store/i18n.js';
import { offers } from '../store/offers.js';
import { go } from '../store/route.js';
import { html, Icon } from './html.js';
import { Pattern, safe, shortAddress } from './values.js';

/** What a text can be, surest first: `{kind, href, text}`. */
export function guess(text, chains = []) {
  const typed = text.trim();
  const lower = typed.toLowerCase();
  if (/^0x[0-9a-f]{40}$/.test(lower)) return [{ kind: 'address', text: lower, href: `/wallet/${lower}` }];
  if (/^0x[0-9a-f]{64}$/.test(lower)) return [{ kind: 'transaction', text: lower, href: `/transactions/any/${lower}` }];
  const found = [];
  const block = /^(?:([a-z][a-z0-9-]*)[:# ]\s*)?([\d,.]{1,15})$/.exec(lower);
  if (block && offers('get /blocks/{chain}/{number}')) {
    const number = block[2].replace(/[,.]/g, '');
    const named = block[1] ? [block[1]] : chains;
    for (const chain of named) found.push({ kind: 'block', text: `${chain} ${number}`, href: `/block/${chain}/${number}` });
  }
  if (/^#?[a-z0-9]{4,6}$/i.test(typed) && /\d/.test(typed)) {
    const code = typed.replace('#', '').toUpperCase();
    found.push({ kind: 'alert', text: `#${code}`, href: `/alerts?code=${code}` });
  }
  return found;
}

async function byName(text, abort) {
  const answer = await ask('/wallets', { parameters: { label: text, limit: 6 }, signal: abort }).catch(() => ({ items: [] }));
  return answer.items.map((wallet) => ({ kind: 'wallet', text: wallet.label ?? wallet.address, address: wallet.address, href: `/wallet/${wallet.address}` }));
}

/** Tokens by name, or the token at an address. */
async function tokens(text, abort) {
  if (!offers('get /tokens')) return [];
  const answer = await ask('/tokens', { parameters: { query: text, limit: 6 }, signal: abort }).catch(() => ({ items: [] }));
  return answer.items.map((one) => ({
    kind: 'token', text: one.symbol ?? one.address, note: one.name ? `${one.name} · ${one.chain}` : one.chain, isUnverified: !one.verified,
    address: one.address, href: `/token/${one.chain}/${one.address}`,
  }));
}

export function Search({ chains }) {
  const [text, setText] = useState('');
  const [found, setFound] = useState([]);
  const [at, setAt] = useState(0);
  const asking = useRef(null);
  const change = (event) => {
    const value = event.target.value;
    setText(value);
    setAt(0);
    const sure = guess(value, chains);
    setFound(sure);
    asking.current?.abort();
    const isAddress = sure[0]?.kind === 'address';
    if ((sure.length && !isAddress) || value.trim().length < 2) return;
    const { signal } = (asking.current = new AbortController());
    const asked = [isAddress ? [] : byName(value.trim(), signal), tokens(value.trim(), signal)];
    Promise.all(asked).then((named) => !signal.aborted && setFound([...sure, ...named.flat()]));
  };
  const open = (one) => {
    setText('');
    setFound([]);
    go(one.href);
  };
  const press = (event) => {
    if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
      event.preventDefault();
      setAt((at + (event.key === 'ArrowDown' ? 1 : found.length - 1)) % Math.max(1, found.length));
    } else if (event.key === 'Enter' && found[at]) {
      event.preventDefault();
      open(found[at]);
      event.target.blur();
    } else if (event.key === 'Escape') {
      setText('');
      setFound([]);
      event.target.blur();
    }
  };
  const isOpen = text.trim() !== '';
  return html`<div class="search" role="search">
    <${Icon} name="search" />
    <input type="search" id="search" role="combobox" autocomplete="off" spellcheck="false" aria-label=${t('search')} placeholder=${t('search.hint')}
      aria-expanded=${isOpen ? 'true' : 'false'} aria-controls="found" aria-activedescendant=${isOpen && found[at] ? `found-${at}` : undefined}
      value=${text} onInput=${change} onKeyDown=${press} onBlur=${() => setTimeout(() => setFound([]), 200)} />
    <kbd aria-hidden="true">/</kbd>
    <ul id="found" role="listbox" aria-label=${t('search.found')} hidden=${!isOpen}>
      ${found.map((one, index) => html`<li role="option" id=${`found-${index}`} aria-selected=${index === at ? 'true' : 'false'} onPointerDown=${() => open(one)}>
        <span class="muted">${t(`search.${one.kind}`)}</span> ${one.address && html`<${Pattern} address=${one.address} />`} ${safe(one.text.length > 50 ? shortAddress(one.text) : one.text)}
        ${one.note && html` <span class="muted">${safe(one.note, 60)}</span>`}${one.isUnverified && html` <span class="mark">${t('unverified')}</span>`}
      </li>`)}
      ${isOpen && !found.length && html`<li class="muted" role="option" aria-selected="false" aria-disabled="true">${t('search.none')}</li>`}
    </ul>
  </div>`;
}
