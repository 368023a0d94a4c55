// Answers of the API as the pages use them. Only here is it known what the API calls a field.

import { compare, sum } from './number.js';
import { milliseconds } from './time.js';

const list = (answer) => answer?.items ?? (Array.isArray(answer) ? answer : []);
const first = (...values) => values.find((value) => value !== undefined && value !== null) ?? null;

/** Streams that are told live. */
const LIVE_STREAMS = ['EVM', 'MARKET', 'SIGNALS', 'STATUS', 'ALERT', 'NOTIFY'];

/** From where live events complete a list: the place in each stream that its tables had reached. Null where it does not say. */
export function resumeAfter(answer) {
  const places = Object.entries(answer?.as_of ?? {}).filter(([stream]) => LIVE_STREAMS.includes(stream));
  return places.map(([stream, sequence]) => `${stream}.${sequence}`).join(',') || null;
}

/** Chains with their heads, in the order of their names. */
export function chainsOf(answer) {
  return list(answer).map((one) => ({
    chain: one.chain,
    head: first(one.block_number),
    headAt: milliseconds(first(one.block_time_us)),
    safe: first(one.safe_number),
    final: first(one.finalized_number),
    verified: first(one.verified_number),
    blockSeconds: first(one.block_seconds),
    storedAfterMs: first(one.stored_after_ms),
  })).sort((a, b) => a.chain.localeCompare(b.chain));
}

/** How many alerts are open, by severity. */
export function alertsSummary(answer) {
  const order = ['critical', 'warning', 'info'];
  const counts = new Map();
  for (const one of list(answer)) {
    counts.set(one.severity, (counts.get(one.severity) ?? 0) + (one.ongoing ?? 0));
  }
  return order.filter((severity) => counts.has(severity)).map((severity) => ({ severity, count: counts.get(severity) }));
}

/** Finality of an event, by the chain's newest safe and final blocks where the API did not say it. */
export function finalityOf(event, chains) {
  if (event.removed) return 'retracted';
  if (event.finality) return event.finality;
  const chain = chains.find((one) => one.chain === event.chain);
  if (!chain || event.block_number === undefined) return null;
  if (chain.final !== null && event.block_number <= chain.final) return 'final';
  if (chain.safe !== null && event.block_number <= chain.safe) return 'safe';
  return 'latest';
}

/** Blocks of a list, newest first. */
export function blocksOf(answer) {
  return list(answer);
}

/** Alerts by severity in steps that fill the range, as the API counts them. */
export function alertHours(answer, rangeSeconds, nowMs) {
  const step = (rangeSeconds > 172_800 ? 86_400 : rangeSeconds > 21_600 ? 3600 : 300) * 1000;
  const last = Math.floor(nowMs / step) * step;
  const steps = [];
  for (let at = last - Math.max(1, Math.ceil((rangeSeconds * 1000) / step) - 1) * step; at <= last; at += step) {
    steps.push({ at, critical: 0, warning: 0, info: 0 });
  }
  for (const one of list(answer)) {
    const at = milliseconds(first(one.bucket_us));
    const hour = at === null ? null : steps.find((each) => each.at <= at && at < each.at + step);
    if (hour && one.severity in hour) hour[one.severity] += one.alerts ?? 0;
  }
  return steps;
}

/** Newest prices by asset, with how far they moved in a day by one source; those traded most first. */
export function pricesOf(answer) {
  const movers = moversOf({ items: answer?.movers });
  return (answer?.prices ?? []).map((one) => ({
    asset: one.asset,
    price: one.price,
    at: one.at_us,
    source: one.source,
    sources: one.sources ?? [],
    ...ofMover(moverOf(movers, one)),
  })).sort((a, b) => compare(b.volume, a.volume) || a.asset.localeCompare(b.asset));
}

/** How a price moved by the source that it is from, else by another. */
function moverOf(movers, { asset, source }) {
  const own = movers.filter((mover) => mover.asset === asset);
  return own.find((mover) => mover.source === source) ?? own[0];
}

function ofMover(mover) {
  return { change: mover?.change ?? null, volume: mover?.volume ?? null };
}

/** How far the sources of a price are apart, in percent; null with one source. */
export function spreadOf(price) {
  const values = price.sources.map((one) => Number(one.price)).filter((value) => value > 0);
  if (values.length < 2) return null;
  const least = Math.min(...values);
  return ((Math.max(...values) - least) / least) * 100;
}

/** What the probes of all roles report. */
export function probesOf(answer) {
  return (answer?.probes ?? []).map((one) => ({
    name: one.name,
    healthy: first(one.healthy) ?? true,
    advisory: one.advisory ?? false,
    detail: first(one.detail, '') ?? '',
  }));
}

