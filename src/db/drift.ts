import { type EntityMetadata, type EntityProperty, type MikroORM } from '@mikro-orm/postgresql';
import { connect, migrationTables } from './migrator.js';

/** The books: written by SQL alone, because PostgreSQL numbers and closes them. */
const booksTables = [
  ...['ledger_transactions', 'ledger_postings', 'ledger_imports', 'ledger_checks', 'payouts', 'payout_transactions'],
  ...['platform_ledger_transactions', 'platform_ledger_postings', 'platform_ledger_imports'],
];

/** Written by triggers and by statements that add up, never row by row. */
const insightsTables = [
  ...['subscription_history', 'mrr_movements', 'mrr_months', 'mrr_customers', 'mrr_calendars', 'payment_failures'],
];

/** Tables that no entity stands for, because nothing reads or writes their rows as objects. */
const withoutEntity = new Set([
  'payments_mount',
  'effects',
  'stripe_webhook_queue',
  'invoice_numbers',
  'stripe_sweeps',
  ...insightsTables,
  'drift_reports',
  'notice_marks',
  'scheduled_jobs',
  'scheduled_job_requests',
  ...booksTables,
  ...Object.values(migrationTables),
]);

interface Column {
  readonly table: string;
  readonly name: string;
  readonly type: string;
  readonly nullable: boolean;
  /** Position in the primary key, from 1; 0 outside of it. */
  readonly key: number;
  /** Whether a row can be inserted without naming it. */
  readonly filled: boolean;
}

interface ForeignKey {
  readonly table: string;
  readonly columns: string[];
  readonly target: string;
  readonly targetColumns: string[];
}

/**
 * Compares the entities with the tables of a database, both ways: tables, columns, types, nullability, primary keys, foreign keys.
 * Indexes, checks and policies are the migrations' alone. In tables that a PSA brought along, columns of its own are no drift.
 *
 * MikroORM's own comparison would also want to drop every index, check and key that the entities do not repeat.
 * @returns one sentence for each difference; none when all is well
 */
export async function findDrift(orm: MikroORM, ownerUrl: string): Promise<string[]> {
  const client = await connect(ownerUrl);
  try {
    const { rows: columns } = await client.query<Column>(`
      select c.relname as table, a.attname as name, format_type(a.atttypid, a.atttypmod) as type, not a.attnotnull as nullable,
        coalesce(array_position(i.indkey::int2[], a.attnum) + 1, 0) as key,
        a.atthasdef or a.attidentity <> '' as filled
      from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
        left join pg_index i on i.indrelid = c.oid and i.indisprimary
      where c.relnamespace = current_schema()::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
      order by 1, a.attnum`);
    const { rows: foreignKeys } = await client.query<ForeignKey>(`
      select conrelid::regclass::text as table, confrelid::regclass::text as target,
        array(select attname::text from unnest(conkey) with ordinality k (n, o) join pg_attribute on attrelid = conrelid and attnum = n order by o)
          as columns,
        array(select attname::text from unnest(confkey) with ordinality k (n, o) join pg_attribute on attrelid = confrelid and attnum = n order by o)
          as "targetColumns"
      from pg_constraint where contype = 'f' and connamespace = current_schema()::regnamespace and conparentid = 0`);
    const { rows: made } = await client.query<{ table_name: string }>(
      `select table_name from payments_mount where kind = 'table'`,
    );
    const entities = [...orm.getMetadata().getAll().values()].filter(
      ({ tableName, virtual, embeddable }) => tableName && !virtual && !embeddable,
    );
    const types = [...new Set(entities.flatMap((meta) => mapped(meta).flatMap(({ columnTypes }) => columnTypes)))];
    const { rows: names } = await client.query<{ type: string; name: string | null }>(
      'select type, format_type(to_regtype(type), to_regtypemod(type)) as name from unnest($1::text[]) type',
      [types],
    );
    const canonical = new Map(names.map(({ type, name }) => [type, plain(name ?? type)]));
    const psa = new Set(
      ['tenants', 'users', 'customers', 'contracts', 'invoices'].filter(
        (name) => !made.some((row) => row.table_name === name),
      ),
    );
    return compare(entities, columns, foreignKeys, canonical, psa);
  } finally {
    await client.end();
  }
}

