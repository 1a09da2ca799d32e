import { Money } from '../../shared/money.types.js';

/** How a column is fetched and what it becomes: `time` a Date, `integer` a number (also of a bigint), `decimal` text. */
export type ColumnType = 'text' | 'integer' | 'boolean' | 'time' | 'uuid' | 'decimal' | 'json';

/** Columns of a row's table on the left, columns of the other table on the right. */
export type JoinColumns = Readonly<Record<string, string>>;

interface Typed<T> {
  /** Only for the compiler: what the field holds. */
  readonly holds?: T;
}

/** A column, as a field or as a part of a computed one. */
export interface ColumnField<T> extends Typed<T> {
  readonly kind: 'column';
  readonly column: string | undefined;
  readonly type: ColumnType;
}

/** Says nothing of what the column holds, so that each keeps its own type: `integer()` a number, `integer<number | null>()` perhaps none. */
type AnyColumn = Pick<ColumnField<unknown>, 'kind' | 'column' | 'type'>;

/** A value made of columns, without another look at the database. */
export interface ComputedField<T> extends Typed<T> {
  readonly kind: 'computed';
  readonly columns: readonly { readonly column: string; readonly type: ColumnType }[];
  readonly compute: (values: readonly never[]) => unknown;
}

/** At most one row of another table. */
export interface OneField<T> extends Typed<T> {
  readonly kind: 'one';
  readonly model: () => ReadModel<object>;
  readonly on: JoinColumns;
}

/** Rows of another table: a Relay connection, a list, or the first of such a list. */
export interface ManyField<T> extends Typed<T> {
  readonly kind: 'connection' | 'list' | 'first';
  readonly model: () => ReadModel<object>;
  readonly on: JoinColumns;
  readonly order: Order | undefined;
  readonly where: Readonly<Record<string, unknown>>;
  readonly limit: number | undefined;
}

export type ReadField<T = unknown> = ColumnField<T> | ComputedField<T> | OneField<T> | ManyField<T>;

/** By which fields a list is ordered. The last one must tell any two rows apart, and none may be null. */
export interface Order {
  readonly direction: 'asc' | 'desc';
  readonly fields: readonly string[];
}

/** A condition that a list may be asked with. */
export interface Filter {
  /** @param column names a column of the row, qualified; @param value the placeholder of the value */
  readonly sql: (column: (name: string) => string, value: string) => string;
  /** What is sent for a value from the client. */
  readonly bind: (value: unknown) => unknown;
  /** The same for a list of one value. */
  readonly ofOne?: Filter;
}

/** Where a GraphQL type comes from: its table, the columns of its fields, its relations, its order and its filters. */
export interface ReadModel<T extends object, Filters extends string = string> extends Typed<T> {
  /** The GraphQL type. */
  readonly name: string;
  readonly table: string;
  readonly fields: Readonly<Record<string, ReadField>>;
  readonly order: Order;
  readonly filters: Readonly<Record<Filters, Filter>>;
  /** Fields of the type that have a resolver of their own. */
  readonly resolved: readonly string[];
}

interface Definition<T, Filters extends string> {
  readonly table: string;
  /** Every field of the GraphQL type that this feature knows of. Without a column name it is the field's in snake_case. */
  readonly fields: { readonly [K in keyof T]?: ReadField<T[K]> };
  readonly order: { readonly direction: 'asc' | 'desc'; readonly fields: readonly (keyof T & string)[] };
  /** Beside these, every field that is one column can be asked for by equality. */
  readonly filters?: Readonly<Record<Filters, Filter>>;
  readonly resolved?: readonly string[];
  /** The name of the GraphQL type, where it is not the name of the class. */
  readonly name?: string;
}

const models = new Map<string, ReadModel<object>>();

/**
 * Declares where a GraphQL type is read from. Once per type, beside its entity.
 *
 * @example
 * export const invoiceReads = readModel(Invoice, {
 *   table: 'invoices',
 *   fields: {
 *     id: integer(),
 *     number: text(),
 *     total: money('total'),
 *     dueAt: time(),
 *     customer: one(() => customerReads, { customer_id: 'id' }),
 *   },
 *   order: newestFirst('createdAt', 'id'),
 *   filters: { customerId: equals('customer_id'), dueBefore: before('due_at') },
 * });
 */
export function readModel<T extends object, Filters extends string = never>(
  type: abstract new (...args: never[]) => T,
  definition: Definition<T, Filters>,
): ReadModel<T, Filters> {
  const { table, order, resolved = [], name = type.name } = definition;
  const fields = Object.fromEntries(
    Object.entries<ReadField | undefined>(definition.fields).flatMap(([field, declared]) =>
      declared ? [[field, named(field, declared)]] : [],
    ),
  );
  const filters = definition.filters ?? ({} as Record<Filters, Filter>);
  const model = { name, table, fields, order, filters, resolved };
  if (models.has(name)) throw new Error(`The type ${name} has two read models.`);
  for (const field of order.fields) {
    if (fields[field]?.kind !== 'column') throw new Error(`${name} cannot be ordered by ${field}: it is no column.`);
  }
  models.set(name, model);
  return model;
}

/**
 * Adds a higher feature's fields to a lower feature's type, so that they are fetched along with it.
 * @example extendReads(invoiceReads, { payments: connection(() => paymentReads, { id: 'invoice_id' }) });
 */
