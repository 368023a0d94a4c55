import assert from 'node:assert/strict';
import { test } from 'node:test';
import { language } from '../web/store/i18n.js';
import * as number from '../web/store/number.js';

test('amounts are truncated, never rounded up, and keep their digits', () => {
  language.value = 'en';
  assert.equal(number.amount('1234.569'), '1,234.56');
  assert.equal(number.amount('0.99999999'), '0.9999');
  assert.equal(number.amount('999.99999'), '999.9999');
  assert.equal(number.amount('0'), '0');
  assert.equal(number.amount('-0.000'), '0');
  assert.equal(number.amount('-12.5'), '-12.5');
  assert.equal(number.amount('115792089237316195423570985008687907853269984665640564039457584007913129639935.9'), '115,792,089,237,316,195,423,570,985,008,687,907,853,269,984,665,640,564,039,457,584,007,913,129,639,935.9');
  assert.equal(number.amount('twelve'), '–');
  assert.equal(number.amount(undefined), '–');
});

test('what is small is shown by its zeros, not as nothing', () => {
  language.value = 'en';
  assert.equal(number.amount('0.0000123456'), '0.0₄123');
  assert.equal(number.amount('0.000000000000000001'), '0.0₁₇1');
  assert.equal(number.amount('0.00123'), '0.00123');
  assert.equal(number.usd('0.009'), '<$0.01');
  assert.equal(number.usd('0'), '$0.00');
});

test('dollars have cents, and a short form', () => {
  language.value = 'en';
  assert.equal(number.usd('12498750.259'), '$12,498,750.25');
  assert.equal(number.usd('-3.5'), '-$3.50');
  assert.equal(number.usdShort('12499999.99'), '$12.49M');
  assert.equal(number.usdShort('999.99'), '$999.99');
  assert.equal(number.compact('1999'), '1.99K');
});

test('separators follow the language', () => {
  language.value = 'es';
  assert.equal(number.amount('1234.56'), '1.234,56');
  assert.equal(number.exact('1234567.000100'), '1.234.567,0001');
  language.value = 'en';
  assert.equal(number.exact('1234567.000100'), '1,234,567.0001');
});

test('decimals compare and add exactly', () => {
  assert.equal(number.compare('0.1', '0.10'), 0);
  assert.equal(number.compare('10', '9.999999999999999999999'), 1);
  assert.equal(number.compare('-1', '0'), -1);
  assert.equal(number.compare(null, '0'), -1);
  assert.equal(number.sum(['0.1', '0.2', null, '9007199254740993']), '9007199254740993.3');
  assert.equal(number.sum(['0.5', '-0.75']), '-0.25');
  assert.equal(number.sum([]), '0');
  assert.equal(number.fromUnits('11307526041', 9), '11.307526041');
  assert.equal(number.fromUnits('1', 18), '0.000000000000000001');
  assert.equal(number.fromUnits('x', 18), null);
});
