// Answers of the API about tokens, approvals and what departs from the usual, as the pages use them: beside shapes.js, which the first
// view needs.

import { milliseconds } from './time.js';

const list = (answer) => answer?.items ?? [];
const orNull = (value) => value ?? null;

/** What is known of a token. */
export function tokenOf(one) {
  return {
    chain: one.chain,
    address: one.address,
    symbol: orNull(one.symbol),
    name: orNull(one.name),
    decimals: orNull(one.decimals),
    verified: one.verified === true,
    asset: orNull(one.asset),
    saidBy: orNull(one.said_by),
    standard: orNull(one.standard),
    price: one.price ? { usd: one.price.usd, source: one.price.source, at: one.price.at_us } : null,
    labels: one.labels ?? [],
    last: orNull(one.last_transfer_at_us),
  };
}

/** Tokens that were found. */
export function tokensOf(answer) {
  return list(answer).map(tokenOf);
}

const STEPS = { hour: 3_600_000, day: 86_400_000 };
const MAX_STEPS = 400;

/** What moved of a token in each step of a range, also those without a transfer: `{at, transfers, usd}`. */
export function volumeOf(answer, step, seconds, nowMs) {
  const width = STEPS[step];
  const told = new Map(list(answer).map((one) => [milliseconds(one.bucket_us), one]));
  const last = Math.floor(nowMs / width) * width;
  const first = Math.max(Math.floor((nowMs - seconds * 1000) / width) * width, last - (MAX_STEPS - 1) * width);
  const steps = [];
  for (let at = first; at <= last; at += width) {
    const one = told.get(at);
    steps.push({ at, transfers: one?.transfers ?? 0, usd: orNull(one?.usd) });
  }
  return steps;
}

/** What was traded in each step of a range, also those without a swap: `{at, swaps}`. */
export function tradedOf(answer, step, seconds, nowMs) {
  const items = list(answer).map((one) => ({ ...one, transfers: one.swaps }));
  return volumeOf({ items }, step, seconds, nowMs).map(({ at, transfers }) => ({ at, swaps: transfers }));
}

/** What is known of a pool. */
export function poolOf(one) {
  return {
    chain: one.chain,
    address: one.address,
    protocol: one.protocol,
    tick: orNull(one.tick),
    labels: one.labels ?? [],
    last: one.last_swap_at_us,
    tokens: (one.tokens ?? []).map((token) => ({ address: token.address, symbol: orNull(token.symbol), decimals: orNull(token.decimals), verified: token.verified === true })),
  };
}

/** Swaps of a pool are on the wire what they are in lists. */
export function swapsOf(answer) {
  return list(answer);
}

/** Who may move tokens of an address, what no amount bounds first. */
export function approvalsOf(answer) {
  const lines = list(answer).map((one) => ({
    key: `${one.chain} ${one.token} ${one.spender} ${one.kind} ${one.token_id ?? ''}`,
    chain: one.chain,
    token: one.token,
    symbol: orNull(one.symbol),
    verified: one.verified === true,
    spender: { address: one.spender, label: orNull(one.spender_label), tags: one.spender_tags ?? [] },
    kind: one.kind,
    amount: orNull(one.amount),
    value: orNull(one.value),
    id: orNull(one.token_id),
    unlimited: one.unlimited === true,
    at: one.block_time_us,
    block: one.block_number,
    hash: one.tx_hash,
  }));
  return lines.sort((a, b) => Number(b.unlimited) - Number(a.unlimited) || b.at - a.at);
}

/** What departs from its usual hours, furthest off first. */
export function anomaliesOf(answer) {
  return list(answer).map((one) => ({
    key: [one.what, one.chain, one.token, one.asset, one.quote, one.source].join(' '),
    what: one.what,
    chain: orNull(one.chain),
    token: orNull(one.token),
    name: one.token ? one.symbol ?? one.token : `${one.asset}/${one.quote}`,
    verified: one.verified === true,
    asset: orNull(one.asset),
    source: orNull(one.source),
    value: one.value,
    expected: one.expected,
    low: one.low,
    high: one.high,
    z: one.z,
    since: one.since_us,
  }));
}