export function extendReads(model: ReadModel<object>, fields: Readonly<Record<string, ReadField>>): void {
  for (const [field, declared] of Object.entries(fields)) {
    if (model.fields[field]) throw new Error(`${model.name}.${field} is declared twice.`);
    (model.fields as Record<string, ReadField>)[field] = named(field, declared);
  }
}

/** All read models that were declared, by the name of their GraphQL type. */
export function readModels(): ReadonlyMap<string, ReadModel<object>> {
  return models;
}

export const text = <T extends string | null = string>(column?: string): ColumnField<T> => ofType('text', column);
/** Also for bigint: amounts stay far below 2^53. */
export const integer = <T extends number | null = number>(column?: string): ColumnField<T> => ofType('integer', column);
export const boolean = <T extends boolean | null = boolean>(column?: string): ColumnField<T> =>
  ofType('boolean', column);
export const time = <T extends Date | null = Date>(column?: string): ColumnField<T> => ofType('time', column);
export const uuid = <T extends string | null = string>(column?: string): ColumnField<T> => ofType('uuid', column);
/** A numeric, as text: no digit passes through a float. */
export const decimal = <T extends string | null = string>(column?: string): ColumnField<T> => ofType('decimal', column);
export const json = <T = unknown>(column?: string): ColumnField<T> => ofType('json', column);

/** Minor units in one column and their currency in another; null where the amount is. */
export function money(column: string, currencyColumn = 'currency'): ComputedField<Money> {
  return {
    kind: 'computed',
    columns: [
      { column, type: 'integer' },
      { column: currencyColumn, type: 'text' },
    ],
    compute: ([amount, currency]: readonly (number | string | null)[]) =>
      amount === null ? null : new Money(amount as number, currency as string),
  };
}

type Values<Parts> = { readonly [K in keyof Parts]: Parts[K] extends ColumnField<infer T> ? T : never };

/**
 * A field made of columns.
 * @example refundState: computed({ refunded: integer('amount_refunded'), pending: boolean('refund_pending') }, refundStateOf)
 */
export function computed<Parts extends Readonly<Record<string, AnyColumn>>, T>(
  parts: Parts,
  compute: (values: Values<Parts>) => T,
): ComputedField<T> {
  const names = Object.keys(parts);
  return {
    kind: 'computed',
    columns: names.map((name) => ({ column: parts[name]!.column ?? snakeCase(name), type: parts[name]!.type })),
    compute: (values: readonly unknown[]) =>
      compute(Object.fromEntries(names.map((name, i) => [name, values[i]])) as Values<Parts>),
  };
}

/** The row of another table that this row points to. The columns on the right must be a key of that table (beside its tenant). */
export function one<R extends object>(model: () => ReadModel<R>, on: JoinColumns): OneField<R> {
  return { kind: 'one', model, on };
}

interface ManyOptions {
  readonly order?: Order;
  /** Conditions that always hold, by filter or field: `{ status: ['ACTIVE'] }`. */
  readonly where?: Readonly<Record<string, unknown>>;
  /** How many a list can have at most, where it is fewer than a hundred: so that lists of them may be longer. */
  readonly limit?: number;
}

const many =
  (kind: ManyField<never>['kind']) =>
  (
    model: () => ReadModel<object>,
    on: JoinColumns,
    { order, where = {}, limit }: ManyOptions = {},
  ): ManyField<never> => ({
    kind,
    model,
    on,
    order,
    where,
    limit,
  });

/** Rows that point to this one, as a Relay connection: the field takes first, after, last, before and filter. */
export const connection = many('connection');
/** Rows that point to this one; the first hundred, so only for what is few by nature. */
export const list = many('list');
/** The first of the rows that point to this one, in their order; null when there is none. */
export const first = many('first');

export const newestFirst = <Name extends string>(...fields: Name[]) => ({ direction: 'desc' as const, fields });
export const ascending = <Name extends string>(...fields: Name[]) => ({ direction: 'asc' as const, fields });

const asIs = (value: unknown): unknown => (value instanceof Date ? value.toISOString() : value);

/** The column has the value. */
export const equals = (column: string): Filter => ({ sql: (of, value) => `${of(column)} = ${value}`, bind: asIs });
/** The column has one of the values of a list. */
export const anyOf = (column: string): Filter => ({
  sql: (of, value) => `${of(column)} = any(${value})`,
  bind: asIs,
  // PostgreSQL takes the rows of one value from an index in the order in which they are asked for; those of a list, though it has but one, it sorts.
  ofOne: { ...equals(column), bind: (list) => asIs((list as unknown[])[0]) },
});
/** At or after. */
export const from = (column: string): Filter => ({ sql: (of, value) => `${of(column)} >= ${value}`, bind: asIs });
export const after = (column: string): Filter => ({ sql: (of, value) => `${of(column)} > ${value}`, bind: asIs });
export const before = (column: string): Filter => ({ sql: (of, value) => `${of(column)} < ${value}`, bind: asIs });
/** One of the columns contains the text, in upper or lower case. */
export const contains = (...columns: string[]): Filter => ({
  sql: (of, value) => `(${columns.map((column) => `${of(column)} ilike ${value}`).join(' or ')})`,
  bind: (value) => `%${String(value).replace(/[\\%_]/g, '\\$&')}%`,
});

function ofType<T>(type: ColumnType, column: string | undefined): ColumnField<T> {
  return { kind: 'column', column, type };
}

function named(field: string, declared: ReadField): ReadField {
  return declared.kind === 'column' ? { ...declared, column: declared.column ?? snakeCase(field) } : declared;
}

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
