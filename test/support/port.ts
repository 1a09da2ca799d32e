import { randomInt } from 'node:crypto';
import { freePort } from '../../dev/postgres.js';

/**
 * A port for a server that is started a moment later. Below the range from which the system picks ports by itself, so that nobody is given it
 * meanwhile.
 */
export function aPort(): Promise<number> {
  return freePort(randomInt(12_000, 32_000));
}
