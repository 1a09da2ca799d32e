import { Odd } from './program.js';

/** What JSON.stringify would write for a scalar's or an enum's value, without its detours for what most values are. */
export function leaf(value: unknown): string {
  if (typeof value === 'string') return special.test(value) ? JSON.stringify(value) : `"${value}"`;
  if (typeof value === 'number' && Number.isFinite(value)) return `${value}`;
  if (typeof value === 'boolean') return value ? 'true' : 'false';
  if (value instanceof Date) return `"${value.toISOString()}"`;
  // A scalar may not make nothing of something.
  if (value === null || value === undefined) throw new Odd();
  return JSON.stringify(value);
}

/** What JSON escapes. */
const special = /["\\\u0000-\u001f\ud800-\udfff]/;
