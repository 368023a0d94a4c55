// What happens to a page when the world around it fails: a server that is killed, blocks that leave the chain, names that attack.

import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { compare, Skip, until } from './cases.js';
import { open, pathsOf, routesOf } from './tools.js';
import { MOST_PRESSES, walk } from './walk.js';

/** Markup, text that turns around, and far too much of it. */
const HOSTILE = `<img src=x onerror="document.title='owned'"><script>document.title='owned'</script>\u202egpj.exe\u0000\u200b${'W'.repeat(10_000)}`;
/** Fields whose text others write. */
const OF_OTHERS = new Set([
  'symbol', 'label', 'from_label', 'to_label', 'title', 'lines', 'summary', 'publisher', 'author', 'description', 'detail', 'message', 'hint', 'tags', 'categories',
  'from_tags', 'to_tags', 'spender_label', 'spender_tags', 'reason', 'group', 'destination', 'error', 'classification', 'method', 'watched', 'truncated', 'tokens',
]);

function poison(value, key) {
  if (Array.isArray(value)) return value.map((one) => poison(one, key));
  if (value && typeof value === 'object') return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, poison(one, name)]));
  return OF_OTHERS.has(key) && (typeof value === 'string' || value === null) ? HOSTILE : value;
}

async function freePort() {
  const server = createServer();
  await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
  const { port } = server.address();
  await new Promise((closed) => server.close(closed));
  return port;
}

/** An API of its own beside the demo, which can be killed: `CRYPTO_INTEL_BINARY` and `CRYPTO_INTEL_CONFIG` say which. */
async function ownApi() {
  const { CRYPTO_INTEL_BINARY: binary, CRYPTO_INTEL_CONFIG: config } = process.env;
  if (!binary || !config) throw new Skip('CRYPTO_INTEL_BINARY and CRYPTO_INTEL_CONFIG name no server that may be killed');
  const port = await freePort();
  const base = `http://127.0.0.1:${port}`;
  const environment = { ...process.env, CRYPTO_INTEL__API__LISTEN: `127.0.0.1:${port}`, CRYPTO_INTEL__ADMIN__LISTEN: '127.0.0.1:0' };
  let running;
  const start = async () => {
    running = spawn(binary, ['--config', config, 'run', 'api'], { env: environment, stdio: 'ignore' });
    await until(async () => (await fetch(`${base}/api/v1/me`).catch(() => null))?.ok);
  };
  const kill = async () => {
    const ended = new Promise((done) => running.once('exit', done));
    running.kill('SIGKILL');
    await ended;
  };
  await start();
  return { base, start, kill };
}

