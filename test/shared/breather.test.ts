import { Breather } from '../../src/shared/breather.js';

const work = (ms: number) => {
  for (const end = performance.now() + ms; performance.now() < end;);
};

test('pieces of work that are ready at once leave room for others between them, and keep their order', async () => {
  const breather = new Breather(2);
  const done: (number | 'somebody else')[] = [];
  const pieces = Array.from({ length: 10 }, async (_, i) => {
    await breather.turn();
    work(3);
    done.push(i);
  });
  const others = setInterval(() => done.push('somebody else'), 1);
  await Promise.all(pieces);
  clearInterval(others);
  expect(done.filter((one) => one !== 'somebody else')).toEqual(Array.from({ length: 10 }, (_, i) => i));
  // Each piece is longer than a stretch, so others had a turn after every one.
  expect(done.indexOf('somebody else')).toBeLessThan(done.indexOf(3));
  expect(done.filter((one) => one === 'somebody else').length).toBeGreaterThan(3);
});

test('what fits into one stretch is done in one turn', async () => {
  const breather = new Breather(60_000);
  await breather.turn();
  let turns = 0;
  const counting = setInterval(() => (turns += 1), 0);
  for (let i = 0; i < 1_000; i++) await breather.turn();
  clearInterval(counting);
  expect(turns).toBe(0);
});
