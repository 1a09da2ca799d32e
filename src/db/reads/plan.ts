import { type FieldNode, getNamedType, type GraphQLObjectType } from 'graphql';
import { AppError } from '../../shared/errors.js';
import { type Format, expression, reader } from './columns.js';
import { cell, type Cells, joinOn, type Level, quote, reference } from './level.js';
import {
  anyOf,
  type ColumnField,
  type ComputedField,
  equals,
  type Filter,
  type ManyField,
  type OneField,
  type Order,
  type ReadModel,
} from './model.js';
import { Page, pageShape, type PageShape } from './page.js';
import { codecOf, cursorsOf, keyset, orderBy } from './order.js';
import { asObjectType, type Asked, type SelectedField, selectedFields } from './selection.js';

type Assemble = (cells: Cells) => unknown;
export type Where = Readonly<Record<string, unknown>>;

/** What is read at the root: one row, a list, or a page of a connection. */
export type Target =
  | { readonly kind: 'one'; readonly model: ReadModel<object>; readonly where: Where }
  | { readonly kind: 'list'; readonly model: ReadModel<object>; readonly where: Where; readonly limit: number }
  | { readonly kind: 'page'; readonly model: ReadModel<object>; readonly where: Where; readonly page: PageShape };

/** A statement that fetches all that a field of a document asks for, and how its rows become the field's value. */
export interface Plan {
  readonly sql: string;
  /** Values of the nested fields' arguments; they follow those of the root's. */
  readonly parameters: readonly unknown[];
  readonly assemble: (rows: readonly Cells[], target: Target) => unknown;
}

/** So much may be fetched for one field, counted as if every list were full. */
const maxRows = 10_000;
const maxList = 100;
/** PostgreSQL's functions take at most 100 arguments. */
const maxArguments = 100;

function filterOf(model: ReadModel<object>, name: string, value: unknown): Filter {
  const declared = model.filters[name] ?? ofColumn(model, name, value);
  return declared.ofOne && Array.isArray(value) && value.length === 1 ? declared.ofOne : declared;
}

function ofColumn(model: ReadModel<object>, name: string, value: unknown): Filter {
  const field = model.fields[name];
  if (field?.kind !== 'column') throw new Error(`${model.name} has no filter called ${name}.`);
  return Array.isArray(value) ? anyOf(field.column!) : equals(field.column!);
}

/** The conditions that are set, by name. */
export function conditions(where: Where): [name: string, value: unknown][] {
  return Object.entries(where).filter(([, value]) => value !== undefined && value !== null);
}

/** The values for the placeholders of the root's conditions and cursors, in their order. */
export function rootParameters(target: Target): unknown[] {
  const { model, where } = target;
  const values = conditions(where).map(([name, value]) => filterOf(model, name, value).bind(value));
  if (target.kind === 'page') {
    const { after, before } = target.page;
    if (after !== null) values.push(...codecOf(model, model.order).decode(after, 'after'));
    if (before !== null) values.push(...codecOf(model, model.order).decode(before, 'before'));
  }
  return values;
}

/** Makes the plan for a root field. Its SQL depends on which conditions and cursors there are, not on their values. */
export function makePlan(asked: Asked, type: GraphQLObjectType, nodes: readonly FieldNode[], target: Target): Plan {
  return new Planner(asked, rootParameters(target).length).plan(type, nodes, target);
}

interface Rows {
  readonly sql: string;
  readonly assemble: Assemble;
  readonly cursorOf: (cells: Cells) => string;
  /** Whether the cells of a row come as an array of arrays. */
  readonly chunked: boolean;
}

class Planner {
  private readonly nested: unknown[] = [];
  private aliases = 0;

  constructor(
    private readonly asked: Asked,
    private readonly rootParameters: number,
  ) {}

  plan(type: GraphQLObjectType, nodes: readonly FieldNode[], target: Target): Plan {
    const { model, kind } = target;
    const alias = this.alias();
    const limit = kind === 'page' ? target.page.limit : kind === 'list' ? target.limit : 1;
    let placeholder = 0;
    const next = () => `$${++placeholder}`;
    const where = this.filters(model, alias, target.where, next);
    if (target.kind === 'page') where.push(...keyset(model, alias, model.order, target.page, next));
    const selection = kind === 'page' ? this.connection(type, nodes) : { row: type, nodes, cursors: false };
    const { sql, assemble, cursorOf } = this.rows(model, {
      ...selection,
      alias,
      where,
      limit,
      format: 'text',
      order: kind === 'one' ? null : model.order,
      page: target.kind === 'page' ? target.page : null,
      budget: maxRows,
    });
    return {
      sql,
      parameters: this.nested,
      assemble: (found, { kind, ...rest }) => {
        if (kind === 'page') return new Page(found, (rest as { page: PageShape }).page, assemble, cursorOf);
        return kind === 'list' ? found.map(assemble) : found[0] ? assemble(found[0]) : null;
      },
    };
  }

