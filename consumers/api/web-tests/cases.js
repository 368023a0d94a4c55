// What a reader would miss, one check each.

import { open, routesOf } from './tools.js';

/** 40 with one chain; a live alert may have its counts asked once more. */
const MAX_REQUESTS = 42;
/** Of bodies, as they are transferred; headers are some 600 bytes each. */
const MAX_BYTES = 90_000;
const MAX_PAINT_MS = 1500;
export const HOSTILE = '<img src=x onerror="document.title=1">\u202eCDSU';

/** An event as the API writes it. */
export function transfer(index, more = {}) {
  const hex = (size, seed) => `0x${(index * 7919 + seed).toString(16).padStart(size, '0').slice(-size)}`;
  const now = Date.now() * 1000;
  return {
    kind: 'transfer.erc20', version: 1, id: `local:${hex(64, 1)}:transfer.erc20:${index}`, source: 'evm',
    event_at_us: now, observed_at_us: now, chain: 'local', chain_id: 31_337, block_number: 100 + index, block_hash: hex(64, 1), block_time_us: now,
    removed: false, incarnation: 1, tx_hash: hex(64, 2), tx_index: 0, tx_from: hex(40, 3), tx_to: hex(40, 4), log_index: 0, address: hex(40, 5), sub_index: 0,
    from: hex(40, 3), to: hex(40, 4), value: '1500000', symbol: 'DEMO', decimals: 6, amount: '1.5', usd: '1.5', token_verified: true, ...more,
  };
}

export const page = (items) => JSON.stringify({ items, next: null, prev: null, as_of: {}, warnings: [] });

/** Answers the list of transactions with these. */
const answerWith = (items) => (view) => view.route(/\/api\/v1\/transactions\?/, (route) => route.fulfill({ contentType: 'application/json', body: page(items) }));

/** A check that this server cannot be asked. */
export class Skip extends Error {}

/** Opens the list of transactions with a websocket of our own; returns how to send events. */
export async function openMocked(browser, base, items = []) {
  if (!(await routesOf(base)).includes('get /stream')) throw new Skip('the API has no websocket');
  let socket;
  let subscriptions = [];
  const prepare = async (view) => {
    await answerWith(items)(view);
    await view.routeWebSocket(/\/ws$/, (opened) => {
      socket = opened;
      subscriptions = [];
      opened.send(JSON.stringify({ type: 'hello', heartbeat_seconds: 15 }));
      opened.onMessage((text) => {
        const message = JSON.parse(text);
        if (message.action === 'subscribe') subscriptions.push(message);
      });
    });
  };
  const opened = await open(browser, base, '/transactions', { prepare });
  await until(() => subscriptions.some((one) => one.service === 'onchain'));
  const send = (events, resume) => {
    const { id } = subscriptions.find((one) => one.service === 'onchain');
    socket.send(JSON.stringify({ type: 'events', id, events, resume }));
  };
  return { ...opened, send, socket: () => socket, subscriptions: () => subscriptions };
}

/** Waits until something is so. */
export async function until(isSo) {
  const deadline = Date.now() + 20_000;
  while (!(await isSo())) {
    if (Date.now() > deadline) throw new Error(`it did not become so: ${isSo}`);
    await new Promise((done) => setTimeout(done, 50));
  }
}

/** Pauses the list of transactions and compares whole blocks of it with the tables: none may be missing, twice, or in no table. */
export async function compare(view, base, fail) {
  await view.locator('[data-pause]').click();
  // What left the chain is struck through and in no table any more.
  const shown = await view.evaluate(() => [...document.querySelectorAll('main tbody tr:not(.struck)')].map((row) => row.dataset.key));
  if (new Set(shown).size !== shown.length) fail('a row is there twice');
  const ask = async (path) => (await (await fetch(`${base}/api/v1${path}`)).json()).items;
  const hashOf = (key) => key.split(':')[1];
  let stored;
  let left;
  await until(async () => {
    const canonical = await ask('/blocks?chain=local&limit=200');
    stored = await ask('/transactions?limit=1000');
    const hashes = new Set([...canonical.map((block) => block.block_hash), ...stored.map((event) => event.block_hash)]);
    const top = canonical[0]?.block_number ?? 0;
    // A block that was shown may have left the chain since: then another one is at its height.
    left = (key) => !hashes.has(hashOf(key));
    return stored.some((event) => event.id === shown[0]) || (left(shown[0]) && top > Math.max(...stored.map((event) => event.block_number)) - 1);
  });
  const blocks = new Map(stored.map((event) => [event.id, event.block_number]));
  const heights = shown.map((key) => blocks.get(key)).filter((height) => height !== undefined);
  // The oldest block that is shown is cut by the bound of the list, the newest may still be arriving.
  const [oldest, newest] = [Math.min(...heights), Math.max(...heights)];
  const isWhole = (height) => height > oldest && height < newest;
  const expected = stored.filter((event) => isWhole(event.block_number)).map((event) => event.id);
  const missing = expected.filter((key) => !shown.includes(key));
  console.log(`     ${expected.length} rows of blocks ${oldest + 1} to ${newest - 1} compared`);
  if (expected.length < 30) fail(`only ${expected.length} rows could be compared`);
  if (missing.length) fail(`${missing.length} rows are missing, of blocks ${[...new Set(missing.map((key) => blocks.get(key)))]}, such as ${missing[0]}`);
  const invented = shown.filter((key) => !blocks.has(key) && !left(key));
  if (invented.length) fail(`${invented.length} rows are in no table, such as ${invented[0]}`);
}

