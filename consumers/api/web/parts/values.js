// How values are shown everywhere: short for the eye, exact in the title and in the copy. Functions of a value without state of their own:
// lists call them directly, since a component for each of a row's twenty parts is what would make a busy list slow.

import { clock, t, term } from '../store/i18n.js';
import * as number from '../store/number.js';
import { offers } from '../store/offers.js';
import { BAD_TAGS } from '../store/shapes.js';
import * as time from '../store/time.js';
import { classes, html, Icon, Shape } from './html.js';

/** Control, bidirectional and invisible characters, which names of tokens use to deceive. */
const DECEIVING = /[\u0000-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u2028-\u202f\u205f-\u2064\u2066-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\uffff]/g;
const MAX_TEXT = 256;

/** Text from outside: deceiving characters as boxes, and never too long. */
export function safe(text, most = MAX_TEXT) {
  return String(text ?? '').slice(0, most).replace(DECEIVING, '▯');
}

/** The address of an outside link, or null: only https. */
export function outside(address) {
  try {
    const parsed = new URL(address);
    return parsed.protocol === 'https:' ? parsed.href : null;
  } catch {
    return null;
  }
}

export function Outside({ href, children }) {
  const target = outside(href);
  if (!target) return html`<span>${children}</span>`;
  return html`<a class="outside" href=${target} rel="noopener noreferrer" target="_blank">${children}<${Icon} name="external" size="12" label=${t('opens outside')} /></a>`;
}

/** A button that copies; one listener for the page does it. Its symbol is of the style sheet: long lists have hundreds. */
export function Copy({ text, label, quiet }) {
  const say = label ?? t('copy');
  return html`<button type="button" class="copy" data-copy=${text} title=${say} aria-label=${say} tabindex=${quiet ? -1 : undefined}></button>`;
}

/** A moment. Age is never alone: the time stands beside it. */
export function Time({ at, always }) {
  const ms = time.milliseconds(at);
  if (ms === null) return html`<span class="muted">–</span>`;
  const aged = clock.value === 'age' || always === 'age';
  return html`<time datetime=${time.iso(at)} title=${time.full(at)}>
    ${time.short(ms)}${aged && html` <span class="muted">${t('ago', { span: time.age(ms) })}</span>`}
  </time>`;
}

/** The age of a moment, with the moment itself in the title. */
export function Age({ at, warn, bad }) {
  const ms = time.milliseconds(at);
  if (ms === null) return html`<span class="muted">–</span>`;
  const seconds = (time.now.value - ms) / 1000;
  const tone = bad && seconds > bad ? 'tone-bad' : warn && seconds > warn ? 'tone-warn' : '';
  return html`<time class=${classes('number', tone)} datetime=${time.iso(at)} title=${time.full(at)}>${time.age(ms)}</time>`;
}

/** An amount with its unit, which `href` makes a link. Unverified tokens wear the word. */
export function Amount({ value, symbol, verified = true, compact, href }) {
  const shown = compact ? number.compact(value) : number.amount(value);
  const name = symbol ? safe(symbol).slice(0, 24) : '';
  return html`<span class="amount" title=${`${number.exact(value)} ${name}`.trim()}>
    <span class="number">${shown}</span>${name && html` ${href ? html`<a class=${classes('symbol', !verified && 'unverified')} href=${href}>${name}</a>` : html`<span class=${classes('symbol', !verified && 'unverified')}>${name}</span>`}`}
    ${!verified && html`<span class="mark" title=${t('unverified.why')}>${t('unverified')}</span>`}
  </span>`;
}

export function Usd({ value, short, strong }) {
  if (value === null || value === undefined) {
    return html`<span class="muted" title=${t('usd.unknown')}>–</span>`;
  }
  const shown = short ? number.usdShort(value) : number.usd(value);
  return html`<span class=${classes('number', strong && 'strong')} title=${`${number.exact(value)} USD`}>${shown}</span>`;
}

/** A change in percent with a direction that needs no colour. */
export function Change({ value }) {
  if (value === null || value === undefined) return html`<span class="muted">–</span>`;
  const size = Number(value);
  const tone = size > 0 ? 'good' : size < 0 ? 'bad' : 'none';
  const arrow = size > 0 ? '▲' : size < 0 ? '▼' : '■';
  return html`<span class=${`number tone-${tone}`}><span class="arrow" aria-hidden="true">${arrow}</span> ${number.percent(value)}</span>`;
}

