import { randomFillSync } from 'node:crypto';
import { badInput } from './errors.js';

declare const uuidBrand: unique symbol;

/** A UUID in its canonical lower-case form: safe to put into SQL as a literal, because its shape was checked. */
export type Uuid = string & { readonly [uuidBrand]: true };

const shape = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

export function isUuid(value: unknown): value is Uuid {
  return typeof value === 'string' && shape.test(value);
}

/** @throws Error when the value is not a canonical UUID */
export function asUuid(value: unknown): Uuid {
  if (!isUuid(value)) throw new Error('Not a UUID in canonical form.');
  return value;
}

/**
 * Reads an id that a client sent; capitals mean the same.
 * @throws AppError BAD_USER_INPUT
 */
export function readUuid(value: string, field: string): Uuid {
  const id = value.toLowerCase();
  if (!isUuid(id)) throw badInput(field, 'This is not a UUID.');
  return id;
}

/** Asked for in advance: a call for sixteen bytes costs as much as one for thousands. */
const random = Buffer.alloc(4_096);
let spent = random.length;

/** A time-ordered UUID (version 7), so that new rows land at the end of their index. RFC 9562, section 5.7 */
export function newUuid(): Uuid {
  if (spent === random.length) {
    randomFillSync(random);
    spent = 0;
  }
  const bytes = random.subarray(spent, (spent += 16));
  bytes.writeUIntBE(Date.now(), 0, 6);
  bytes[6] = (bytes[6]! & 0x0f) | 0x70;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  const hex = bytes.toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}` as Uuid;
}
