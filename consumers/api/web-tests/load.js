// What a busy list costs: frames and memory. CRYPTO_INTEL_LONG=1 measures for minutes, on a machine that does nothing else.

import { openMocked, rowsOf, Skip, transfer } from './cases.js';

const EVENTS_OF_TAB = 200_000;
/** What the heap may grow between two looks far apart. */
const MAX_GROWTH_MB = 5;

/** Bytes that are in use after a collection. */
async function heapOf(view) {
  const session = await view.context().newCDPSession(view);
  await session.send('HeapProfiler.collectGarbage');
  await session.send('Performance.enable');
  const { metrics } = await session.send('Performance.getMetrics');
  await session.detach();
  return metrics.find((one) => one.name === 'JSHeapUsedSize').value;
}

/** Notes the time between frames. */
async function watchFrames(view) {
  await view.evaluate(() => {
    window.gaps = [];
    let last = performance.now();
    const tick = (now) => {
      window.gaps.push(now - last);
      last = now;
      requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
  });
}

/** Sends so many events a second, for so long or until so many were sent; returns how many. */
async function play({ view, send }, { rate, seconds = Infinity, most = Infinity, from = 10 }) {
  let index = from;
  const started = Date.now();
  while (Date.now() - started < seconds * 1000 && index - from < most) {
    const due = Math.min(from + most, from + Math.floor(((Date.now() - started) / 1000) * rate));
    const events = [];
    for (; index < due; index += 1) events.push(transfer(index));
    if (events.length) send(events, `EVM.${index}`);
    await view.waitForTimeout(40);
  }
  await view.waitForTimeout(1500);
  return index - from;
}

async function framesOf(view) {
  const gaps = (await view.evaluate(() => window.gaps)).sort((a, b) => a - b);
  const whole = gaps.reduce((all, one) => all + one, 0);
  const at = (share) => gaps[Math.min(gaps.length - 1, Math.floor(gaps.length * share))];
  return { rate: (gaps.length * 1000) / whole, worst: gaps.at(-1), said: `${((gaps.length * 1000) / whole).toFixed(0)} frames a second, p50 ${at(0.5).toFixed(0)} ms, p99 ${at(0.99).toFixed(0)} ms, worst ${gaps.at(-1).toFixed(0)} ms` };
}

export const load = {
  async 'a thousand events a second neither freeze nor grow the list'({ browser, base, fail }) {
    const { page: view, context, send, faults } = await openMocked(browser, base);
    await watchFrames(view);
    const before = await heapOf(view);
    const sent = await play({ view, send }, { rate: 1000, seconds: 8 });
    const rows = await rowsOf(view);
    const frames = await framesOf(view);
    const grown = ((await heapOf(view)) - before) / 1e6;
    console.log(`     ${sent} events, ${rows} rows, ${frames.said}, heap +${grown.toFixed(1)} MB`);
    if (rows > 200 || rows < 100) fail(`${rows} rows`);
    // Times say little on a busy machine: only what no reader would bear is a failure.
    if (frames.worst > 5000) fail('the page stood still for five seconds');
    if (grown > 20) fail(`the heap grew by ${grown} MB`);
    for (const fault of faults) fail(fault);
    await context.close();
  },

  async 'a hundred events a second for a minute leave the page smooth'({ browser, base, fail }) {
    if (!process.env.CRYPTO_INTEL_LONG) throw new Skip('CRYPTO_INTEL_LONG is not set');
    const { page: view, context, send } = await openMocked(browser, base);
    await play({ view, send }, { rate: 100, seconds: 5 });
    await watchFrames(view);
    const sent = await play({ view, send }, { rate: 100, seconds: 60, from: 1000 });
    const frames = await framesOf(view);
    console.log(`     ${sent} events, ${frames.said}`);
    if (frames.rate < 55) fail(`${frames.rate.toFixed(0)} frames a second, fewer than 55`);
    await context.close();
  },

  async 'the heap stays flat over what a tab sees in a day'({ browser, base, fail }) {
    if (!process.env.CRYPTO_INTEL_LONG) throw new Skip('CRYPTO_INTEL_LONG is not set');
    const { page: view, context, send } = await openMocked(browser, base);
    await play({ view, send }, { rate: 2000, most: EVENTS_OF_TAB / 10 });
    const early = await heapOf(view);
    const sent = await play({ view, send }, { rate: 2000, most: EVENTS_OF_TAB, from: EVENTS_OF_TAB });
    const grown = ((await heapOf(view)) - early) / 1e6;
    console.log(`     ${sent} events, heap ${(early / 1e6).toFixed(1)} MB ${grown < 0 ? '' : '+'}${grown.toFixed(1)} MB`);
    if (grown > MAX_GROWTH_MB) fail(`the heap grew by ${grown.toFixed(1)} MB`);
    await context.close();
  },
};
