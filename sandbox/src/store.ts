import { missing } from './errors.js';
import { type ObjectName, type ObjectTypes } from './objects.js';

/**
 * One kind of object on one account, in order of creation. Objects are changed in place; what leaves the sandbox is serialised at once.
 */
export class Table<T extends { id: string }> {
  private readonly rows = new Map<string, T>();
  private order: string[] = [];
  /** Everything before this place in the order is gone: whoever always drops the oldest must not walk over all that was dropped before. */
  private head = 0;
  private readonly indexes = new Map<string, Map<unknown, Set<string>>>();

  constructor(readonly object: ObjectName) {}

  get size(): number {
    return this.rows.size;
  }

  get(id: string): T | undefined {
    return this.rows.get(id);
  }

  /** @throws StripeError 404 `resource_missing`; `param` names the parameter that carried the id */
  require(id: string, param = 'id'): T {
    const row = this.rows.get(id);
    if (!row) throw missing(this.object, id, param);
    return row;
  }

  insert(row: T): T {
    if (!this.rows.has(row.id)) this.order.push(row.id);
    this.rows.set(row.id, row);
    for (const [field, index] of this.indexes) addTo(index, valueOf(row, field), row.id);
    return row;
  }

  delete(id: string): void {
    if (!this.rows.delete(id)) return;
    while (this.head < this.order.length && !this.rows.has(this.order[this.head]!)) this.head++;
    // The order keeps a hole until there are many: a delete must not cost the length of the list.
    if (this.order.length > 64 && this.order.length > this.rows.size * 2) {
      this.order = this.order.filter((key) => this.rows.has(key));
      this.head = 0;
    }
  }

  /** Oldest first. */
  *oldestFirst(): Generator<T> {
    for (let i = this.head; i < this.order.length; i++) {
      const row = this.rows.get(this.order[i]!);
      if (row) yield row;
    }
  }

  /** Newest first, as lists are. */
  *newestFirst(): Generator<T> {
    for (let i = this.order.length - 1; i >= this.head; i--) {
      const row = this.rows.get(this.order[i]!);
      if (row) yield row;
    }
  }

  /**
   * The rows whose `field` has this value, oldest first, through an index built at first use.
   * After changing such a field of an existing row call {@link touch}.
   */
  by(field: keyof T & string, value: unknown): T[] {
    let index = this.indexes.get(field);
    if (!index) {
      this.indexes.set(field, (index = new Map<unknown, Set<string>>()));
      for (const row of this.oldestFirst()) addTo(index, valueOf(row, field), row.id);
    }
    const found: T[] = [];
    for (const id of index.get(value) ?? []) {
      const row = this.rows.get(id);
      if (row && valueOf(row, field) === value) found.push(row);
    }
    return found;
  }

  /** Enters a changed row into the indexes again. */
  touch(row: T): void {
    for (const [field, index] of this.indexes) addTo(index, valueOf(row, field), row.id);
  }
}

function addTo(index: Map<unknown, Set<string>>, value: unknown, id: string): void {
  const ids = index.get(value);
  if (ids) ids.add(id);
  else index.set(value, new Set([id]));
}

function valueOf(row: object, field: string): unknown {
  return (row as Record<string, unknown>)[field];
}

/** Everything of one account. Nothing crosses from one partition to another except by code that names both. */
export class Partition {
  private readonly tables = new Map<ObjectName, Table<{ id: string }>>();
  /** What Stripe knows but does not show: an object's hidden state, by its id. Plain data only. */
  private readonly hidden = new Map<string, Record<string, unknown>>();

  constructor(readonly account: string) {}

  table<N extends ObjectName>(object: N): Table<ObjectTypes[N]> {
    let table = this.tables.get(object);
    if (!table) this.tables.set(object, (table = new Table(object)));
    return table as unknown as Table<ObjectTypes[N]>;
  }

  /** The hidden state of an object; written in place. */
  secret<T extends object = Record<string, unknown>>(id: string): Partial<T> {
    let state = this.hidden.get(id);
    if (!state) this.hidden.set(id, (state = {}));
    return state as Partial<T>;
  }

  /** Everything of this account, for whoever wants to look at it. */
  dump(): { tables: Record<string, { id: string }[]>; hidden: Record<string, Record<string, unknown>> } {
    return {
      tables: Object.fromEntries([...this.tables].map(([name, table]) => [name, [...table.oldestFirst()]])),
      hidden: Object.fromEntries(this.hidden),
    };
  }

  counts(): Record<string, number> {
    return Object.fromEntries(
      [...this.tables].filter(([, t]) => t.size > 0).map(([name, table]) => [name, table.size]),
    );
  }

  /** Everything of this account, in pieces of a size that can be written one by one. */
  *records(): Generator<PartitionRecord> {
    const { account } = this;
    // Also when there is nothing in it: the account exists.
    yield { kind: 'partition', account };
    for (const [name, table] of this.tables)
      for (const rows of chunks(table.oldestFirst())) yield { kind: 'rows', account, table: name, rows };
    for (const states of chunks(this.hidden)) yield { kind: 'hidden', account, states };
  }

  take(record: PartitionRecord): void {
    if (record.kind === 'rows') {
      const table = this.table(record.table) as unknown as Table<{ id: string }>;
      for (const row of record.rows) table.insert(row);
    } else if (record.kind === 'hidden') for (const [id, state] of record.states) this.hidden.set(id, state);
  }
}

/** A piece of an account's state. */
export type PartitionRecord =
  | { kind: 'partition'; account: string }
  | { kind: 'rows'; account: string; table: ObjectName; rows: { id: string }[] }
  | { kind: 'hidden'; account: string; states: [string, Record<string, unknown>][] };

function* chunks<T>(items: Iterable<T>): Generator<T[]> {
  let chunk: T[] = [];
  for (const item of items) {
    chunk.push(item);
    if (chunk.length < 200) continue;
    yield chunk;
    chunk = [];
  }
  if (chunk.length > 0) yield chunk;
}

/** All accounts: the platform's own partition and one per connected account. */
export class Store {
  private readonly partitions = new Map<string, Partition>();

  constructor(readonly platform: string) {
    this.add(platform);
  }

  add(account: string): Partition {
    const partition = new Partition(account);
    this.partitions.set(account, partition);
    return partition;
  }

  get(account: string): Partition | undefined {
    return this.partitions.get(account);
  }

  all(): Iterable<Partition> {
    return this.partitions.values();
  }

  *records(): Generator<PartitionRecord> {
    for (const partition of this.partitions.values()) yield* partition.records();
  }

  take(record: PartitionRecord): void {
    const partition = this.partitions.get(record.account) ?? this.add(record.account);
    partition.take(record);
  }
}
