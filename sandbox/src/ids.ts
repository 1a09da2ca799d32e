import { randomBytes } from 'node:crypto';
import { type ObjectName, prefixes } from './objects.js';

const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
let pool = Buffer.alloc(0);
let used = 0;

/** `length` random letters and digits. Random bytes are drawn in bulk: one system call per id would dominate the cost of a request. */
export function randomText(length: number): string {
  let text = '';
  while (text.length < length) {
    if (used >= pool.length) {
      pool = randomBytes(8192);
      used = 0;
    }
    const byte = pool[used++]! & 63;
    if (byte < 62) text += alphabet[byte]!;
  }
  return text;
}

/** A new id for an object of this kind, e.g. `pi_…`. */
export function newId(object: ObjectName): string {
  return object === 'account' ? `acct_1${randomText(15)}` : `${prefixes[object]}_${randomText(24)}`;
}
