// The walk of an analyst: five things, each in fewer than five presses. The checks walk it, and the pictures of docs/dashboard.md are of its ends.

import { until } from './cases.js';

export const MOST_PRESSES = 4;

/** Each begins where the one before ended. `press` counts; what is typed is no press. */
export const STEPS = [
  {
    name: 'counterparty',
    title: "a whale's counterparty is found",
    async run(view, press) {
      await press(view.locator('.moves .address a').first());
      await view.waitForURL(/\/wallet\//);
      await press(view.getByRole('tab', { name: 'Counterparties' }));
      await view.locator('main tbody tr .address a').first().waitFor();
    },
  },
  {
    name: 'watch',
    title: 'it is watched',
    async run(view, press) {
      const party = view.locator('main tbody tr .address a').first();
      const address = (await party.getAttribute('href')).split('/').at(-1);
      await press(party);
      await view.waitForURL(new RegExp(address));
      await press(view.getByRole('button', { name: 'Watch', exact: true }));
      await view.locator('dialog[open]').getByLabel('Label').fill('deals with a whale');
      await press(view.locator('dialog[open]').getByRole('button', { name: 'Watch an address' }));
      await view.locator('dialog[open]').waitFor({ state: 'detached' });
      await view.getByText('Watched since').waitFor();
    },
  },
  {
    name: 'rule',
    title: 'a rule is made of a filter, and tried on what happened',
    needs: 'post /rules/from-filter',
    async run(view, press) {
      await press(view.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name: 'Transactions' }));
      await view.getByLabel('At least, in US dollars').fill('100000');
      await view.waitForURL(/min_usd=100000/);
      await press(view.getByRole('link', { name: 'Make a rule of this' }));
      const attempt = view.getByRole('button', { name: 'Try it' });
      await until(() => attempt.isEnabled());
      const text = await view.locator('textarea').inputValue();
      if (!text.includes('100000')) throw new Error(`the rule does not say what the filter did: ${text}`);
      await press(attempt);
      await view.locator('.samples li').first().waitFor({ timeout: 30_000 });
    },
  },
  {
    name: 'silence',
    title: 'an alert is silenced',
    async run(view, press, show) {
      await press(view.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name: 'Alerts' }));
      await view.locator('main tbody tr').first().waitFor();
      await press(view.locator('main tbody tr').first());
      await view.locator('dialog[open] .facts').waitFor();
      await press(view.locator('dialog[open]').getByRole('button', { name: 'Silence' }));
      await view.getByLabel('Reason').fill('known: it moves its own funds');
      await show();
      await press(view.locator('form.box button.primary'));
      await view.locator('form.box').waitFor({ state: 'detached' });
    },
  },
  {
    name: 'told',
    title: 'it is seen who was told, and when',
    async run(view, press) {
      await press(view.locator('dialog[open]').getByRole('button', { name: 'Close' }));
      // One of a minute ago has reached everybody.
      const told = view.locator('main tbody tr').filter({ has: view.locator('.told .tone-good') });
      await told.first().waitFor();
      await press(told.first());
      await view.locator('dialog[open] .time-line li').filter({ hasText: 'sent' }).first().waitFor();
    },
  },
];

/** Walks. `after(step, presses)` at the end of each, `show(step)` where it is seen best: at its end, too, unless it says otherwise. */
export async function walk(view, routes, { after = () => {}, show = () => {} }) {
  for (const step of STEPS.filter(({ needs }) => !needs || routes.includes(needs))) {
    let presses = 0;
    const press = async (place) => {
      presses += 1;
      await place.click();
    };
    let isShown = false;
    const shown = async () => {
      if (!isShown) await show(step);
      isShown = true;
    };
    await step.run(view, press, shown);
    await shown();
    await after(step, presses);
  }
}
