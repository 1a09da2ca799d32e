import { type Format } from './columns.js';
import { type JoinColumns } from './model.js';

export type Cells = readonly unknown[];

/** What one SELECT is made of. */
export interface Level {
  readonly alias: string;
  readonly format: Format;
  /** What it returns. */
  readonly cells: string[];
  /** Columns of its table that are needed from within the page. */
  readonly columns: Set<string>;
  readonly joins: string[];
}

/** Adds a value to what the level returns, once. @returns its place */
export function cell(level: Level, sql: string): number {
  const known = level.cells.indexOf(sql);
  return known >= 0 ? known : level.cells.push(sql) - 1;
}

/** Names a column, and remembers that the page must carry it. */
export function reference(level: Level, alias: string, name: string): string {
  if (alias === level.alias) level.columns.add(name);
  return `${alias}.${quote(name)}`;
}

export function joinOn(level: Level, alias: string, joined: string, on: JoinColumns): string {
  return Object.entries(on)
    .map(([here, there]) => `${joined}.${quote(there)} = ${reference(level, alias, here)}`)
    .join(' and ');
}

export function quote(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