  private rows(
    model: ReadModel<object>,
    options: {
      readonly alias: string;
      readonly row: GraphQLObjectType;
      readonly nodes: readonly FieldNode[];
      readonly cursors: boolean;
      readonly where: readonly string[];
      readonly order: Order | null;
      readonly page: PageShape | null;
      readonly limit: number;
      readonly format: Format;
      readonly budget: number;
    },
  ): Rows {
    const { alias, format, order, page, limit } = options;
    const budget = options.budget / limit;
    if (budget < 1) {
      throw new AppError('QUERY_TOO_COMPLEX', `Lists within lists may add up to ${maxRows} elements; ask for less.`);
    }
    const level: Level = { alias, format, cells: [], columns: new Set(), joins: [] };
    const assemble = this.object(level, model, alias, selectedFields(this.asked, options.row, options.nodes), budget);
    const cursorOf = order && options.cursors ? cursorsOf(level, model, order) : noCursor;
    const sorted = order ? orderBy(level, model, order, page?.backward ?? false) : '';
    const fetched = page ? limit + 1 : limit;
    const condition = options.where.length ? ` where ${options.where.join(' and ')}` : '';
    const cells = format === 'text' ? level.cells.join(', ') || 'null' : jsonArray(level.cells);
    const output = format === 'text' ? cells : `${cells} as cells`;
    const source = `${quote(model.table)} ${alias}`;
    const parts = { assemble, cursorOf, chunked: level.cells.length > maxArguments };
    if (!level.joins.length && !level.cells.some((cell) => cell.startsWith('(select '))) {
      return { ...parts, sql: `select ${output} from ${source}${condition}${sorted} limit ${fetched}` };
    }
    // The page is cut out first, so that what is joined is looked up for its rows and no others, whatever the planner thinks.
    const columns = [...level.columns].map((name) => `${alias}.${quote(name)}`).join(', ');
    const inner = `select ${columns} from ${source}${condition}${sorted} limit ${fetched}`;
    return { ...parts, sql: `select ${output} from (${inner}) ${alias}${level.joins.join('')}${sorted}` };
  }

  /** Adds what the fields need to the level. */
  private object(
    level: Level,
    model: ReadModel<object>,
    alias: string,
    selection: readonly SelectedField[],
    budget: number,
  ): (cells: Cells) => Record<string, unknown> {
    const readers = selection.flatMap((selected): [key: string, read: Assemble][] => {
      const field = model.fields[selected.name];
      if (!field) return [];
      switch (field.kind) {
        case 'column':
          return [[selected.key, column(level, alias, field)]];
        case 'computed':
          return [[selected.key, computed(level, alias, field)]];
        case 'one':
          return [[selected.key, this.one(level, alias, field, selected, budget)]];
        case 'connection':
        case 'list':
        case 'first':
          return [[selected.key, this.many(level, alias, field, selected, budget)]];
      }
    });
    return (cells) => {
      const row: Record<string, unknown> = {};
      for (const [key, read] of readers) row[key] = read(cells);
      return row;
    };
  }

  private one(
    level: Level,
    alias: string,
    field: OneField<unknown>,
    selected: SelectedField,
    budget: number,
  ): Assemble {
    const model = field.model();
    const joined = this.alias();
    level.joins.push(` left join ${quote(model.table)} ${joined} on ${joinOn(level, alias, joined, field.on)}`);
    // A column of its key: null exactly when there is no such row.
    const present = cell(level, `${joined}.${quote(Object.values(field.on)[0]!)}`);
    const selection = selectedFields(this.asked, asObjectType(selected.type), selected.nodes);
    const assemble = this.object(level, model, joined, selection, budget);
    return (cells) => (cells[present] === null ? null : assemble(cells));
  }

