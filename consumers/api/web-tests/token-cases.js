// Tokens, approvals and what is off the usual: names of others stay text, what is flagged is seen, and leads on.

import { HOSTILE, page, Skip } from './cases.js';
import { open, routesOf, violations } from './tools.js';

export const tokenCases = {
  async 'a hostile name of a token is text on its page and where it is sought'({ browser, base, fail }) {
    if (!(await routesOf(base)).includes('get /tokens')) throw new Skip('the API has no tokens');
    const token = { chain: 'local', address: `0x${'ab'.repeat(20)}`, symbol: HOSTILE, name: HOSTILE, decimals: 6, verified: false, said_by: 'contract', labels: [] };
    const answer = (body) => (route) => route.fulfill({ contentType: 'application/json', body });
    const { page: view, context, faults } = await open(browser, base, `/token/local/${token.address}`, {
      prepare: async (opened) => {
        await opened.route(/\/api\/v1\/tokens\/local\/0x\w+$/, answer(JSON.stringify(token)));
        await opened.route(/\/api\/v1\/tokens\?/, answer(page([token])));
      },
    });
    await view.locator('#search').fill('csdu');
    await view.locator('#found [role=option] .mark').waitFor({ timeout: 5000 });
    const text = (await view.locator('main h1').innerText()) + (await view.locator('#found').innerText());
    if (text.split('<img').length < 3) fail(`the name is not shown: ${text}`);
    if (text.includes('\u202e')) fail('a character that turns the text around is shown as it is');
    if (await view.locator('main img, #found img').count()) fail('the name became an element');
    for (const fault of faults) fail(fault);
    await context.close();
  },

  async 'an approval without a limit is flagged, and its token leads to its page'({ browser, base, fail }) {
    if (!(await routesOf(base)).includes('get /wallets/{address}/approvals')) throw new Skip('the API has no approvals');
    const one = (more) => ({ chain: 'local', token: `0x${'ab'.repeat(20)}`, symbol: HOSTILE, verified: false, spender: `0x${'cd'.repeat(20)}`, spender_label: HOSTILE, spender_tags: ['scam'], kind: 'allowance', value: '7', amount: '0.000007', token_id: null, unlimited: false, block_time_us: Date.now() * 1000, block_number: 5, tx_hash: `0x${'12'.repeat(32)}`, ...more });
    const items = [one(), one({ unlimited: true, value: String(2n ** 256n - 1n), amount: null, spender: `0x${'ce'.repeat(20)}` }), one({ kind: 'nft', token_id: '77', value: null, amount: null }), one({ kind: 'collection', unlimited: true, value: null, amount: null })];
    const { page: view, context, faults } = await open(browser, base, `/wallet/0x${'ef'.repeat(20)}?tab=approvals`, {
      prepare: (opened) => opened.route(/api\/v1\/wallets\/0x\w+\/approvals/, (route) => route.fulfill({ contentType: 'application/json', body: page(items) })),
    });
    const text = await view.locator('main tbody').innerText();
    for (const word of ['unlimited', '#77', 'every NFT', '<img']) if (!text.includes(word)) fail(`${word} is not shown: ${text}`);
    if ((await view.locator('main tbody tr').first().innerText()).includes('0.0')) fail('what has no limit is not first');
    if (await view.locator('main tbody img').count()) fail('a name became an element');
    const href = await view.locator('main tbody a').first().getAttribute('href');
    if (href !== `/token/local/${items[0].token}`) fail(`the token leads to ${href}`);
    for (const violation of await violations(view)) fail(violation);
    for (const fault of faults) fail(fault);
    await context.close();
  },

  async 'what is off the usual is told with its band, and leads to a rule'({ browser, base, fail }) {
    if (!(await routesOf(base)).includes('get /analysis/anomalies')) throw new Skip('the API has no anomalies');
    const hour = Date.now() * 1000 - 7_200_000_000;
    const common = { verified: true, chain: null, token: null, symbol: null, asset: null, quote: null, source: null, hour_us: hour, since_us: hour };
    const items = [
      { ...common, what: 'token_volume', chain: 'local', token: `0x${'ab'.repeat(20)}`, symbol: HOSTILE, verified: false, value: '9000000', expected: '1000', low: '500', high: '1500', z: 88.4 },
      { ...common, what: 'price', asset: 'dai', quote: 'usd', source: 'somewhere', value: '0.91', expected: '1', low: '0.995', high: '1.005', z: -90 },
    ];
    const { page: view, context, faults } = await open(browser, base, '/signals', {
      prepare: (opened) => opened.route(/api\/v1\/analysis\/anomalies/, (route) => route.fulfill({ contentType: 'application/json', body: page(items) })),
    });
    const panel = view.getByRole('region', { name: 'Off the usual' });
    const text = await panel.innerText();
    for (const word of ['<img', '9M', 'usual 500 to 1.5K', 'dai/usd', '0.91']) if (!text.includes(word)) fail(`${word} is not shown: ${text}`);
    if (await panel.locator('img').count()) fail('a name became an element');
    for (const violation of await violations(view)) fail(violation);
    const rule = panel.getByRole('link', { name: 'Make a rule of this' });
    if (await rule.count()) {
      await rule.click();
      await view.waitForURL(/rules\/new\?.*token=0xabab/);
    }
    for (const fault of faults) fail(fault);
    await context.close();
  },

  async 'a pool shows its tokens, and swaps in whole tokens with the side that they were on'({ browser, base, fail }) {
    if (!(await routesOf(base)).includes('get /pools/{chain}/{pool}')) throw new Skip('the API has no pools');
    const address = `0x${'40'.repeat(20)}`;
    const now = Date.now() * 1000;
    const token = (digit, decimals) => ({ address: `0x${digit.repeat(40)}`, symbol: HOSTILE, decimals, verified: false });
    const pool = { chain: 'local', address, pool_id: null, protocol: 'uniswap-v3', tokens: [token('1', 6), token('2', 18)], tick: -12, labels: [], last_swap_at_us: now, last_tx_hash: `0x${'12'.repeat(32)}` };
    const swap = { kind: 'swap', id: 's', chain: 'local', block_number: 5, block_time_us: now, tx_hash: pool.last_tx_hash, address, sender: address, amount0: '-1500000', amount1: '2000000000000000000', finality: 'final' };
    const answer = (body) => (route) => route.fulfill({ contentType: 'application/json', body });
    for (const width of [360, 1280]) {
      const { page: view, context, faults } = await open(browser, base, `/pool/local/${address}`, {
        width, language: 'es',
        prepare: async (opened) => {
          await opened.route(/api\/v1\/pools\/local\/0x\w+$/, answer(JSON.stringify(pool)));
          await opened.route(/api\/v1\/pools\/.*\/swaps/, answer(page([swap])));
          await opened.route(/api\/v1\/pools\/.*\/volume/, answer(page([{ bucket_us: Math.floor(now / 3.6e9) * 3.6e9, swaps: 3 }])));
        },
      });
      const text = await view.locator('main').innerText();
      for (const word of ['-1,5', 'uniswap-v3', '<img', '3 intercambios']) if (!text.includes(word)) fail(`${word} is not shown: ${text}`);
      if (await view.locator('main img').count()) fail('a name became an element');
      const overflow = await view.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      if (overflow > 0) fail(`wider than the window by ${overflow} px`);
      for (const violation of await violations(view)) fail(violation);
      for (const fault of faults) fail(fault);
      await context.close();
    }
  },
};
