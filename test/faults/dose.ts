// How much is injected: little with every commit, much at night (`npm run test:faults`). Chance comes from one seed, which is printed.

const isNightly = process.env.FAULTS === 'nightly';

/** Minutes that the nightly doses may take in all: FAULTS_MINUTES. What is not done by then is left, and the report says how much was done. */
const minutes = Number(process.env.FAULTS_MINUTES ?? 120);
/** Tests with nightly doses share the time. */
const share = (minutes * 60_000) / 15;

/** @example const kills = dose(10, 500); */
export function dose(perCommit: number, nightly: number): number {
  return isNightly ? nightly : perCommit;
}

/**
 * Injects the same thing again and again: so often with every commit, and at night up to so often, as long as this test's share of the time lasts.
 * @returns how often it was done
 */
export async function repeat(
  perCommit: number,
  nightly: number,
  inject: (round: number) => Promise<unknown>,
): Promise<number> {
  const end = performance.now() + share;
  let done = 0;
  while (done < perCommit || (isNightly && done < nightly && performance.now() < end)) await inject(done++);
  return done;
}

/**
 * Milliseconds within which a backlog has to be drained: I9 asks for 30 seconds, of a machine that is there for nothing else. At night what waits is
 * the more.
 */
export const drainMs = isNightly ? 240_000 : 60_000;

/** Milliseconds after which a test surely hangs. */
export const patience = isNightly ? share * 3 + 10 * 60_000 : 180_000;

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
