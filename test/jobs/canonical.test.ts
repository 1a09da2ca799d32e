import { paramsHash } from '../../src/jobs/commands/canonical.js';

const same = (a: object, b: object) => paramsHash(a).equals(paramsHash(b));

test('requests that mean the same have the same hash', () => {
  expect(same({ a: 1, b: { c: 'x', d: [1, 2] } }, { b: { d: [1, 2], c: 'x' }, a: 1 })).toBe(true);
  expect(same({ a: 1, b: null, c: undefined }, { a: 1 })).toBe(true);
  expect(same({ at: new Date('2026-01-01T00:00:00Z') }, { at: '2026-01-01T00:00:00.000Z' })).toBe(true);
});

test('requests that differ anywhere do not', () => {
  expect(same({ a: 1 }, { a: 2 })).toBe(false);
  expect(same({ a: 1 }, { a: '1' })).toBe(false);
  expect(same({ a: [1, 2] }, { a: [2, 1] })).toBe(false);
  expect(same({ a: { b: 1 } }, { a: 1 })).toBe(false);
  expect(same({ a: false }, {})).toBe(false);
});
