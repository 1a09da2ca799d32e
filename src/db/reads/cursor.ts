import { crc32 } from 'node:zlib';
import { badInput } from '../../shared/errors.js';
import { isUuid } from '../../shared/uuid.js';
import { type ColumnType, type Order } from './model.js';

/** The values a row is ordered by, as they travel: numbers and text. Times are whole microseconds since 1970. */
export type Place = readonly (string | number)[];

/**
 * Writes and reads the cursors of one order. A cursor says nothing that its reader has not just been shown, and every reader sees only
 * the rows of the tenant whatever it says, so it needs no secret: the checksum keeps it from being used on another list by mistake.
 */
export class CursorCodec {
  private readonly list: string;

  constructor(
    name: string,
    order: Order,
    private readonly types: readonly ColumnType[],
  ) {
    this.list = `${name} ${order.direction} ${order.fields.join(' ')} `;
  }

  encode(place: Place): string {
    const values = JSON.stringify(place);
    const check = crc32(this.list + values)
      .toString(16)
      .padStart(8, '0');
    return Buffer.from(check + values).toString('base64url');
  }

  /** @returns the values as PostgreSQL takes them @throws AppError BAD_USER_INPUT naming `field` */
  decode(cursor: string, field: string): unknown[] {
    const text = Buffer.from(cursor, 'base64url').toString();
    const values = text.slice(8);
    if (
      text.slice(0, 8) !==
      crc32(this.list + values)
        .toString(16)
        .padStart(8, '0')
    )
      throw badCursor(field);
    const place = parse(values);
    if (place?.length !== this.types.length) throw badCursor(field);
    return this.types.map((type, i) => parameter(place[i], type, field));
  }
}

function parameter(value: unknown, type: ColumnType, field: string): unknown {
  if (type === 'time') {
    if (!Number.isSafeInteger(value)) throw badCursor(field);
    return timestamp(value as number, field);
  }
  if (type === 'integer' ? !isInteger(value) : typeof value !== 'string' || value.includes('\0'))
    throw badCursor(field);
  if (type === 'uuid' && !isUuid(value)) throw badCursor(field);
  return value;
}

/** What PostgreSQL's `integer` holds. Where a list is ordered by a `bigint`, that is a count which starts at one for each tenant. */
function isInteger(value: unknown): boolean {
  return Number.isInteger(value) && Math.abs(value as number) < 2 ** 31;
}

/** JavaScript's dates end at milliseconds; two rows of one millisecond must not become one place. */
function timestamp(microseconds: number, field: string): string {
  const date = new Date(Math.floor(microseconds / 1000));
  // Beyond these years it is written otherwise, which PostgreSQL does not read.
  const year = date.getUTCFullYear();
  if (!(year >= 1 && year <= 9_999)) throw badCursor(field);
  const rest = (((microseconds % 1000) + 1000) % 1000).toString().padStart(3, '0');
  return date.toISOString().replace('Z', `${rest}Z`);
}

function parse(text: string): unknown[] | null {
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) ? value : null;
  } catch {
    return null;
  }
}

function badCursor(field: string) {
  return badInput(field, 'This is not a cursor of this list.');
}
