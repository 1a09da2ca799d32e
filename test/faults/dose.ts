// How much is injected: little with every commit, much at night (`npm run test:faults`). Chance comes from one seed, which is printed.

const isNightly = process.env.FAULTS === 'nightly';

/** @example const kills = dose(10, 500); */
export function dose(perCommit: number, nightly: number): number {
  return isNightly ? nightly : perCommit;
}

/** Milliseconds that a test may take. */
export const patience = isNightly ? 45 * 60_000 : 180_000;

export const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);
let state = (seed % 2_147_483_646) + 1;

/** The next number of this run's chance, from 0 to 1. */
export function random(): number {
  return (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
}

/** Says what was done to the system, and that it held. */
export function report(fault: string, injected: Record<string, number>): void {
  if (!isNightly) return;
  const counts = Object.entries(injected).map(([what, n]) => `${n} ${what}`);
  console.log(`${fault}: ${counts.join(', ')}; all invariants held (SEED=${seed})`);
}
