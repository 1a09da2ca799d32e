import { invalid } from './errors.js';

/**
 * What a request may carry, said once and checked always: unknown names → 400 `parameter_unknown`, absent ones → `parameter_missing`,
 * wrong types → `parameter_invalid_*`. The TypeScript type of the parsed parameters follows from the same declaration.
 * {@link https://docs.stripe.com/error-codes#parameter-unknown}
 *
 * ```ts
 * const create = { amount: p.int().required(), currency: p.string().required(), metadata: p.metadata() };
 * type Create = Params<typeof create>; // { amount: number; currency: string; metadata?: Metadata | null }
 * ```
 */
export class Param<T, Required extends boolean = false> {
  constructor(
    readonly parse: (raw: unknown, path: string) => T,
    readonly isRequired: Required = false as Required,
  ) {}

  /** Absent → 400 `parameter_missing`. */
  required(): Param<T, true> {
    return new Param(this.parse, true);
  }

  /** An empty string (v1) or null (v2) unsets the value: the handler sees `null`. */
  clearable(): Param<T | null, Required> {
    return new Param<T | null, Required>(
      (raw, path) => (raw === '' || raw === null ? null : this.parse(raw, path)),
      this.isRequired,
    );
  }

  /** A further check of the parsed value; throws what the caller shall see. */
  check(test: (value: T, path: string) => void): Param<T, Required> {
    return new Param((raw, path) => {
      const value = this.parse(raw, path);
      test(value, path);
      return value;
    }, this.isRequired);
  }
}

export type Shape = Record<string, Param<unknown, boolean>>;
export type Params<S extends Shape> = {
  [K in keyof S as S[K] extends Param<unknown, true> ? K : never]: S[K] extends Param<infer T, boolean> ? T : never;
} & {
  [K in keyof S as S[K] extends Param<unknown, true> ? never : K]?: S[K] extends Param<infer T, boolean> ? T : never;
};

/** Reads `raw` against `shape`; `path` is the bracketed name of the hash itself, empty at the top. */
export function parseParams<S extends Shape>(shape: S, raw: unknown, path = ''): Params<S> {
  if (raw === null || typeof raw !== 'object' || Array.isArray(raw)) throw invalid('Invalid object', path);
  const result: Record<string, unknown> = {};
  const unknown: string[] = [];
  for (const [name, value] of Object.entries(raw)) {
    const param = Object.hasOwn(shape, name) ? shape[name] : undefined;
    const at = path === '' ? name : `${path}[${name}]`;
    if (!param) unknown.push(at);
    else if (value !== undefined) result[name] = param.parse(value, at);
  }
  if (unknown.length > 0) {
    throw invalid(
      `Received unknown parameter${unknown.length > 1 ? 's' : ''}: ${unknown.join(', ')}`,
      unknown[0],
      'parameter_unknown',
    );
  }
  for (const [name, param] of Object.entries(shape)) {
    if (param.isRequired && result[name] === undefined) {
      const at = path === '' ? name : `${path}[${name}]`;
      throw invalid(`Missing required param: ${at}.`, at, 'parameter_missing');
    }
  }
  return result as Params<S>;
}

export type Metadata = Record<string, string>;

const limits = { keys: 50, key: 40, value: 500 } as const;

/** Metadata: at most 50 keys, of 40 characters, with values of 500. An empty value removes the key. {@link https://docs.stripe.com/api/metadata} */
function parseMetadata(raw: unknown, path: string): Metadata {
  if (raw === null || typeof raw !== 'object' || (Array.isArray(raw) && raw.length > 0)) {
    throw invalid('Invalid object', path);
  }
  const entries = Object.entries(raw as Record<string, unknown>);
  if (entries.length > limits.keys) throw invalid(`You can only have up to ${limits.keys} metadata keys.`, path);
  const result: Metadata = {};
  for (const [key, value] of entries) {
    const at = `${path}[${key}]`;
    if (typeof value === 'object' && value !== null)
      throw invalid(`Metadata values must be strings, but for key '${key}' you passed in a value of type hash`, at);
    if (key.length > limits.key || /[[\]]/.test(key))
      throw invalid(
        `Metadata keys can be at most ${limits.key} characters long and may not contain brackets. You passed the key '${key}'.`,
        at,
      );
    const text = value === null ? '' : typeof value === 'string' ? value : JSON.stringify(value);
    if (text.length > limits.value) {
      throw invalid(
        `Metadata values can have up to ${limits.value} characters, but you passed in a value that is ${text.length} characters. Invalid value: ${text.slice(0, 20)}...`,
        at,
      );
    }
    result[key] = text;
  }
  return result;
}