function compare(
  entities: EntityMetadata[],
  columns: Column[],
  foreignKeys: ForeignKey[],
  canonical: ReadonlyMap<string, string>,
  psa: ReadonlySet<string>,
): string[] {
  const drift: string[] = [];
  const tables = new Map<string, Column[]>();
  for (const column of columns) tables.set(column.table, [...(tables.get(column.table) ?? []), column]);
  for (const meta of entities) {
    const table = meta.tableName;
    const there = tables.get(table);
    if (!there) {
      drift.push(`${meta.className}: there is no table ${table}.`);
      continue;
    }
    const seen = new Set<string>();
    for (const property of mapped(meta)) {
      property.fieldNames.forEach((name, i) => {
        seen.add(name);
        const column = there.find((one) => one.name === name);
        const at = `${meta.className}.${property.name}`;
        if (!column) return void drift.push(`${at}: there is no column ${table}.${name}.`);
        const wanted = canonical.get(property.columnTypes[i]!)!;
        const have = plain(column.type);
        if (have !== wanted && !(psa.has(table) && isText(have) && isText(wanted))) {
          drift.push(`${at}: ${table}.${name} is ${have}, the entity has ${wanted}.`);
        }
        if (property.autoincrement && !column.filled) drift.push(`${at}: ${table}.${name} does not number itself.`);
        // A relation of several columns shares tenant_id, which is never null.
        const shared = property.fieldNames.length > 1 && !property.ownColumns?.includes(name);
        if (!shared && column.nullable !== Boolean(property.nullable) && !(psa.has(table) && property.nullable)) {
          drift.push(
            `${at}: ${table}.${name} ${column.nullable ? 'may be' : 'is not'} null, in the entity it ${property.nullable ? 'may' : 'may not'}.`,
          );
        }
      });
    }
    for (const { name } of there) {
      if (!seen.has(name) && !psa.has(table))
        drift.push(`${meta.className}: no property for the column ${table}.${name}.`);
    }
    drift.push(...keyDrift(meta, there, psa), ...relationDrift(meta, foreignKeys));
  }
  // Where the PSA's own tables are, tables without an entity are the PSA's.
  const known = new Set(entities.map(({ tableName }) => tableName));
  for (const table of psa.size ? [] : tables.keys()) {
    if (!known.has(table) && !withoutEntity.has(table)) drift.push(`There is no entity for the table ${table}.`);
  }
  return [...drift, ...tenantDrift(tables, foreignKeys, psa)];
}

function keyDrift(meta: EntityMetadata, there: Column[], psa: ReadonlySet<string>): string[] {
  if (psa.has(meta.tableName)) return []; // what counts there is a unique (tenant_id, id), which the migration sees to
  const wanted = meta.getPrimaryProps().flatMap(({ fieldNames }) => fieldNames);
  const have = there.filter(({ key }) => key > 0).sort((a, b) => a.key - b.key);
  const names = have.map(({ name }) => name);
  if (names.join() === wanted.join()) return [];
  return [
    `${meta.className}: the primary key of ${meta.tableName} is (${names.join(', ')}), of the entity (${wanted.join(', ')}).`,
  ];
}

function relationDrift(meta: EntityMetadata, foreignKeys: ForeignKey[]): string[] {
  const relations = mapped(meta).filter(({ targetMeta }) => targetMeta);
  return relations
    .filter(
      ({ fieldNames, referencedColumnNames, targetMeta }) =>
        !foreignKeys.some(
          (key) =>
            key.table === meta.tableName &&
            key.target === targetMeta!.tableName &&
            key.columns.join() === fieldNames.join() &&
            key.targetColumns.join() === referencedColumnNames.join(),
        ),
    )
    .map(
      ({ name, targetMeta }) => `${meta.className}.${name}: there is no such foreign key to ${targetMeta!.tableName}.`,
    );
}

/** A reference between two tenants' tables that leaves the tenant out would accept another tenant's row. */
function tenantDrift(
  tables: ReadonlyMap<string, Column[]>,
  foreignKeys: ForeignKey[],
  psa: ReadonlySet<string>,
): string[] {
  const isTenants = (table: string) =>
    Boolean(tables.get(table)?.some(({ name, key }) => name === 'tenant_id' && (key > 0 || psa.has(table))));
  return foreignKeys
    .filter(({ table, target }) => !psa.has(table) && isTenants(table) && isTenants(target))
    .filter(({ columns, targetColumns }) => columns[0] !== 'tenant_id' || targetColumns[0] !== 'tenant_id')
    .map(
      ({ table, columns, target }) =>
        `The foreign key ${table} (${columns.join(', ')}) to ${target} does not begin with tenant_id.`,
    );
}

function mapped(meta: EntityMetadata): EntityProperty[] {
  return meta.props.filter(
    ({ persist, fieldNames, formula }) => persist !== false && fieldNames?.length > 0 && !formula,
  );
}

/** Six digits of a second are what PostgreSQL keeps anyway; a serial is a whole number that fills itself. */
function plain(type: string): string {
  const serials: Record<string, string> = { smallserial: 'smallint', serial: 'integer', bigserial: 'bigint' };
  return serials[type] ?? type.replace(/^timestamp\(6\)/, 'timestamp');
}

function isText(type: string): boolean {
  return /^(text|citext|character)/.test(type);
}
