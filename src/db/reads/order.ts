import { expression } from './columns.js';
import { CursorCodec, type Place } from './cursor.js';
import { cell, type Cells, type Level, quote, reference } from './level.js';
import { type ColumnField, type Order, type ReadModel } from './model.js';
import { type PageShape } from './page.js';

function orderColumns(model: ReadModel<object>, order: Order): ColumnField<unknown>[] {
  return order.fields.map((name) => {
    const field = model.fields[name];
    if (field?.kind !== 'column') throw new Error(`${model.name} cannot be ordered by ${name}: it is no column.`);
    return field;
  });
}

export function orderBy(level: Level, model: ReadModel<object>, order: Order, backward: boolean): string {
  const direction = (order.direction === 'desc') === backward ? 'asc' : 'desc';
  const columns = orderColumns(model, order).map(({ column }) => reference(level, level.alias, column!));
  return ` order by ${columns.map((name) => `${name} ${direction}`).join(', ')}`;
}

/** What lies behind `after` and before `before`. All fields go the same way, so one comparison of rows says it, and an index answers it. */
export function keyset(
  model: ReadModel<object>,
  alias: string,
  order: Order,
  { after, before }: PageShape,
  next: () => string,
): string[] {
  const names = orderColumns(model, order).map(({ column }) => `${alias}.${quote(column!)}`);
  const beyond = (sign: string) => `(${names.join(', ')}) ${sign} (${names.map(next).join(', ')})`;
  const [behind, ahead] = order.direction === 'desc' ? ['<', '>'] : ['>', '<'];
  return [...(after !== null ? [beyond(behind)] : []), ...(before !== null ? [beyond(ahead)] : [])];
}

export function codecOf(model: ReadModel<object>, order: Order): CursorCodec {
  const types = orderColumns(model, order).map(({ type }) => type);
  return new CursorCodec(model.name, order, types);
}

/** Lets the level carry what its cursors are made of. */
export function cursorsOf(level: Level, model: ReadModel<object>, order: Order): (cells: Cells) => string {
  const codec = codecOf(model, order);
  const parts = orderColumns(model, order).map(({ column, type }) => ({
    index: cell(level, expression(reference(level, level.alias, column!), type, level.format)),
    isNumber: type === 'time' || type === 'integer',
  }));
  return (cells) => {
    const place: Place = parts.map(({ index, isNumber }) =>
      isNumber ? Number(cells[index]) : (cells[index] as string),
    );
    return codec.encode(place);
  };
}
