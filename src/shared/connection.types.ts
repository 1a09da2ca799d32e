import { ArgsType, type ClassType, Field, Int, ObjectType } from 'type-graphql';

/** https://relay.dev/graphql/connections.htm#sec-undefined.PageInfo */
@ObjectType({ description: 'Where a page lies in its list.' })
export class PageInfo {
  @Field(() => Boolean, { description: 'Whether more follow after this page.' })
  hasNextPage!: boolean;

  @Field(() => Boolean, { description: 'Whether more stand before this page.' })
  hasPreviousPage!: boolean;

  @Field(() => String, { nullable: true, description: 'Cursor of the first node; null on an empty page.' })
  startCursor!: string | null;

  @Field(() => String, {
    nullable: true,
    description: 'Cursor of the last node; pass it as `after` for the next page.',
  })
  endCursor!: string | null;
}

/** Forward paging. The range of `first` is checked where the page is read: 1–100. */
@ArgsType()
export class ForwardArgs {
  @Field(() => Int, { nullable: true, description: 'How many to return, 1 to 100; 20 unless given.' })
  first?: number | null;

  @Field(() => String, { nullable: true, description: 'Return those after this cursor.' })
  after?: string | null;
}

/** Paging in both directions. */
@ArgsType()
export class PageArgs extends ForwardArgs {
  @Field(() => Int, {
    nullable: true,
    description: 'How many to return from the end, 1 to 100. Not together with `first`.',
  })
  last?: number | null;

  @Field(() => String, { nullable: true, description: 'Return those before this cursor.' })
  before?: string | null;
}

export interface Connection<Node> {
  nodes: Node[];
  edges: { node: Node; cursor: string }[];
  pageInfo: PageInfo;
}

/**
 * Makes the Relay connection types of a node type.
 * @example export const PaymentConnection = connectionOf('Payment', () => Payment);
 */
export function connectionOf<Node extends object>(
  name: string,
  node: () => ClassType<Node>,
): ClassType<Connection<Node>> {
  @ObjectType(`${name}Edge`, { description: `A ${name} and its place in the list.` })
  class Edge {
    @Field(node, { description: 'The element itself.' })
    node!: Node;

    @Field(() => String, { description: 'Opaque; pass it as `after` or `before`.' })
    cursor!: string;
  }

  @ObjectType(`${name}Connection`, { description: `A page of a list of ${name}s.` })
  class ConnectionType implements Connection<Node> {
    @Field(() => [node()], { description: 'The elements of this page.' })
    nodes!: Node[];

    @Field(() => [Edge], { description: 'The elements with their cursors.' })
    edges!: Edge[];

    @Field(() => PageInfo, { description: 'Where this page lies.' })
    pageInfo!: PageInfo;
  }
  return ConnectionType;
}
