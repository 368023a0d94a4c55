// Events of chains as rows: who, to whom, how much, how sure.

import { t, term } from '../store/i18n.js';
import * as number from '../store/number.js';
import { offers } from '../store/offers.js';
import { finalityOf } from '../store/shapes.js';
import { html, Icon } from './html.js';
import { Address, Amount, Finality, safe, Time, tokenPage, Transaction, Usd } from './values.js';

/** Kinds of transfers that lists can be narrowed to; events are named `transfer.<kind>`. */
export const KINDS = ['native', 'erc20', 'erc721', 'erc1155', 'internal'];

/** From whom to whom, with labels and tags. */
export function partiesOf(event) {
  const from = event.from ?? event.owner ?? event.sender ?? event.creator ?? event.tx_from;
  const to = event.to ?? event.spender ?? event.recipient ?? event.contract ?? event.tx_to;
  return {
    from: { address: from, label: event.from_label, tags: event.from_tags },
    to: { address: to, label: event.to_label, tags: event.to_tags },
  };
}

/** Whether its token is what its symbol says. Native currency is. */
export function isVerified(event) {
  return event.kind === 'transfer.native' || event.kind === 'transfer.internal' || event.kind === 'transaction' || event.token_verified === true;
}

const UNLIMITED = 2n ** 255n;

/** What an event is about that moves no amount: null where it does. */
const ABOUT = {
  swap: (event) => html`<span class="muted">${safe(event.protocol ?? '')}</span> ${Address({ address: event.address })}${offers('get /pools/{chain}/{pool}') && html` <a href=${`/pool/${event.chain}/${event.pool_id ?? event.address}`}>${t('pool')}</a>`}`,
  liquidity: (event) => html`<span class="muted">${safe(`${event.protocol ?? ''} ${event.action ?? ''}`)}</span> ${Address({ address: event.pool ?? event.address })}`,
  event: (event) => html`<code title=${safe(event.signature)}>${safe(event.name, 48)}</code>`,
  contract: (event) => Address({ address: event.contract }),
  log: (event) => html`<span class="mono muted" title=${safe(event.topics?.[0])}>${safe(event.reason ?? event.topics?.[0]?.slice(0, 10) ?? '')}</span>`,
  approval(event) {
    const isNumber = /^\d+$/.test(event.value ?? '');
    if (isNumber && BigInt(event.value) >= UNLIMITED) return html`<span class="mark tone-warn">${t('unlimited')}</span>`;
    if (event.approved === false || (isNumber && BigInt(event.value) === 0n)) return html`<span class="mark">${t('revoked')}</span>`;
    if (event.approved && !isNumber && event.token_id === undefined) return html`<span class="mark tone-warn">${t('unlimited')}</span>`;
    return null;
  },
};

/** What moved. */
export function Moved({ event, compact }) {
  const about = ABOUT[event.kind]?.(event);
  if (about) return about;
  if (event.token_id !== undefined && event.amount === undefined) {
    return html`<span class="amount" title=${event.token_id}><span class="number">#${shortId(event.token_id)}</span> ${event.symbol && html`<span class="symbol">${safe(event.symbol).slice(0, 24)}</span>`}</span>`;
  }
  if (event.amount !== undefined && event.amount !== null) return Amount({ value: event.amount, symbol: event.symbol, verified: isVerified(event), compact, href: compact ? undefined : pageOfToken(event) });
  if (event.value !== undefined && event.value !== null) {
    return html`<span class="amount" title=${event.value}><span class="number">${number.compact(event.value)}</span> <span class="muted">${t('units')}</span></span>`;
  }
  return html`<span class="muted">–</span>`;
}

/** Where the token of a transfer is told; undefined of native value. Compact lists have no room for a link that fingers can hit. */
function pageOfToken(event) {
  return event.address && event.kind?.startsWith('transfer.erc') ? tokenPage(event.chain, event.address) : undefined;
}

function shortId(id) {
  const text = String(id);
  return text.length > 10 ? `${text.slice(0, 4)}…${text.slice(-4)}` : text;
}

export function Kind({ event }) {
  return html`<span class="kind">${term('kind', event.kind)}</span>${event.status === 'failed' && html` <span class="mark tone-bad">${t('failed.short')}</span>`}`;
}

/** From and to as one cell, which needs less room. */
export function Parties({ event, self }) {
  const { from, to } = partiesOf(event);
  const one = (party) => (self && party.address === self
    ? html`<span class="address self" title=${party.address}>${t('self')}</span>`
    : Address(party));
  return html`<span class="parties">${one(from)}<span class="way">${Icon({ name: 'right', size: 12, label: t('to') })}</span>${one(to)}</span>`;
}

export function Watched({ labels }) {
  if (!labels?.length) return null;
  return html`<span class="mark tone-info" title=${t('watched.as', { names: labels.join(', ') })}>${Icon({ name: 'eye', size: 12 })} ${safe(labels[0])}</span>`;
}

/** Columns of a list of events. `self` is the address whose list it is. */
export function eventColumns({ chains, self, narrow }) {
  const all = [
    { key: 'time', title: t('time'), card: 'c', render: ({ event }) => Time({ at: event.block_time_us ?? event.event_at_us }) },
    { key: 'chain', title: t('chain'), card: 'none', render: ({ event }) => event.chain },
    { key: 'kind', title: t('kind'), wide: 'roomy', card: 'none', render: ({ event }) => Kind({ event }) },
    { key: 'parties', title: t('from to'), card: 'a', render: ({ event }) => html`${Parties({ event, self })} ${Watched({ labels: self ? null : event.watched })}` },
    { key: 'amount', title: t('amount'), end: true, card: 'd', render: ({ event }) => Moved({ event }) },
    { key: 'usd', title: 'USD', end: true, card: 'b', render: ({ event }) => Usd({ value: event.usd }) },
    { key: 'finality', title: t('finality'), wide: 'wide', render: ({ event }) => Finality({ value: finalityOf(event, chains) }) },
    { key: 'transaction', title: t('transaction'), wide: 'wider', render: ({ event }) => Transaction({ chain: event.chain, hash: event.tx_hash, block: event.block_number }) },
  ];
  return narrow ? all.filter((column) => narrow.includes(column.key)) : all;
}

/** A row of a live list that says where events are missing. */
export function gapText(gap) {
  return t('gap', { stream: gap.stream, from: number.count(gap.from), to: number.count(gap.to), reason: term('gap', gap.reason) });
}

/** A key by which spam folds: worth nothing, or an unverified token that another address moved. */
export function isLikelySpam(event) {
  if (!event.kind?.startsWith('transfer.')) return false;
  const zero = number.split(event.amount ?? event.value)?.zero ?? false;
  const foreign = event.tx_from !== undefined && event.from !== undefined && event.tx_from !== event.from;
  return foreign && (zero || event.token_verified === false);
}

/** An address that agrees with a known one at both ends and is another: `known` is a list of addresses. */
export function imitates(address, known) {
  const text = String(address ?? '').toLowerCase();
  return known.find((one) => one !== text && one.slice(0, 6) === text.slice(0, 6) && one.slice(-4) === text.slice(-4)) ?? null;
}
