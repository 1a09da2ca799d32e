import { badInput } from '../../shared/errors.js';
import { type Connection, type PageInfo } from '../../shared/connection.types.js';

/** Relay's arguments. https://relay.dev/graphql/connections.htm#sec-Arguments */
export interface PageRequest {
  readonly first?: number | null;
  readonly after?: string | null;
  readonly last?: number | null;
  readonly before?: string | null;
}

/** The same, checked. */
export interface PageShape {
  readonly limit: number;
  readonly backward: boolean;
  readonly after: string | null;
  readonly before: string | null;
}

const defaultLimit = 20;
const maxLimit = 100;

/** @throws AppError BAD_USER_INPUT naming the argument at fault */
export function pageShape({ first, after, last, before }: PageRequest): PageShape {
  const backward = last !== null && last !== undefined;
  if (backward && first !== null && first !== undefined) throw badInput('last', 'Ask for `first` or for `last`.');
  const limit = (backward ? last : first) ?? defaultLimit;
  if (!Number.isInteger(limit) || limit < 1 || limit > maxLimit) {
    const field = backward ? 'last' : 'first';
    throw badInput(field, `\`${field}\` must be from 1 to ${maxLimit}.`);
  }
  return { limit, backward, after: after ?? null, before: before ?? null };
}

/** A page of a list. Cursors are made when somebody reads them. */
export class Page<Node> implements Connection<Node> {
  readonly nodes: Node[];
  private readonly rows: readonly (readonly unknown[])[];
  private readonly more: boolean;

  /**
   * @param rows what was fetched: in the order of the reading, and one more than asked for where there are more
   * @param cursorOf of one of these rows
   */
  constructor(
    rows: readonly (readonly unknown[])[],
    private readonly shape: PageShape,
    assemble: (row: readonly unknown[]) => Node,
    private readonly cursorOf: (row: readonly unknown[]) => string,
  ) {
    this.more = rows.length > shape.limit;
    const wanted = this.more ? rows.slice(0, shape.limit) : rows;
    this.rows = shape.backward ? [...wanted].reverse() : wanted;
    this.nodes = this.rows.map(assemble);
  }

  get edges(): { node: Node; cursor: string }[] {
    const { cursorOf } = this;
    return this.rows.map((row, i) => ({
      node: this.nodes[i]!,
      get cursor() {
        return cursorOf(row);
      },
    }));
  }

  get pageInfo(): PageInfo {
    const { rows, cursorOf, more } = this;
    const { backward, after, before } = this.shape;
    const [head, tail] = [rows[0], rows[rows.length - 1]];
    return {
      // The row that a cursor was made of stands there itself.
      hasNextPage: backward ? before !== null : more,
      hasPreviousPage: backward ? more : after !== null,
      get startCursor() {
        return head ? cursorOf(head) : null;
      },
      get endCursor() {
        return tail ? cursorOf(tail) : null;
      },
    };
  }
}
