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
