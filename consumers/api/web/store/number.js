// Amounts are exact decimals as text. They are never turned into a Number, and never rounded up.

import { language } from './i18n.js';

const DECIMAL = /^(-?)(\d+)(?:\.(\d+))?$/;
const SUBSCRIPTS = '₀₁₂₃₄₅₆₇₈₉';

/** The parts of an exact decimal, or null where the text is none. */
export function split(text) {
  const found = DECIMAL.exec(String(text ?? ''));
  if (!found) return null;
  const whole = found[2].replace(/^0+(?=\d)/, '');
  const fraction = (found[3] ?? '').replace(/0+$/, '');
  const zero = whole === '0' && fraction === '';
  return { negative: found[1] === '-' && !zero, whole, fraction, zero };
}

const formats = new Map();

function format(options) {
  const key = language.value + JSON.stringify(options);
  let made = formats.get(key);
  if (!made) {
    made = new Intl.NumberFormat(language.value, { roundingMode: 'trunc', useGrouping: 'always', ...options });
    formats.set(key, made);
  }
  return made;
}

const separators = new Map();

function separator() {
  let known = separators.get(language.value);
  if (!known) {
    known = format({ minimumFractionDigits: 1 }).formatToParts(1.5).find((one) => one.type === 'decimal').value;
    separators.set(language.value, known);
  }
  return known;
}

/** `0.0₄123`: the small digit says how many zeros follow the point. */
function tiny(parts, digits) {
  const zeros = /^0*/.exec(parts.fraction)[0].length;
  const significant = parts.fraction.slice(zeros, zeros + digits).replace(/0+$/, '');
  const count = [...String(zeros)].map((digit) => SUBSCRIPTS[Number(digit)]).join('');
  return `${parts.negative ? '-' : ''}0${separator()}0${count}${significant}`;
}

/** An amount for display: truncated, with separators. The exact one belongs beside it. */
export function amount(text) {
  const parts = split(text);
  if (!parts) return '–';
  if (parts.zero) return '0';
  const small = parts.whole === '0';
  if (small && /^0{4,}/.test(parts.fraction)) return tiny(parts, 3);
  if (small) return format({ maximumSignificantDigits: 4 }).format(text);
  return format({ maximumFractionDigits: parts.whole.length > 3 ? 2 : 4 }).format(text);
}

/** The exact amount, with separators and all its digits. */
export function exact(text) {
  const parts = split(text);
  if (!parts) return String(text ?? '');
  const whole = format({ maximumFractionDigits: 0 }).format(BigInt(parts.whole));
  const fraction = parts.fraction ? separator() + parts.fraction : '';
  return `${parts.negative ? '-' : ''}${whole}${fraction}`;
}

/** Dollars: whole cents, truncated; what is less than a cent says so. */
export function usd(text) {
  const parts = split(text);
  if (!parts) return '–';
  if (!parts.zero && parts.whole === '0' && /^(00|$)/.test(parts.fraction.padEnd(2, '0').slice(0, 2))) {
    return `${parts.negative ? '-' : ''}<$${format({ minimumFractionDigits: 2 }).format('0.01')}`;
  }
  const digits = format({ minimumFractionDigits: 2, maximumFractionDigits: 2 }).format(`${parts.whole}.${parts.fraction || '0'}`);
  return `${parts.negative ? '-' : ''}$${digits}`;
}

/** Dollars in short: `$12.49M`. */
export function usdShort(text) {
  const parts = split(text);
  if (!parts) return '–';
  if (parts.whole.length <= 3) return usd(text);
  return `${parts.negative ? '-' : ''}$${compact(`${parts.whole}.${parts.fraction || '0'}`)}`;
}

/** An amount in short: `12.49M`. */
export function compact(text) {
  const parts = split(text);
  if (!parts) return '–';
  if (parts.whole.length <= 3) return amount(text);
  return format({ notation: 'compact', maximumFractionDigits: 2 }).format(text);
}

/** A price: as many digits as its size deserves. */
export function price(text) {
  const parts = split(text);
  if (!parts) return '–';
  if (parts.whole === '0') return amount(text);
  const digits = parts.whole.length > 2 ? 2 : 4;
  return format({ minimumFractionDigits: 2, maximumFractionDigits: digits }).format(text);
}

/** A count of things, which fits a Number. */
export function count(value) {
  if (value === null || value === undefined) return '–';
  return format({ maximumFractionDigits: 0 }).format(value);
}

/** A percentage with its sign, `+1.24 %`. */
export function percent(value, digits = 2) {
  const number = Number(value);
  if (value === null || value === undefined || !Number.isFinite(number)) return '–';
  const text = format({ minimumFractionDigits: digits, maximumFractionDigits: digits, signDisplay: 'exceptZero' });
  return `${text.format(number)} %`;
}

/** Compares two exact decimals: negative, zero or positive. What is none comes first. */
export function compare(left, right) {
  const a = split(left);
  const b = split(right);
  if (!a || !b) return Number(Boolean(a)) - Number(Boolean(b));
  const digits = Math.max(a.fraction.length, b.fraction.length);
  const difference = scaled(a, digits) - scaled(b, digits);
  return difference < 0n ? -1 : Number(difference > 0n);
}

/** The exact sum of exact decimals. What is none counts as nothing. */
export function sum(texts) {
  const all = texts.map(split).filter(Boolean);
  const digits = Math.max(0, ...all.map((parts) => parts.fraction.length));
  return unscaled(all.reduce((total, parts) => total + scaled(parts, digits), 0n), digits);
}

/** An integer in base units as a decimal. */
export function fromUnits(raw, decimals) {
  if (!/^-?\d+$/.test(String(raw ?? ''))) return null;
  return unscaled(BigInt(raw), decimals ?? 0);
}

/** The share of a part in the whole between 0 and 1, for bars only. */
export function share(part, whole) {
  const total = Math.abs(Number(whole));
  return total > 0 ? Math.min(1, Math.abs(Number(part)) / total) : 0;
}

function scaled(parts, digits) {
  const value = BigInt(parts.whole + parts.fraction.padEnd(digits, '0'));
  return parts.negative ? -value : value;
}

function unscaled(value, digits) {
  const text = String(value < 0n ? -value : value).padStart(digits + 1, '0');
  const fraction = text.slice(text.length - digits).replace(/0+$/, '');
  const whole = text.slice(0, text.length - digits);
  return `${value < 0n ? '-' : ''}${whole}${digits && fraction ? `.${fraction}` : ''}`;
}