/** Watched addresses. */
export function walletsOf(answer) {
  return list(answer).map((one) => ({
    address: one.address,
    label: first(one.label),
    chain: first(one.chain),
    chains: one.chains ?? (one.chain && one.chain !== 'all' ? [one.chain] : []),
    tags: one.tags ?? [],
    group: first(one.group),
    since: first(one.added_at_us),
  }));
}

/** With whom an address dealt. */
export function counterpartiesOf(answer) {
  return list(answer).map((one) => ({
    address: first(one.address),
    chains: one.chains ?? [],
    label: first(one.label),
    tags: one.tags ?? [],
    transfers: (one.transfers_in ?? 0) + (one.transfers_out ?? 0),
    usdIn: first(one.usd_in),
    usdOut: first(one.usd_out),
    last: first(one.last_at_us),
  }));
}

/** What came and left, by token. */
export function flowOf(answer) {
  return list(answer).map((one) => {
    const usdIn = first(one.usd_in);
    const usdOut = first(one.usd_out);
    return {
      chain: one.chain,
      token: first(one.token),
      symbol: first(one.symbol),
      amountIn: first(one.amount_in),
      amountOut: first(one.amount_out),
      usdNet: usdIn === null && usdOut === null ? null : sum([usdIn ?? '0', negate(usdOut ?? '0')]),
    };
  });
}

function negate(text) {
  return String(text).startsWith('-') ? String(text).slice(1) : `-${text}`;
}

/** Newest balances. */
export function balancesOf(answer) {
  return list(answer).map((one) => ({
    chain: one.chain,
    asset: first(one.asset, one.token) ?? 'native',
    symbol: first(one.symbol),
    amount: first(one.amount),
    problem: first(one.problem),
    usd: first(one.usd),
    verified: first(one.verified) ?? true,
    at: first(one.block_time_us, one.at_us),
  }));
}

/** An alert with all its states, oldest first, its deliveries and who took care of it. */
export function alertOf(answer) {
  const states = answer.messages ?? answer.items ?? [];
  const sorted = [...states].sort((a, b) => (a.n ?? 0) - (b.n ?? 0) || a.observed_at_us - b.observed_at_us);
  const taken = first(answer.acknowledged, answer.acknowledgement);
  return { states: sorted, deliveries: deliveriesOf(answer), acknowledged: taken ? [taken].flat() : [] };
}

/** Who was told: objects, or texts such as `ops-telegram: sent`. */
export function deliveriesOf(answer) {
  return (answer.deliveries ?? []).map((one) => {
    if (typeof one !== 'string') return one;
    const [destination, state] = one.split(': ');
    return { destination, state };
  });
}

/** An alert of a list: its newest message, with what became of it. */
export function alertEvent(item) {
  return item.alert && typeof item.alert === 'object' ? { ...item.alert, deliveries: item.deliveries } : item;
}

/** Silences that are in force or will be. */
export function silencesOf(answer) {
  return list(answer);
}

/** Candles by who said them, as the chart takes them: ordered, with seconds. Bars of a chart may be Numbers. */
export function candlesOf(answer) {
  const sources = new Map();
  for (const one of list(answer)) {
    const name = `${one.source} ${one.quote}`;
    if (!sources.has(name)) sources.set(name, []);
    const [open, high, low, close] = [one.open, one.high, one.low, one.close].map(Number);
    sources.get(name).push({ time: Math.floor(one.bucket_us / 1_000_000), open, high, low, close });
  }
  for (const candles of sources.values()) candles.sort((a, b) => a.time - b.time);
  return sources;
}

/** Assets by how far they moved. */
export function moversOf(answer) {
  return list(answer).map((one) => ({
    asset: one.asset,
    source: first(one.source),
    quote: first(one.quote),
    price: first(one.price),
    change: first(one.change_percent),
    volume: first(one.volume_24h),
  }));
}

/** Indices such as fear and greed. */
export function indicesOf(answer) {
  return list(answer).map((one) => ({
    name: one.name,
    source: first(one.source),
    value: one.value,
    classification: first(one.classification),
    at: first(one.event_at_us),
    share: Number(one.value) >= 0 && Number(one.value) <= 100 ? Number(one.value) / 100 : null,
  }));
}

/** Articles are on the wire what they are in lists. */
export const articleOf = (item) => item;

/** An entry of a provider's status page: those of the catalogue say so by a word. */
export function isIncident(article) {
  return article.tags?.includes('incident') ?? false;
}

