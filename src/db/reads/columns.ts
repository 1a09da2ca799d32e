import { type ColumnType } from './model.js';

/**
 * Where a value travels: `text`, a column of a result of its own, which PostgreSQL writes as text; or `json`, an element of an array
 * that a nested list arrives in.
 */
export type Format = 'text' | 'json';

/** What is selected for a column. Times travel as whole microseconds: quick to read, and as exact as they are stored. */
export function expression(column: string, type: ColumnType, format: Format): string {
  if (type === 'time') return `(date_part('epoch', ${column}) * 1000000)::int8`;
  if (type === 'decimal' && format === 'json') return `${column}::text`;
  return column;
}

/** Turns what arrived into what a resolver would return. */
export function reader(type: ColumnType, format: Format): (value: unknown) => unknown {
  switch (type) {
    case 'integer':
      return (value) => (value === null ? null : Number(value));
    case 'time':
      return (value) => (value === null ? null : new Date(Math.floor(Number(value) / 1000)));
    case 'boolean':
      return format === 'json' ? asIs : (value) => (value === null ? null : value === 't');
    case 'json':
      return format === 'json' ? asIs : (value) => (value === null ? null : (JSON.parse(value as string) as unknown));
    case 'text':
    case 'uuid':
    case 'decimal':
      return asIs;
  }
}

const asIs = (value: unknown): unknown => value;
