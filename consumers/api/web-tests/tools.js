// What the checks and the pictures share: the browser, and the dashboard opened in it.

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const modules = createRequire(new URL('../../../.tools/browser/', import.meta.url));
const { chromium } = modules('playwright-core');
const AXE = readFileSync(modules.resolve('axe-core/axe.min.js'), 'utf8');
const TAGS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];

/** Starts the system's Chromium, which the environment may name. */
export async function startBrowser() {
  const executablePath = process.env.CHROMIUM ?? found();
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu'] });
  const driver = modules('playwright-core/package.json').version;
  console.log(`playwright-core ${driver}, Chromium ${browser.version()}`);
  return browser;
}

function found() {
  for (const name of ['chromium-headless-shell', 'chromium', 'chromium-browser', 'google-chrome']) {
    try {
      return execFileSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).trim();
    } catch {
      // The next name.
    }
  }
  throw new Error('there is no Chromium: install chromium-headless-shell, or set CHROMIUM');
}

/** The routes of the API, as its page tells them. */
export async function routesOf(base) {
  const text = await (await fetch(base)).text();
  return /name="routes" content="([^"]*)"/.exec(text)[1].split(',');
}

/** The pages of a server, with those of the first wallet, transaction, block and rule that its API has. */
export async function pathsOf(base) {
  const ask = async (path) => (await fetch(`${base}/api/v1${path}`)).json().catch(() => ({}));
  const told = await routesOf(base);
  const list = ['/', '/transactions', '/wallets', '/alerts', '/providers', '/admin', '/about'];
  if (told.includes('get /market/summary')) list.push('/market');
  if (told.includes('get /market/articles')) list.push('/signals');
  if (told.includes('get /schedule')) list.push('/providers?tab=schedule&only=all');
  if (told.includes('get /rules')) {
    const { items: [rule] = [] } = await ask('/rules');
    list.push('/rules', '/rules/new?min_usd=5', ...(rule ? [`/rule/${rule.id}`] : []));
  }
  const { items: [newest] = [] } = await ask('/alerts?limit=1');
  if (newest) list.push(`/alerts?alert=${newest.alert.alert}`);
  const { items: [moved] = [] } = await ask('/transactions?kind=erc20&limit=1');
  if (moved && told.includes('get /tokens/{chain}/{token}')) list.push(`/token/${moved.chain}/${moved.address}`, `/wallet/${moved.from}?tab=approvals`);
  const { items: [transfer] = [] } = await ask('/transactions?limit=1');
  if (transfer) {
    list.push(`/wallet/${transfer.from ?? transfer.tx_from}`);
    if (told.includes('get /graph')) list.push('/graph', `/graph?depth=2&address=${transfer.from ?? transfer.tx_from}`);
    list.push(`/transactions/${transfer.chain}/${transfer.tx_hash}?block=${transfer.block_number}`);
    if (told.includes('get /blocks/{chain}/{number}')) list.push(`/block/${transfer.chain}/${transfer.block_number}`);
  }
  return list;
}

/** A page of the dashboard that notes what must not happen. */
export async function open(browser, base, path, { theme = 'light', language = 'en', width = 1280, height = 860, prepare } = {}) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: theme, locale: language, reducedMotion: 'reduce' });
  const page = await context.newPage();
  const faults = [];
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) faults.push(`${message.type()}: ${message.text()} (${message.location().url})`);
  });
  page.on('pageerror', (error) => faults.push(`exception: ${error.stack}`));
  page.on('request', (request) => {
    const { hostname, protocol } = new URL(request.url());
    if (protocol !== 'data:' && hostname !== new URL(base).hostname) faults.push(`a request left the server: ${request.url()}`);
  });
  await prepare?.(page);
  await page.goto(base + path, { waitUntil: 'load' });
  await page.waitForSelector('html[data-ready]');
  await page.waitForFunction(() => !document.querySelector('main .skeleton'), null, { timeout: 15_000 });
  return { page, context, faults };
}

/** What axe-core finds wrong. */
export async function violations(page) {
  await page.evaluate(AXE);
  const found = await page.evaluate((tags) => axe.run(document, { runOnly: tags, resultTypes: ['violations'] }), TAGS);
  return found.violations.map((one) => `${one.id} (${one.impact}): ${one.help}: ${one.nodes.slice(0, 3).map((node) => node.target.join(' ')).join(', ')}`);
}