function parseString(raw: unknown, path: string): string {
  if (typeof raw !== 'string') throw invalid(`Invalid string: ${JSON.stringify(raw)}`, path);
  if (raw === '') {
    throw invalid(
      `You passed an empty string for '${path}'. We assume empty values are an attempt to unset a parameter; however '${path}' cannot be unset. You should remove '${path}' from your request or supply a non-empty value.`,
      path,
      'parameter_invalid_empty',
    );
  }
  if (raw.length > 5000)
    throw invalid(`Invalid string: ${path} must be at most 5000 characters`, path, 'parameter_invalid_string_too_long');
  return raw;
}

function parseInteger(raw: unknown, path: string): number {
  const value = typeof raw === 'string' && /^-?\d{1,15}$/.test(raw) ? Number(raw) : raw;
  if (typeof value !== 'number' || !Number.isSafeInteger(value)) {
    throw invalid(
      `Invalid integer: ${typeof raw === 'string' ? raw : JSON.stringify(raw)}`,
      path,
      'parameter_invalid_integer',
    );
  }
  return value;
}

function parseBoolean(raw: unknown, path: string): boolean {
  if (raw === true || raw === 'true') return true;
  if (raw === false || raw === 'false') return false;
  throw invalid(`Invalid boolean: ${typeof raw === 'string' ? raw : JSON.stringify(raw)}`, path);
}

function parseArray(raw: unknown, path: string): unknown[] {
  if (Array.isArray(raw)) return raw;
  // A form cannot say "empty array" otherwise.
  if (raw === '') return [];
  throw invalid('Invalid array', path);
}

/** Parameter kinds. Strings, numbers and booleans are read from form text (v1) and from JSON (v2) alike. */
export const p = {
  string: () => new Param(parseString),
  /** Long text; empty takes it back. {@link https://docs.stripe.com/api/disputes/update#update_dispute-evidence} */
  evidenceText: () =>
    new Param<string | null>((raw, path) => {
      if (raw === '' || raw === null) return null;
      if (typeof raw !== 'string') throw invalid(`Invalid string: ${JSON.stringify(raw)}`, path);
      if (raw.length > 20_000)
        throw invalid(
          `Invalid string: ${path} must be at most 20000 characters`,
          path,
          'parameter_invalid_string_too_long',
        );
      return raw;
    }),
  /** A whole number; form text is converted. */
  int: () => new Param(parseInteger),
  /** Unix time in seconds. */
  timestamp: () => new Param(parseInteger),
  /** A decimal number such as a percentage, as a JavaScript number. */
  number: () =>
    new Param((raw, path) => {
      const value = typeof raw === 'string' && raw.trim() !== '' ? Number(raw) : raw;
      if (typeof value !== 'number' || !Number.isFinite(value))
        throw invalid(`Invalid decimal: ${JSON.stringify(raw)}`, path, 'parameter_invalid_decimal');
      return value;
    }),
  boolean: () => new Param(parseBoolean),
  enum: <const V extends readonly string[]>(...values: V) =>
    new Param<V[number]>((raw, path) => {
      if (typeof raw === 'string' && values.includes(raw)) return raw;
      const names = values.length > 1 ? `${values.slice(0, -1).join(', ')}, or ${values.at(-1)}` : values[0];
      throw invalid(`Invalid ${path}: must be one of ${names}`, path);
    }),
  array: <T>(item: Param<T, boolean>) =>
    new Param<T[]>((raw, path) => parseArray(raw, path).map((value, i) => item.parse(value, `${path}[${i}]`))),
  hash: <S extends Shape>(shape: S) => new Param<Params<S>>((raw, path) => parseParams(shape, raw, path)),
  /** Keys of the caller's choosing. */
  record: <T>(item: Param<T, boolean>) =>
    new Param<Record<string, T>>((raw, path) => {
      if (raw === null || typeof raw !== 'object' || Array.isArray(raw)) throw invalid('Invalid object', path);
      return Object.fromEntries(Object.entries(raw).map(([key, value]) => [key, item.parse(value, `${path}[${key}]`)]));
    }),
  /** `''` clears all keys (the handler sees `null`); a key with an empty value is removed by {@link mergeMetadata}. */
  metadata: () => new Param(parseMetadata).clearable(),
  /** Accepted and kept, but not looked into. Use it only where the sandbox gives the value no meaning. */
  any: () => new Param<unknown>((raw) => raw),
  /** One of several shapes, tried in turn; the error of the last is reported. */
  oneOf: <A, B>(first: Param<A, boolean>, second: Param<B, boolean>) =>
    new Param<A | B>((raw, path) => {
      try {
        return first.parse(raw, path);
      } catch {
        return second.parse(raw, path);
      }
    }),
  /** `{ gt, gte, lt, lte }` or one stamp, as list endpoints take for `created`. */
  range: () =>
    new Param<Range>((raw, path) =>
      typeof raw === 'object' ? parseParams(rangeShape, raw, path) : parseInteger(raw, path),
    ),
};

