import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Waits until something is the case, looking again every 25 ms.
 * @param what said in the error when it does not become true in time
 * @param timeoutMs a minute, for machines that are busy with something else; it costs nothing where all is well
 * @returns what the condition gave, once that is neither false, null nor undefined
 */
export async function until<T>(
  condition: () => T | Promise<T>,
  what: string,
  timeoutMs = 60_000,
): Promise<Exclude<T, false | null | undefined>> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const found = await condition();
    if (found !== false && found !== null && found !== undefined) return found as Exclude<T, false | null | undefined>;
    if (performance.now() > deadline) throw new Error(`After ${timeoutMs} ms it is still not so that ${what}.`);
    await sleep(25);
  }
}