/** A pattern of 5 × 5 cells from the address, so that eyes can tell two apart. */
export function Pattern({ address, size = 18 }) {
  const digits = String(address).replace(/^0x/, '').toLowerCase().padEnd(40, '0');
  const hue = Number.parseInt(digits.slice(0, 3), 16) % 360;
  const cells = [];
  for (let index = 0; index < 15; index += 1) {
    if (Number.parseInt(digits[3 + index * 2] ?? '0', 16) % 2) continue;
    const x = index % 3;
    const y = Math.floor(index / 3);
    cells.push(`M${x} ${y}h1v1h-1z`);
    if (x < 2) cells.push(`M${4 - x} ${y}h1v1h-1z`);
  }
  return html`<svg class="pattern" width=${size} height=${size} viewBox="-.5 -.5 6 6" aria-hidden="true" style=${{ '--hue': hue }}>
    <rect x="-.5" y="-.5" width="6" height="6" /><path d=${cells.join('')} />
  </svg>`;
}

export function shortAddress(address) {
  const text = String(address ?? '');
  return text.length > 20 ? `${text.slice(0, 6)}…${text.slice(-6)}` : text;
}

/** An address: pattern, label or both ends of it, the whole in the title and in the copy. */
export function Address({ address, label, tags, plain, quiet = true }) {
  if (!address) return html`<span class="muted">–</span>`;
  const name = label ? safe(label) : null;
  const bad = (tags ?? []).find((tag) => BAD_TAGS.includes(tag));
  const inner = html`${Pattern({ address })}<span class=${classes('name', !name && 'mono')}>${name ?? shortAddress(address)}</span>`;
  const title = name ? `${name}\n${address}` : address;
  return html`<span class="address" title=${title}>
    ${plain ? html`<span class="inner">${inner}</span>` : html`<a class="inner" href=${`/wallet/${address}`}>${inner}</a>`}
    ${bad && html`<span class="mark tone-bad">${Shape({ tone: 'bad' })}${term('tag', bad)}</span>`}
    ${Copy({ text: address, label: t('copy.address'), quiet })}
  </span>`;
}

/** The page of a token. */
export function tokenPage(chain, address) {
  return offers('get /tokens/{chain}/{token}') ? `/token/${chain}/${address}` : `/wallet/${address}`;
}

/** A token by its symbol, as a link to its page. Unverified ones wear the word. */
export function TokenName({ chain, address, symbol, verified = true }) {
  const name = symbol ? safe(symbol, 24) : shortAddress(address);
  return html`<a class=${classes('symbol', 'strong', !symbol && 'mono')} href=${tokenPage(chain, address)} title=${address}>${name}</a>
    ${!verified && html`<span class="mark" title=${t('unverified.why')}>${t('unverified')}</span>`}`;
}

/** A transaction's hash as a link to its page. */
export function Transaction({ chain, hash, block, quiet = true }) {
  if (!hash) return html`<span class="muted">–</span>`;
  const href = `/transactions/${chain}/${hash}${block ? `?block=${block}` : ''}`;
  return html`<span class="address" title=${hash}>
    <a class="inner mono" href=${href}>${`…${String(hash).slice(-8)}`}</a>${Copy({ text: hash, label: t('copy.hash'), quiet })}
  </span>`;
}

/** A block's number, as a link to its page where the API has it. */
export function Block({ chain, number: height }) {
  if (height === null || height === undefined) return html`<span class="muted">–</span>`;
  const shown = number.count(height);
  if (!offers('get /blocks/{chain}/{number}')) return html`<span class="number">${shown}</span>`;
  return html`<a class="number" href=${`/block/${chain}/${height}`}>${shown}</a>`;
}

const SEVERITY_TONES = { critical: 'bad', warning: 'warn', info: 'info' };

export function Severity({ value }) {
  const tone = SEVERITY_TONES[value] ?? 'none';
  return html`<span class=${`badge tone-${tone}`}>${Shape({ tone })}${term('severity', value)}</span>`;
}

/** How a polled source does, as tones. */
export const PROVIDER_TONES = { ok: 'good', late: 'warn', failing: 'bad', held: 'warn', refused: 'bad', quota_spent: 'warn', off: 'none' };

/** A state in one word with a shape. */
export function State({ tone, children }) {
  return html`<span class=${`state tone-${tone}`}>${Shape({ tone })}${children}</span>`;
}

const FINALITY_TONES = { final: 'good', safe: 'info', latest: 'none', retracted: 'bad' };

export function Finality({ value }) {
  if (!value) return html`<span class="muted">–</span>`;
  return html`<span title=${t(`finality.${value}.why`)}>${State({ tone: FINALITY_TONES[value] ?? 'none', children: term('finality', value) })}</span>`;
}

/** Puts the text of a pressed copy button on the clipboard, and says so. */
export function startCopying(say) {
  document.addEventListener('click', async (event) => {
    const button = event.target.closest?.('[data-copy]');
    if (!button) return;
    event.preventDefault();
    event.stopPropagation();
    await copyText(button.dataset.copy, say);
    button.classList.add('done');
    setTimeout(() => button.classList.remove('done'), 1200);
  }, true);
}

export async function copyText(text, say) {
  try {
    await navigator.clipboard.writeText(text);
    say(t('copied', { text: text.length > 48 ? shortAddress(text) : text }));
  } catch {
    say(t('copy.failed'));
  }
}
