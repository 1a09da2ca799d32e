/**
 * For Jest's global setup and teardown: all traffic of all local Stripes of a run, in test processes and in children alike, is
 * recorded and judged at the end.
 *
 *   setup:     globalThis.stripeRecording = startRecording();
 *   teardown:  await globalThis.stripeRecording.check();
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureSchemas } from '../../tools/schemas.mjs';
import { assertExchangesValid } from './schema-check.mjs';

/**
 * Sets `LOCAL_STRIPE_RECORD`, which Jest's workers and the processes they start inherit. Makes the schemas if there are none
 * yet (3 s, once per SDK version), so that no test has to wait for them.
 *
 * @returns {{ folder: string, check(): Promise<number> }} `check` fails with a list of all deviations, and removes the records
 */
export function startRecording() {
  ensureSchemas();
  const folder = mkdtempSync(join(tmpdir(), 'stripe-exchanges-'));
  process.env.LOCAL_STRIPE_RECORD = folder;
  return {
    folder,
    async check() {
      try {
        return await assertExchangesValid(folder);
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    },
  };
}