export const rowsOf = (view) => view.locator('main tbody tr').count();

export const cases = {
  async 'the first view is small and quick'({ browser, base, fail }) {
    const sizes = [];
    const { page: view, context } = await open(browser, base, '/', {
      prepare: async (opened) => {
        opened.on('requestfinished', async (request) => sizes.push(request.sizes().then((size) => size.responseBodySize, () => 0)));
      },
    });
    const bytes = (await Promise.all(sizes)).reduce((all, size) => all + size, 0);
    const paint = await view.evaluate(() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? Infinity);
    console.log(`     ${sizes.length} requests, ${bytes} bytes, first paint after ${Math.round(paint)} ms`);
    if (sizes.length > MAX_REQUESTS) fail(`${sizes.length} requests, at most ${MAX_REQUESTS}`);
    if (bytes > MAX_BYTES && !process.env.UNCOMPRESSED) fail(`${bytes} bytes, at most ${MAX_BYTES}`);
    if (paint > MAX_PAINT_MS) fail(`first paint after ${paint} ms`);
    await context.close();
  },

  async 'a hostile name of a token is text'({ browser, base, fail }) {
    const { page: view, context, faults } = await open(browser, base, '/transactions', { prepare: answerWith([transfer(1, { symbol: HOSTILE, token_verified: false, from_label: HOSTILE })]) });
    const text = await view.locator('main tbody').innerText();
    if (!text.includes('<img')) fail(`the name is not shown: ${text}`);
    if (text.includes('\u202e')) fail('a character that turns the text around is shown as it is');
    if (await view.locator('main tbody img').count()) fail('the name became an element');
    for (const fault of faults) fail(fault);
    await context.close();
  },

  async 'a list stands still while it is paused, and says what waits'({ browser, base, fail }) {
    const { page: view, context, send } = await openMocked(browser, base, [transfer(1)]);
    await view.locator('[data-pause]').click();
    send([transfer(2), transfer(3)], 'EVM.3');
    await view.getByText('2 waiting').waitFor({ timeout: 5000 });
    if ((await rowsOf(view)) !== 1) fail('rows came in while paused');
    await view.locator('[data-pause]').click();
    await view.mouse.move(5, 400);
    await view.waitForFunction(() => document.querySelectorAll('main tbody tr').length === 3, null, { timeout: 5000 });
    await context.close();
  },

  async 'what left the chain is struck through, then gone'({ browser, base, fail }) {
    const { page: view, context, send } = await openMocked(browser, base, [transfer(2), transfer(1)]);
    send([transfer(2, { removed: true, incarnation: 2 })], 'EVM.9');
    await view.locator('main tbody tr.struck').waitFor({ timeout: 5000 });
    await view.getByText('retracted').first().waitFor({ timeout: 5000 });
    await view.waitForFunction(() => document.querySelectorAll('main tbody tr').length === 1, null, { timeout: 15_000 });
    if (await view.locator('main tbody tr.struck').count()) fail('the retracted row stays');
    await context.close();
  },

  async 'a lost connection is told, and resumes where it was'({ browser, base, fail }) {
    const opened = await openMocked(browser, base, [transfer(1)]);
    opened.send([transfer(2)], 'EVM.42');
    await opened.page.waitForFunction(() => document.querySelectorAll('main tbody tr').length === 2);
    await opened.socket().close({ code: 1001 });
    await opened.page.getByText('reconnecting').first().waitFor({ timeout: 5000 });
    await until(() => opened.subscriptions().some((one) => one.service === 'onchain' && one.resume));
    const again = opened.subscriptions().find((one) => one.service === 'onchain');
    if (again?.resume !== 'EVM.42') fail(`it subscribed with ${JSON.stringify(again)}`);
    opened.send([transfer(2), transfer(3)], 'EVM.43');
    await opened.page.waitForFunction(() => document.querySelectorAll('main tbody tr').length === 3, null, { timeout: 5000 });
    await opened.context.close();
  },

  async 'over a cut connection no row is missing and none is there twice'({ browser, base, fail }) {
    if (!(await routesOf(base)).includes('get /stream')) throw new Skip('the API has no websocket');
    const sockets = [];
    const opened = await open(browser, base, '/transactions', {
      prepare: (view) => view.routeWebSocket(/\/ws$/, (socket) => {
        sockets.push(socket);
        socket.connectToServer();
      }),
    });
    const { page: view } = opened;
    const keys = () => view.evaluate(() => [...document.querySelectorAll('main tbody tr')].map((row) => row.dataset.key));
    const first = new Set(await keys());
    await until(async () => (await keys()).some((key) => !first.has(key)));
    await sockets.at(-1).close({ code: 1001 });
    const before = new Set(await keys());
    await until(async () => sockets.length > 1 && (await keys()).filter((key) => !before.has(key)).length > 30);
    await compare(view, base, fail);
    await opened.context.close();
  },

  async 'filters are in the address, and survive a reload'({ browser, base, fail }) {
    const { page: view, context } = await open(browser, base, '/transactions');
    await view.getByLabel('At least, in US dollars').fill('5');
    await view.waitForURL(/min_usd=5/);
    await view.reload();
    await view.waitForSelector('html[data-ready]');
    const value = await view.getByLabel('At least, in US dollars').inputValue();
    if (value !== '5') fail(`after a reload the filter is ${value}`);
    await context.close();
  },

  async 'the keyboard opens pages, rows and the drawer, and the focus comes back'({ browser, base, fail }) {
    const { page: view, context } = await open(browser, base, '/', { prepare: answerWith([transfer(1), transfer(2)]) });
    await view.keyboard.press('g');
    await view.keyboard.press('t');
    await view.waitForURL(/transactions/);
    await view.locator('main tbody tr').first().waitFor();
    await view.keyboard.press('j');
    await view.keyboard.press('Enter');
    await view.locator('dialog[open]').waitFor();
    await view.keyboard.press('Escape');
    await view.locator('dialog[open]').waitFor({ state: 'detached' });
    const tag = await view.evaluate(() => document.activeElement?.tagName);
    if (tag !== 'TR') fail(`the focus is on ${tag}`);
    await view.keyboard.press('/');
    if ((await view.evaluate(() => document.activeElement?.id)) !== 'search') fail('/ does not open the search');
    await context.close();
  },

  async 'an address is watched from the list, with what was typed'({ browser, base, fail }) {
    if (!(await routesOf(base)).includes('post /wallets')) throw new Skip('the API cannot watch');
    const sent = [];
    const { page: view, context } = await open(browser, base, '/wallets', {
      // Nothing is changed: a server that others use may be looked at.
      prepare: (opened) => opened.route(/\/api\/v1\/wallets/, (route) => {
        const request = route.request();
        if (request.method() === 'POST') sent.push(request.postDataJSON());
        return route.fulfill({ status: request.method() === 'POST' ? 202 : 200, contentType: 'application/json', body: page([]) });
      }),
    });
    const button = view.getByRole('button', { name: 'Watch an address' });
    if (!(await button.count())) throw new Skip('the role may not watch');
    await button.first().click();
    const form = view.locator('dialog form');
    await form.locator('input').first().fill('0x12');
    if (await form.getByRole('button').isEnabled()) fail('half an address can be sent');
    await form.locator('input').first().fill(`0x${'Ab'.repeat(20)}`);
    await form.getByLabel('Label').fill('treasury');
    await form.getByLabel('Tags').fill('cold, fund');
    await form.getByRole('button').click();
    await view.locator('dialog[open]').waitFor({ state: 'detached' });
    const expected = JSON.stringify([{ address: `0x${'Ab'.repeat(20)}`, label: 'treasury', tags: ['cold', 'fund'] }]);
    if (JSON.stringify(sent) !== expected) fail(`it sent ${JSON.stringify(sent)}`);
    await context.close();
  },

  async 'a list becomes a file with its filter, and one that was cut is not saved'({ browser, base, fail }) {
    const me = await (await fetch(`${base}/api/v1/me`)).json();
    if (!me.scopes?.includes('export')) throw new Skip('the role gets no files');
    let isCut = false;
    const { page: view, context, faults } = await open(browser, base, '/transactions?min_usd=5', {
      prepare: (opened) => opened.route(/format=csv/, async (route) => {
        const answer = await route.fetch();
        const text = await answer.text();
        return isCut ? route.fulfill({ response: answer, body: text.slice(0, text.lastIndexOf('end,')) }) : route.fulfill({ response: answer, body: text });
      }),
    });
    const button = view.getByRole('button', { name: 'CSV' });
    const [asked, file] = await Promise.all([view.waitForRequest(/format=csv/), view.waitForEvent('download'), button.click()]);
    const query = new URL(asked.url()).searchParams;
    if (query.get('min_usd') !== '5' || query.has('limit')) fail(`it asked for ${asked.url()}`);
    if (!/^transactions-\d{14}\.csv$/.test(file.suggestedFilename())) fail(`the file is called ${file.suggestedFilename()}`);
    await view.getByText(/rows were saved/).first().waitFor();
    isCut = true;
    await button.click();
    await view.getByText('was cut on its way').first().waitFor();
    for (const fault of faults) fail(fault);
    await view.unrouteAll({ behavior: 'ignoreErrors' });
    await context.close();
  },

  async 'an alert is silenced for what was ticked'({ browser, base, fail }) {
    if (!(await routesOf(base)).includes('post /silences')) throw new Skip('the API cannot silence');
    const sent = [];
    const { page: view, context } = await open(browser, base, '/alerts', {
      prepare: (opened) => opened.route(/\/api\/v1\/silences/, (route) => {
        sent.push(route.request().postDataJSON());
        return route.fulfill({ status: 201, contentType: 'application/json', body: '{}' });
      }),
    });
    await view.locator('main tbody tr').first().click();
    await view.locator('dialog[open] .facts').waitFor();
    await view.getByRole('button', { name: 'Silence' }).first().click();
    await view.getByLabel('Reason').fill('it moves its funds');
    await view.locator('form.box select').selectOption('4h');
    await view.locator('form.box button.primary').click();
    await view.locator('form.box').waitFor({ state: 'detached' });
    const [silence] = sent;
    if (silence?.seconds !== 14_400 || silence.reason !== 'it moves its funds' || !/^rule=/.test(silence.matchers?.[0])) fail(`it sent ${JSON.stringify(silence)}`);
    await context.close();
  },

  async 'the graph is walked by the keyboard, and its table says the same'({ browser, base, fail }) {
    if (!(await routesOf(base)).includes('get /graph')) throw new Skip('the API has no graph');
    const transfers = (await (await fetch(`${base}/api/v1/transactions?limit=1`)).json()).items;
    const { page: view, context, faults } = await open(browser, base, `/graph?address=${transfers[0].from}`);
    const dots = await view.locator('.dot').count();
    if ((await rowsOf(view)) !== dots - 1) fail(`${dots} addresses are drawn, ${await rowsOf(view)} are in the table`);
    if ((await view.locator('.dot[tabindex="0"]').count()) !== 1) fail('the drawing is more than one stop of the tabulator');
    await view.locator('.dot').first().focus();
    await view.keyboard.press('ArrowRight');
    await view.keyboard.press('Enter');
    await view.waitForURL(/node=0x/);
    const chosen = new URL(view.url()).searchParams.get('node');
    if ((await view.locator('tr.selected').getAttribute('data-key')) !== chosen) fail('the table does not show what is chosen');
    await view.getByRole('button', { name: 'Put into the middle' }).click();
    await view.waitForURL((url) => url.searchParams.get('address') === chosen);
    await view.waitForFunction(() => document.querySelector('.dot.root title')?.textContent.includes(new URL(location.href).searchParams.get('address')));
    for (const fault of faults) fail(fault);
    await context.close();
  },

  async 'who decides about keys makes one that is shown once, and sees who changed what'({ browser, base, fail }) {
    if (!(await routesOf(base)).includes('get /audit')) throw new Skip('the API tells no changes');
    const change = { id: 'audit:1', kind: 'audit', event_at_us: Date.now() * 1000, actor: HOSTILE, via: 'api', origin: '192.0.2.7', action: 'silence.add', target: 'K7Q2M', before: '{}', after: '{"seconds":60}' };
    const { page: view, context, faults } = await open(browser, base, '/admin', {
      prepare: async (opened) => {
        await opened.route(/\/me$/, async (route) => {
          const answer = await route.fetch();
          const me = await answer.json();
          return route.fulfill({ response: answer, json: { ...me, scopes: [...me.scopes, 'audit', 'keys'] } });
        });
        await opened.route(/\/keys$/, (route) => {
          if (route.request().method() === 'GET') return route.fulfill({ contentType: 'application/json', body: page([]) });
          return route.fulfill({ status: 201, contentType: 'application/json', body: JSON.stringify({ ...route.request().postDataJSON(), id: 'Ab3dE9x0', state: 'counts', secret: 'ci_shown' }) });
        });
        await opened.route(/\/audit\?/, (route) => route.fulfill({ contentType: 'application/json', body: page([change]) }));
      },
    });
    const row = view.getByRole('region', { name: 'Changes' }).locator('tbody tr');
    if (!(await row.innerText()).includes('<img')) fail('the actor is not shown as text');
    await row.click();
    await view.locator('dialog[open]').getByText('{"seconds":60}').first().waitFor();
    await view.keyboard.press('Escape');
    await view.getByRole('button', { name: 'Make a key' }).click();
    await view.getByLabel('Name').fill('desk');
    await view.locator('dialog[open] button.primary').click();
    await view.getByText('ci_shown').waitFor();
    await view.keyboard.press('Escape');
    await view.locator('dialog[open]').waitFor({ state: 'detached' });
    if ((await view.content()).includes('ci_shown')) fail('the key is still in the page');
    for (const fault of faults) fail(fault);
    await view.unrouteAll({ behavior: 'ignoreErrors' });
    await context.close();
  },

  async 'a failed answer is told with its request, and old data stays'({ browser, base, fail }) {
    let isBroken = false;
    const { page: view, context } = await open(browser, base, '/wallets', {
      prepare: (opened) => opened.route(/\/api\/v1\/wallets/, (route) => (isBroken
        ? route.fulfill({ status: 503, contentType: 'application/problem+json', body: JSON.stringify({ type: '/problems/busy', title: 'Too many questions at the same time', status: 503, detail: 'ask again', instance: 'abc123' }) })
        : route.fulfill({ contentType: 'application/json', body: page([{ address: `0x${'ab'.repeat(20)}`, label: 'treasury', tags: [] }]) }))),
    });
    isBroken = true;
    await view.evaluate(() => window.dispatchEvent(new Event('online')));
    await view.getByLabel('Label', { exact: true }).fill('other');
    await view.getByText('Too many questions').waitFor({ timeout: 5000 });
    if (!(await view.getByText('abc123').count())) fail('the id of the request is not told');
    isBroken = false;
    await view.getByRole('button', { name: 'Retry' }).click();
    await view.getByText('treasury').first().waitFor({ timeout: 5000 });
    await context.close();
  },

  async 'a key is asked for where the API wants one'({ browser, base, fail }) {
    const context = await browser.newContext();
    const view = await context.newPage();
    const sent = [];
    let isIn = false;
    await view.route(/\/api\/v1\//, (route) => {
      const request = route.request();
      if (new URL(request.url()).pathname.endsWith('/session')) {
        sent.push(`${request.method()} ${request.postData() ?? request.headers().authorization ?? ''}`);
        isIn = request.method() === 'POST';
        return route.fulfill({ status: 201, contentType: 'application/json', body: '{}' });
      }
      if (request.headers().authorization) fail('a key is sent beside the beginning of a session');
      return isIn
        ? route.continue()
        : route.fulfill({ status: 401, contentType: 'application/problem+json', body: JSON.stringify({ title: 'A valid key is needed', status: 401 }) });
    });
    await view.goto(`${base}/#code=cl_${'k'.repeat(43)}`);
    await view.waitForSelector('html[data-ready]');
    if (view.url().includes('#')) fail('the code stays in the address');
    if (sent[0] !== `POST {"code":"cl_${'k'.repeat(43)}"}`) fail(`the code of the address is not used: ${sent[0]}`);
    await view.locator('.menu summary').first().click();
    await view.getByRole('button', { name: 'Use another key' }).click();
    await view.locator('form input[type="password"]').fill(`ci_abcd1234_${'k'.repeat(49)}`);
    await view.getByRole('button', { name: 'Open' }).click();
    await view.locator('.menu summary').first().waitFor();
    if (!sent.at(-1).startsWith('POST Bearer ci_abcd1234_')) fail(`the key begins no session: ${sent.at(-1)}`);
    const kept = await view.evaluate(() => JSON.stringify([{ ...sessionStorage }, { ...localStorage }, document.cookie]));
    if (/c[il]_/.test(kept)) fail(`a script could read ${kept}`);
    isIn = false;
    await view.goto(`${base}/about`);
    await view.locator('form input[type="password"]').fill('nonsense');
    await view.getByRole('button', { name: 'Open' }).click();
    await view.getByText('begins with ci_').waitFor();
    await context.close();
  },
};