const rangeShape = { gt: p.int(), gte: p.int(), lt: p.int(), lte: p.int() };
export type Range = number | { gt?: number; gte?: number; lt?: number; lte?: number };

/** Whether a stamp lies in the range asked for. */
export function inRange(value: number, range: Range | undefined): boolean {
  if (range === undefined) return true;
  if (typeof range === 'number') return value === range;
  return (
    (range.gt === undefined || value > range.gt) &&
    (range.gte === undefined || value >= range.gte) &&
    (range.lt === undefined || value < range.lt) &&
    (range.lte === undefined || value <= range.lte)
  );
}

/** Metadata after an update: new keys added, empty values removed, `null` clears all. The limit of 50 holds for the sum. */
export function mergeMetadata(current: Metadata, change: Metadata | null | undefined): Metadata {
  if (change === undefined) return current;
  if (change === null) return {};
  const merged = { ...current, ...change };
  for (const [key, value] of Object.entries(merged)) if (value === '') delete merged[key];
  if (Object.keys(merged).length > limits.keys)
    throw invalid(`You can only have up to ${limits.keys} metadata keys.`, 'metadata');
  return merged;
}

/** Parameters every list takes. {@link https://docs.stripe.com/api/pagination} */
export const listParams = {
  limit: p.int().check((value) => {
    if (value < 1)
      throw invalid('This value must be greater than or equal to 1.', 'limit', 'parameter_invalid_integer');
    if (value > 100)
      throw invalid('This value must be less than or equal to 100.', 'limit', 'parameter_invalid_integer');
  }),
  starting_after: p.string(),
  ending_before: p.string(),
};

type Address = Params<typeof shapes.address>;

/** An address as answers carry it: what was not given is null. */
export function fullAddress(address: Address): Record<keyof Address, string | null> {
  return { city: null, country: null, line1: null, line2: null, postal_code: null, state: null, ...address };
}

/** Shipping as answers carry it. */
export function fullShipping<T extends { address?: Address }>(shipping: T): T {
  return { ...shipping, ...(shipping.address && { address: fullAddress(shipping.address) }) };
}

/** Shapes that recur. */
export const shapes = {
  address: {
    city: p.string().clearable(),
    country: p.string().clearable(),
    line1: p.string().clearable(),
    line2: p.string().clearable(),
    postal_code: p.string().clearable(),
    state: p.string().clearable(),
  },
};