  private many(
    level: Level,
    alias: string,
    field: ManyField<unknown>,
    selected: SelectedField,
    budget: number,
  ): Assemble {
    const model = field.model();
    const nestedAlias = this.alias();
    const isPage = field.kind === 'connection';
    const page = isPage ? pageShape(selected.args) : null;
    const order = field.order ?? model.order;
    const asked = { ...field.where, ...((selected.args.filter ?? {}) as Where) };
    const where = [joinOn(level, alias, nestedAlias, field.on), ...this.filters(model, nestedAlias, asked, null)];
    if (page) where.push(...this.nestedKeyset(model, nestedAlias, order, page));
    const type = asObjectType(selected.type);
    const selection = isPage
      ? this.connection(type, selected.nodes)
      : { row: type, nodes: selected.nodes, cursors: false };
    const limit = page?.limit ?? (field.kind === 'list' ? (field.limit ?? maxList) : 1);
    const { sql, assemble, cursorOf, chunked } = this.rows(model, {
      ...selection,
      alias: nestedAlias,
      where,
      order,
      page,
      limit,
      format: 'json',
      budget,
    });
    const index = cell(level, `(select coalesce(json_agg(q.cells), '[]') from (${sql}) q)`);
    const rowsOf = (cells: Cells): Cells[] => {
      const value = cells[index];
      const rows = (typeof value === 'string' ? JSON.parse(value) : value) as Cells[];
      return chunked ? rows.map((row) => (row as Cells[]).flat(1)) : rows;
    };
    if (page) return (cells) => new Page(rowsOf(cells), page, assemble, cursorOf);
    if (field.kind === 'list') return (cells) => rowsOf(cells).map(assemble);
    return (cells) => rowsOf(cells).map(assemble)[0] ?? null;
  }

  /** Finds what is asked of a connection's nodes, and whether anybody wants to see a cursor. */
  private connection(type: GraphQLObjectType, nodes: readonly FieldNode[]) {
    const fields = selectedFields(this.asked, type, nodes);
    const rowNodes: FieldNode[] = [];
    let cursors = false;
    for (const field of fields) {
      if (field.name === 'nodes') rowNodes.push(...field.nodes);
      if (field.name !== 'edges' && field.name !== 'pageInfo') continue;
      for (const inner of selectedFields(this.asked, asObjectType(field.type), field.nodes)) {
        if (inner.name === 'node') rowNodes.push(...inner.nodes);
        if (/cursor$/i.test(inner.name)) cursors = true;
      }
    }
    const node = type.getFields().nodes;
    if (!node) throw new Error(`${type.name} is no connection.`);
    return { row: asObjectType(getNamedType(node.type)), nodes: rowNodes, cursors };
  }

  private filters(model: ReadModel<object>, alias: string, where: Where, next: (() => string) | null): string[] {
    const of = (name: string) => `${alias}.${quote(name)}`;
    return conditions(where).map(([name, value]) => {
      const filter = filterOf(model, name, value);
      return filter.sql(of, next ? next() : this.parameter(filter.bind(value)));
    });
  }

  private nestedKeyset(model: ReadModel<object>, alias: string, order: Order, page: PageShape): string[] {
    const values: unknown[] = [];
    const codec = codecOf(model, order);
    if (page.after !== null) values.push(...codec.decode(page.after, 'after'));
    if (page.before !== null) values.push(...codec.decode(page.before, 'before'));
    return keyset(model, alias, order, page, () => this.parameter(values.shift()));
  }

  private parameter(value: unknown): string {
    return `$${this.rootParameters + this.nested.push(value)}`;
  }

  private alias(): string {
    return `t${this.aliases++}`;
  }
}

function column(level: Level, alias: string, { column, type }: ColumnField<unknown>): Assemble {
  const index = cell(level, expression(reference(level, alias, column!), type, level.format));
  const read = reader(type, level.format);
  return (cells) => read(cells[index]);
}

function computed(level: Level, alias: string, { columns, compute }: ComputedField<unknown>): Assemble {
  const parts = columns.map((part) => column(level, alias, { kind: 'column', ...part }));
  return (cells) => compute(parts.map((read) => read(cells)) as never[]);
}

function noCursor(): never {
  throw new Error('Nobody asked for a cursor.');
}

/** Beyond PostgreSQL's limit, an array of arrays. */
function jsonArray(cells: readonly string[]): string {
  if (cells.length <= maxArguments) return `json_build_array(${cells.join(', ')})`;
  const chunks: string[] = [];
  for (let i = 0; i < cells.length; i += maxArguments) chunks.push(jsonArray(cells.slice(i, i + maxArguments)));
  return `json_build_array(${chunks.join(', ')})`;
}
