// Names that others gave, wherever they are shown.

import { HOSTILE, page, Skip } from './cases.js';
import { open, routesOf } from './tools.js';

export const names = {
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
};