export const faults = {
  async 'a killed server is told, and after it came back no row is missing or twice'({ browser, fail }) {
    const api = await ownApi();
    const { page: view, context } = await open(browser, api.base, '/transactions');
    try {
      const keys = () => view.evaluate(() => [...document.querySelectorAll('main tbody tr')].map((row) => row.dataset.key));
      const first = new Set(await keys());
      await until(async () => (await keys()).some((key) => !first.has(key)));
      await api.kill();
      await view.locator('.truth').getByText('reconnecting').waitFor({ timeout: 10_000 });
      await view.locator('.truth').getByText('The server does not answer').waitFor({ timeout: 20_000 });
      const before = new Set(await keys());
      if (before.size === 0) fail('the rows are gone while the server is');
      await api.start();
      // Beside the word stands how many events a second came.
      await view.locator('.truth .state').filter({ hasText: /^\s*live(\s*[\d.,]+\/s)?\s*$/ }).waitFor({ timeout: 40_000 });
      await until(async () => !(await view.locator('.truth').getByText('The server does not answer').count()));
      await until(async () => (await keys()).filter((key) => !before.has(key)).length > 30);
      // Where the stream could not give what was missed, the page says so, and has a button.
      const gaps = await view.locator('.banner').getByRole('button', { name: 'Load' }).count();
      console.log(`     ${gaps} gaps told`);
      if (gaps) await view.locator('.banner').getByRole('button', { name: 'Load' }).first().click();
      await until(async () => (await view.locator('.banner').getByRole('button', { name: 'Load' }).count()) === 0);
      await compare(view, api.base, fail);
    } finally {
      await context.close();
      await api.kill().catch(() => {});
    }
  },

  async 'blocks that leave the chain strike rows through, and their successors come'({ browser, base, fail }) {
    if (!(await routesOf(base)).includes('get /reorgs')) throw new Skip('the API has no reorganisations');
    const { page: view, context, faults: said } = await open(browser, base, '/transactions');
    // The demo's chain replaces its newest blocks now and then.
    const struck = view.locator('main tbody tr.struck').first();
    await struck.waitFor({ timeout: 90_000 });
    const key = await struck.getAttribute('data-key');
    const word = await struck.innerText();
    if (!word.includes('retracted')) fail(`a row is struck through and says: ${word}`);
    await until(async () => (await view.locator(`tr[data-key="${key}"]`).count()) === 0);
    await compare(view, base, fail);
    for (const fault of said) fail(fault);
    await context.close();
  },

  async 'a mistake in a rule is told with its place, which a press leads to'({ browser, base, fail }) {
    if (!(await routesOf(base)).includes('post /rules/check')) throw new Skip('the API checks no rules');
    const { page: view, context, faults: said } = await open(browser, base, '/rules/new?min_usd=5');
    const box = view.locator('textarea');
    const text = await box.inputValue();
    await view.getByText('1 rule is sound').waitFor();
    await box.fill(text.replace('usd >= 5.0', 'usd >= many'));
    const place = view.locator('.mistakes').getByRole('button').first();
    await place.waitFor();
    const [, line, column] = /line (\d+), column (\d+)/.exec(await place.innerText()).map(Number);
    if (await view.getByRole('button', { name: 'Try it' }).isEnabled()) fail('what is not sound can be tried');
    await place.click();
    const at = await box.evaluate((element) => element.value.slice(0, element.selectionStart).split('\n'));
    if (at.length !== line || at.at(-1).length !== column - 1) fail(`the cursor is in line ${at.length}, column ${at.at(-1).length + 1}, not in ${line}, ${column}`);
    if (!/many/.test(text.replace('usd >= 5.0', 'usd >= many').split('\n')[line - 1])) fail(`line ${line} has no mistake`);
    for (const fault of said) fail(fault);
    await context.close();
  },

  async 'an analyst walks in few presses'({ browser, base, fail }) {
    // It watches and silences: only on a server of our own.
    if (!process.env.CRYPTO_INTEL_CONFIG) throw new Skip('CRYPTO_INTEL_CONFIG names no server that may be changed');
    const { page: view, context, faults: said } = await open(browser, base, '/');
    const after = (step, presses) => {
      console.log(`     ${step.title}: ${presses} presses`);
      if (presses > MOST_PRESSES) fail(`${step.title} in ${presses} presses`);
    };
    await walk(view, await routesOf(base), { after });
    for (const fault of said) fail(fault);
    await context.close();
  },

  async 'a hostile name is text on every page'({ browser, base, fail }) {
    const prepare = (view) => view.route(/\/api\/v1\//, async (route) => {
      if (route.request().method() !== 'GET') return route.continue();
      const answer = await route.fetch();
      const json = await answer.json().catch(() => null);
      return json ? route.fulfill({ response: answer, json: poison(json, '') }) : route.fulfill({ response: answer });
    });
    for (const path of await pathsOf(base)) {
      const { page: view, context, faults: said } = await open(browser, base, path, { width: 360, prepare });
      const found = await view.evaluate(() => ({
        title: document.title,
        elements: document.querySelectorAll('main img, main script').length,
        turned: /[\u202e\u0000\u200b]/.test(document.querySelector('main').innerText),
        overflow: document.documentElement.scrollWidth - innerWidth,
      }));
      if (found.title.includes('owned') || found.elements) fail(`${path}: the name became markup`);
      if (found.turned) fail(`${path}: a character that turns the text around is shown as it is`);
      if (found.overflow > 0) fail(`${path}: wider than the window by ${found.overflow} px`);
      // What a reader asks for as it came is whole.
      const broken = await view.locator('main').getByText('This part of the page failed').count();
      if (broken) fail(`${path}: a part of the page failed`);
      for (const fault of said) fail(`${path}: ${fault}`);
      // Answers that are still on their way belong to no one.
      await view.unrouteAll({ behavior: 'ignoreErrors' });
      await context.close();
    }
  },
};
