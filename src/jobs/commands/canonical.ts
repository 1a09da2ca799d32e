import { createHash } from 'node:crypto';

/**
 * One text for one meaning: keys in order, and what is absent, null or undefined left out. Two requests that ask for the same thing
 * give the same text, however a client arranged them.
 */
function canonicalJson(value: unknown): string {
  return JSON.stringify(arranged(value)) ?? 'null';
}

/** SHA-256 of a command's parameters, by which a key that is used again is recognised as the same request. */
export function paramsHash(params: object): Buffer {
  return createHash('sha256').update(canonicalJson(params)).digest();
}

function arranged(value: unknown): unknown {
  if (value instanceof Date) return value.toISOString();
  if (Array.isArray(value)) return value.map(arranged);
  if (value === null || typeof value !== 'object') return value;
  const present = Object.entries(value).filter(([, inner]) => inner !== null && inner !== undefined);
  // Compared by code unit: the order must not depend on the machine's language.
  present.sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(present.map(([key, inner]) => [key, arranged(inner)]));
}
