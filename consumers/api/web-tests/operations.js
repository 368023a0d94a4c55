// What operators do about providers.

import { Skip } from './cases.js';
import { open, routesOf } from './tools.js';

const HOSTILE = '<img src=x onerror="document.title=1">\u202eCDSU';

export const operations = {
  async 'one who may pauses a provider, and goes on'({ browser, base, fail }) {
    if (!(await routesOf(base)).includes('post /providers/{name}/pause')) throw new Skip('the API pauses no provider');
    const now = Date.now() * 1000;
    const pauses = [];
    const sent = [];
    const endpoint = { name: 'ticker', kind: 'price', enabled: true, state: 'ok', every_seconds: 30, last_us: now, next_us: now, late_seconds: null, on_time_percent: '99.00', age_seconds: 5, limit_seconds: 90 };
    const provider = () => ({ name: 'venue', title: HOSTILE, category: 'market', enabled: true, told: null, facts: '', limits: [], endpoints: [endpoint], histories: [], pauses });
    const { page: view, context, faults } = await open(browser, base, '/providers?provider=venue', {
      prepare: async (opened) => {
        await opened.route(/\/me$/, async (route) => {
          const answer = await route.fetch();
          const me = await answer.json();
          return route.fulfill({ response: answer, json: { ...me, scopes: [...me.scopes, 'ops:write'] } });
        });
        await opened.route(/\/api\/v1\/providers\/venue/, (route) => {
          const request = route.request();
          const action = new URL(request.url()).pathname.split('/').at(-1);
          if (request.method() === 'POST') sent.push(`${action} ${request.postData()}`);
          if (action === 'pause') pauses.push({ provider: 'venue', endpoint: null, by: 'desk', reason: HOSTILE, since_us: now, until_us: now + 3_600_000_000 });
          if (action === 'resume') pauses.length = 0;
          return route.fulfill({ contentType: 'application/json', body: JSON.stringify(provider()) });
        });
      },
    });
    const sheet = view.locator('dialog[open]');
    await sheet.getByRole('button', { name: 'Pause' }).click();
    if (sent.length) fail('it is paused without a form');
    await sheet.getByLabel('Reason').fill('maintenance');
    await sheet.locator('form button[type="submit"]').click();
    await sheet.getByText('was paused by desk').waitFor();
    if (!sent[0].includes('"seconds":3600')) fail(`another pause: ${sent[0]}`);
    await sheet.getByRole('button', { name: 'Resume' }).click();
    await sheet.getByText('was paused by desk').waitFor({ state: 'detached' });
    if (sent.length !== 2) fail(`sent: ${sent}`);
    for (const fault of faults) fail(fault);
    await view.unrouteAll({ behavior: 'ignoreErrors' });
    await context.close();
  },
};
