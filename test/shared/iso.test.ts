import { isoOf } from '../../src/shared/iso.js';

test('an instant is written as toISOString writes it', () => {
  const instants = [0, 1, 999, -1, -86_400_000, 86_399_999, 951_782_399_999, 1_709_164_800_000, 253_402_300_799_999];
  instants.push(-62_135_596_800_000, 8_640_000_000_000_000, -8_640_000_000_000_000);
  for (let i = 0; i < 2_000; i += 1) instants.push(Math.floor((Math.random() - 0.5) * 2 * 8.64e15));
  for (const instant of instants) expect(isoOf(new Date(instant))).toBe(new Date(instant).toISOString());
});