/** Providers that are known by now, the chosen one among them, by name. `known` keeps what earlier answers had. */
export function sourcesOf(known, articles, chosen) {
  for (const one of articles) known.add(one.source);
  return [...new Set([...known, ...(chosen ? [chosen] : [])])].sort();
}

/** Tags and categories that are a warning. */
export const BAD_TAGS = ['sanctioned', 'scam', 'phishing', 'mixer', 'hack', 'exploit'];

/** Addresses and what they sent each other. */
export function graphOf(answer) {
  const nodes = (answer?.nodes ?? []).map((one) => ({
    address: one.address,
    level: one.level,
    label: first(one.label),
    tags: one.tags ?? [],
    categories: one.categories ?? [],
    isBad: [...(one.categories ?? []), ...(one.tags ?? [])].some((tag) => BAD_TAGS.includes(tag)),
    watched: one.watched ?? false,
    stop: first(one.stop),
  }));
  const edges = (answer?.edges ?? []).map((one) => ({ from: one.from, to: one.to, transfers: one.transfers, priced: one.priced, usd: one.usd, last: first(one.last_at_us) }));
  return { root: answer?.root ?? null, nodes, edges, found: answer?.found_nodes ?? 0, cut: (answer?.truncated ?? []).filter((one) => one.what !== 'nodes').map((one) => one.detail) };
}

/** What each node of a graph sent and received along the edges that are shown. */
export function sumsOf(graph) {
  const sums = new Map();
  for (const { address } of graph.nodes) {
    const sent = graph.edges.filter((edge) => edge.from === address);
    const received = graph.edges.filter((edge) => edge.to === address);
    const all = [...sent, ...received];
    sums.set(address, {
      sent: sent.some((edge) => edge.priced) ? sum(sent.map((edge) => edge.usd)) : null,
      received: received.some((edge) => edge.priced) ? sum(received.map((edge) => edge.usd)) : null,
      transfers: all.reduce((total, edge) => total + edge.transfers, 0),
      last: all.reduce((newest, edge) => Math.max(newest, edge.last ?? 0), 0) || null,
    });
  }
  return sums;
}

/** A rule in force. */
export function ruleOf(item) {
  return {
    id: item.id,
    description: first(item.description) ?? '',
    enabled: item.enabled ?? true,
    severity: item.severity,
    on: item.on ?? [],
    when: first(item.when),
    trigger: item.trigger,
    lasts: first(item.lasts),
    cooldown: first(item.cooldown),
    groups: item.group_by ?? [],
    labels: Object.entries(item.labels ?? {}).map(([name, value]) => `${name}=${value}`),
    routes: item.routes ?? [],
    file: item.file,
    line: item.line,
    text: item.text,
    last: first(item.last_fired_at_us),
    day: item.fired_in_24h ?? 0,
  };
}

/** The rules in force, and what is wrong with their files now. */
export function rulesOf(answer) {
  return { rules: list(answer).map(ruleOf), wrong: first(answer?.wrong) };
}

/** What rules would have said. */
export function trialOf(answer) {
  return {
    since: milliseconds(answer.since_us),
    until: milliseconds(answer.until_us),
    messages: answer.streams.reduce((all, one) => all + one.messages, 0),
    missing: answer.streams.flatMap((one) => one.missing.map((text) => `${one.stream}: ${text}`)),
    rules: answer.rules.map((one) => ({ ...one, id: one.rule, hourly: String(one.fired_per_hour ?? 0) })),
  };
}

/** Alerts of a trial by hour, also those without one: `{at, fired}`. */
export function hoursOfTrial(rule, trial) {
  const hours = [];
  const counts = new Map(rule.hours.map((one) => [milliseconds(one.begins_us), one.fired]));
  for (let at = Math.floor(trial.since / 3_600_000) * 3_600_000; at < trial.until; at += 3_600_000) hours.push({ at, fired: counts.get(at) ?? 0 });
  return hours;
}

/** Streams and how far the tables are behind them. */
export function streamsOf(answer) {
  return (answer?.streams ?? []).map((one) => ({ ...one, behind: first(one.behind), fill: first(one.fill_ratio) }));
}

/** Polled sources with their newest state. */
export function providersOf(answer) {
  return list(answer).map((one) => ({
    name: one.provider,
    endpoint: first(one.endpoint),
    state: one.state,
    detail: first(one.detail) ?? '',
    latency: first(one.latency_ms),
    used: first(one.quota?.used),
    limit: first(one.quota?.limit),
    window: first(one.quota?.window),
    onTime: first(one.on_time_percent),
    at: first(one.at_us),
  }));
}
