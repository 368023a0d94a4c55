// The pictures of docs/dashboard.md: `node pictures.js http://127.0.0.1:8420 FOLDER`, against a demo that has run for
// some minutes. Where pngquant is installed the files become small enough for the repository.

import { spawnSync } from 'node:child_process';
import { mkdirSync, statSync } from 'node:fs';
import { open, routesOf, startBrowser } from './tools.js';
import { walk } from './walk.js';

const [base, folder] = process.argv.slice(2);
const MAX_BYTES = 150_000;
const SETTLE_MS = 2500;

/** Pages that this server's API has the data for. */
const told = await routesOf(base);
const PICTURES = [
  { name: 'overview', path: '/', theme: 'light' },
  { name: 'transactions', path: '/transactions', theme: 'dark', height: 620 },
  { name: 'alert', path: '/alerts', theme: 'light', height: 700, click: 'main tbody tr' },
  { name: 'market', path: '/market', theme: 'dark', height: 700, needs: 'get /market/summary' },
  { name: 'signals', path: '/signals', theme: 'light', height: 620, needs: 'get /market/articles' },
  { name: 'wallet', path: '/wallet/', theme: 'light', height: 620 },
  { name: 'graph', path: '/graph?address=', theme: 'dark', height: 700, needs: 'get /graph', click: '.dot:not(.root)' },
  { name: 'operations', path: '/providers', theme: 'light', height: 700 },
  { name: 'phone', path: '/', theme: 'dark', width: 360, height: 720 },
];

const ask = async (path) => (await fetch(`${base}/api/v1${path}`)).json();

/** Takes a picture, and makes it small. */
async function take(page, name) {
  const file = `${folder}/${name}.png`;
  await page.screenshot({ path: file });
  spawnSync('pngquant', ['--force', '--ext', '.png', '--speed', '1', '96', file]);
  const { size } = statSync(file);
  console.log(`${file} ${size} bytes${size > MAX_BYTES ? ': TOO LARGE' : ''}`);
}

mkdirSync(folder, { recursive: true });
const browser = await startBrowser();
for (const { name, path, click, ...options } of PICTURES.filter(({ needs }) => !needs || told.includes(needs))) {
  const address = (await ask('/transactions?limit=1')).items[0].from;
  const { page, context } = await open(browser, base, /[/=]$/.test(path) && path !== '/' ? path + address : path, options);
  await page.waitForTimeout(SETTLE_MS);
  if (click) {
    await page.locator(click).first().click();
    await page.locator('dialog[open] .facts, .dot.chosen').first().waitFor();
  }
  await take(page, name);
  await context.close();
}
const { page, context } = await open(browser, base, '/', { height: 700 });
await walk(page, told, {
  async show({ name }) {
    await page.waitForTimeout(SETTLE_MS);
    await take(page, `walk-${name}`);
  },
});
await context.close();
await browser.close();
