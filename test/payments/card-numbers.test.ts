import { setImmediate } from 'node:timers/promises';
import { holdsCardNumber } from '../../src/features/payments/payment-input.js';

test.each([
  ['all at once', '4242424242424242'],
  ['in groups', 'paid with 4242 4242 4242 4242 today'],
  ['in dashed groups', '4242-4242-4242-4242'],
  ['behind another number', '12 4242 4242 4242 4242'],
  ['before another number', '4242 4242 4242 4242 12 30'],
  ['in single digits', [...'4242424242424242'].join(' ')],
  ['of 19 digits', '6304 0000 0000 0000 000'],
])('a card number %s is seen', (_, text) => {
  expect(holdsCardNumber(text)).toBe(true);
});

test.each([
  ['a wrong check digit', '4242 4242 4242 4241'],
  ['twenty digits', '42424242424242424242'],
  ['too few digits', '4242 4242 4242'],
])('%s is no card number', (_, text) => {
  expect(holdsCardNumber(text)).toBe(false);
});

test('a thousand notes of nothing but digits and spaces are looked through before anybody notices', async () => {
  const notes = Array.from({ length: 1_000 }, (_, i) => `${Array(249).fill(1).join(' ')} ${i % 10}`);
  for (const note of notes) {
    expect(holdsCardNumber(note)).toBe(false);
    await setImmediate(); // so that the test's own time can run out
  }
}, 30_000);
