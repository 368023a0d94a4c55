// Every page in both themes, widths and languages: `node check.js http://127.0.0.1:8420 [WORDS OF ONE CHECK | /PATH]`. Ends with 1 and says what was wrong.

import { cases, Skip } from './cases.js';
import { faults } from './faults.js';
import { load } from './load.js';
import { operations } from './operations.js';
import { tokenCases } from './token-cases.js';
import { open, pathsOf, startBrowser, violations } from './tools.js';

const [base, only] = process.argv.slice(2);
const checks = { ...cases, ...operations, ...tokenCases, ...load, ...faults };
const THEMES = ['light', 'dark'];
const WIDTHS = [360, 1280];
const LANGUAGES = ['en', 'es'];
const WORKERS = 2;

/** What was wrong, and where: the same in many views is one line. */
const failures = new Map();
const fail = (where, what) => failures.set(what, [...(failures.get(what) ?? []), where]);

const ask = async (path) => (await fetch(`${base}/api/v1${path}`)).json().catch(() => ({}));

/** Until there is something to look at: a demo that just began has no alert yet. */
async function filled() {
  const deadline = Date.now() + 90_000;
  for (const path of ['/transactions?limit=1', '/alerts?limit=1', '/market/articles?limit=1']) {
    while (!(await ask(path)).items?.length && Date.now() < deadline) await new Promise((done) => setTimeout(done, 500));
  }
}

async function look(browser, path, theme, width, language) {
  const where = `${path} ${theme} ${width} ${language}`;
  const { page, context, faults } = await open(browser, base, path, { theme, width, language });
  try {
    for (const fault of faults) fail(where, fault);
    for (const violation of await violations(page)) fail(where, violation);
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    if (overflow > 0) fail(where, `wider than the window by ${overflow} px`);
    const alerts = await page.locator('main [role="alert"]').allInnerTexts();
    for (const text of alerts) fail(where, `says: ${text.replace(/\s+/g, ' ')}`);
  } finally {
    await context.close();
  }
}

const browser = await startBrowser();
try {
  await filled();
  const jobs = [];
  const isWanted = (path) => !only || path.split('?')[0] === only;
  for (const path of only && !only.startsWith('/') ? [] : (await pathsOf(base)).filter(isWanted)) {
    for (const theme of THEMES) for (const width of WIDTHS) for (const language of LANGUAGES) jobs.push([path, theme, width, language]);
  }
  const total = jobs.length;
  const work = async () => {
    for (let job = jobs.shift(); job; job = jobs.shift()) {
      await look(browser, ...job).catch((error) => fail(job.join(' '), error.message.split('\n')[0]));
    }
  };
  await Promise.all(Array.from({ length: WORKERS }, work));
  console.log(`${total} views looked at`);
  for (const [name, check] of Object.entries(checks).filter(([one]) => !only || one.includes(only))) {
    const before = failures.size;
    let said = 'ok  ';
    await check({ browser, base, fail: (what) => fail(name, what) }).catch((error) => {
      if (error instanceof Skip) said = `skip (${error.message})`;
      else fail(name, error.message);
    });
    console.log(`${failures.size === before ? said : 'FAIL'} ${name}`);
  }
} finally {
  await browser.close();
}
for (const [what, places] of failures) console.error(`${what}\n     in ${places.length}: ${places.slice(0, 4).join('; ')}`);
console.log(failures.size ? `${failures.size} failures` : 'all well');
process.exitCode = failures.size ? 1 : 0;
