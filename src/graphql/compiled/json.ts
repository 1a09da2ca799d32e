import { type GraphQLLeafType, isEnumType } from 'graphql';
import { Odd, type Write } from './program.js';

/** How the values of a scalar or an enum are written. The type itself serialises them, or has said beforehand what it would make of them. */
export function leafWriter(type: GraphQLLeafType): Write {
  if (isEnumType(type)) {
    const names = new Map(type.getValues().map(({ name, value }) => [value as unknown, `"${name}"`]));
    return (value) => names.get(value) ?? leaf(type.serialize(value));
  }
  const isPlainText = type.extensions.isPlainText === true;
  return (value) => {
    if (value === null || value === undefined || value instanceof Error || typeof value === 'function') throw new Odd();
    const serialized = type.serialize(value);
    return isPlainText && typeof serialized === 'string' ? `"${serialized}"` : leaf(serialized);
  };
}

/** What JSON.stringify would write for a scalar's or an enum's value, without its detours for what most values are. */
function leaf(value: unknown): string {
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
