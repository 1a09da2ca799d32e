import { setTimeout as sleep } from 'node:timers/promises';
/* eslint-disable @typescript-eslint/no-explicit-any -- the answers of many different queries are looked into */
import { buildSchema, graphql, type GraphQLResolveInfo, type GraphQLObjectType } from 'graphql';
import { attachReads } from '../../src/db/reads/attach.js';
import {
  anyOf,
  ascending,
  before,
  boolean,
  computed,
  connection,
  contains,
  decimal,
  equals,
  extendReads,
  first,
  from,
  integer,
  json,
  list,
  money,
  newestFirst,
  one,
  readModel,
  text,
  time,
  uuid,
} from '../../src/db/reads/model.js';
import { Pipeline } from '../../src/db/reads/pipeline.js';
import { ReadDatabase, type Reads } from '../../src/db/reads/reads.js';
import { createLogger } from '../../src/shared/logger.js';
import { type Money } from '../../src/shared/money.types.js';
import { askOn } from '../support/ask-on.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { Wire } from '../support/wire.js';

class Buyer {
  id!: number;
  name!: string;
  email!: string | null;
  bills!: unknown;
}
class Bill {
  id!: number;
  number!: string;
  total!: Money;
  due!: Money;
  dueAt!: Date | null;
  createdAt!: Date;
  buyer!: Buyer;
  lastTry!: Try | null;
  allTries!: Try[];
  tries!: unknown;
}
class Try {
  id!: string;
  status!: 'PENDING' | 'SUCCEEDED';
  amount!: Money;
  fee!: Money | null;
  refundPending!: boolean;
  percent!: string;
  metadata!: Record<string, unknown>;
  createdAt!: Date;
  buyer!: Buyer | null;
  bill!: Bill | null;
}
class Broken {
  id!: number;
}

const buyerReads = readModel(Buyer, {
  table: 'customers',
  fields: { id: integer(), name: text(), email: text() },
  order: ascending('name', 'id'),
  filters: { search: contains('name', 'email') },
});
const billReads = readModel(Bill, {
  table: 'invoices',
  fields: {
    id: integer(),
    number: text(),
    total: money('total'),
    due: computed(
      { total: integer(), paid: integer('amount_paid'), currency: text() },
      ({ total, paid, currency }) => ({
        amount: total - paid,
        currency,
        formatted: `${currency} ${total - paid}`,
      }),
    ),
    dueAt: time(),
    createdAt: time(),
    buyer: one(() => buyerReads, { customer_id: 'id' }),
  },
  order: newestFirst('createdAt', 'id'),
  filters: { buyerId: equals('customer_id'), dueBefore: before('due_at') },
});
const tryReads = readModel(Try, {
  table: 'payments',
  fields: {
    id: uuid(),
    status: text(),
    amount: money('amount'),
    fee: money('application_fee', 'booked_currency'),
    refundPending: boolean(),
    percent: decimal('amount_received'),
    metadata: json(),
    createdAt: time(),
    buyer: one(() => buyerReads, { customer_id: 'id' }),
    bill: one(() => billReads, { invoice_id: 'id' }),
  },
  order: newestFirst('createdAt', 'id'),
  filters: { status: anyOf('status'), createdAfter: from('created_at') },
});
const brokenReads = readModel(Broken, {
  table: 'customers',
  fields: { id: integer('no_such_column') },
  order: ascending('id'),
});
extendReads(billReads, {
  tries: connection(() => tryReads, { id: 'invoice_id' }),
  lastTry: first(() => tryReads, { id: 'invoice_id' }),
  allTries: list(() => tryReads, { id: 'invoice_id' }, { order: { direction: 'asc', fields: ['createdAt', 'id'] } }),
});
extendReads(buyerReads, { bills: connection(() => billReads, { id: 'customer_id' }) });

const sdl = /* GraphQL */ `
  scalar DateTime
  scalar JSON
  enum Status {
    PENDING
    SUCCEEDED
  }
  type Money {
    amount: Float!
    currency: String!
    formatted: String!
  }
  type PageInfo {
    hasNextPage: Boolean!
    hasPreviousPage: Boolean!
    startCursor: String
    endCursor: String
  }
  interface Thing {
    id: ID!
  }
  type Buyer implements Thing {
    id: ID!
    name: String!
    email: String
    bills(first: Int, after: String, last: Int, before: String): BillConnection!
  }
  type BillEdge {
    node: Bill!
    cursor: String!
  }
  type BillConnection {
    nodes: [Bill!]!
    edges: [BillEdge!]!
    pageInfo: PageInfo!
  }
  type Bill implements Thing {
    id: ID!
    number: String!
    total: Money!
    due: Money!
    dueAt: DateTime
    createdAt: DateTime!
    buyer: Buyer!
    tries(first: Int, after: String, last: Int, before: String, filter: TryFilter): TryConnection!
    lastTry: Try
    allTries: [Try!]!
  }
  type Try implements Thing {
    id: ID!
    status: Status!
    amount: Money!
    fee: Money
    refundPending: Boolean!
    percent: String!
    metadata: JSON!
    createdAt: DateTime!
    buyer: Buyer
    bill: Bill
  }
  type TryEdge {
    node: Try!
    cursor: String!
  }
  type TryConnection {
    nodes: [Try!]!
    edges: [TryEdge!]!
    pageInfo: PageInfo!
  }
  type BuyerEdge {
    node: Buyer!
    cursor: String!
  }
  type BuyerConnection {
    nodes: [Buyer!]!
    edges: [BuyerEdge!]!
    pageInfo: PageInfo!
  }
  input TryFilter {
    status: [Status!]
    createdAfter: DateTime
  }
  type Broken {
    id: ID!
  }
  type Query {
    bill(id: Int!): Bill
    try(id: ID!): Try
    buyers(first: Int, after: String, search: String): BuyerConnection!
    bills(first: Int, after: String, last: Int, before: String, buyerId: Int): BillConnection!
    tries(first: Int, after: String, last: Int, before: String, filter: TryFilter): TryConnection!
    buyerList: [Buyer!]!
    broken: Broken
  }
`;

type Args = Record<string, never>;
type Resolve = (source: unknown, args: Args, reads: Reads, info: GraphQLResolveInfo) => unknown;
const resolvers: Record<string, Resolve> = {
  bill: (_, { id }, reads, info) => reads.one(billReads, { id }, info),
  try: (_, { id }, reads, info) => reads.one(tryReads, { id }, info),
  buyers: (_, { search, ...page }, reads, info) => reads.connection(buyerReads, { page, where: { search } }, info),
  bills: (_, { buyerId, ...page }, reads, info) => reads.connection(billReads, { page, where: { buyerId } }, info),
  tries: (_, { filter, ...page }, reads, info) => reads.connection(tryReads, { page, where: filter }, info),
  buyerList: (_, _args, reads, info) => reads.list(buyerReads, {}, info),
  broken: (_, _args, reads, info) => reads.one(brokenReads, { id: 1 }, info),
};
const schema = attachReads(buildSchema(sdl));
for (const [name, resolve] of Object.entries(resolvers)) {
  (schema.getQueryType() as GraphQLObjectType).getFields()[name]!.resolve = resolve as never;
}

const tenantA = '0190a000-0000-7000-8000-00000000000a';
const tenantB = '0190a000-0000-7000-8000-00000000000b';
const logger = createLogger('silent');
let db: TestDatabase;
let wire: Wire;
let reads: ReadDatabase;

beforeAll(async () => {
  db = await createTestDatabase();
  await db.query(`insert into tenants (id, name) values ('${tenantA}', 'A'), ('${tenantB}', 'B')`);
  for (const tenant of [tenantA, tenantB]) {
    const letter = tenant === tenantA ? 'A' : 'B';
    await db.query(`insert into customers (tenant_id, id, name, email)
      select '${tenant}', i, '${letter}' || to_char(i / 3, 'FM00'), case when i % 2 = 0 then 'c' || i || '@example.com' end
      from generate_series(1, 12) i`);
    // Ties: three bills at each moment, moments a microsecond apart.
    await db.query(`insert into invoices (tenant_id, id, customer_id, number, total, amount_paid, currency, created_at, due_at)
      select '${tenant}', i, 1 + i % 12, '${letter}-' || i, 1000 * i, 10 * i, 'usd',
        '2026-01-01T00:00:00Z'::timestamptz + (i / 3) * interval '1 microsecond', case when i % 2 = 0 then '2026-02-01T12:34:56.789Z'::timestamptz end
      from generate_series(1, 60) i`);
    await db.query(`insert into payments (tenant_id, id, livemode, customer_id, invoice_id, stripe_account_id, amount, currency, status,
        amount_received, metadata, created_at, application_fee, booked_currency)
      select '${tenant}', uuidv7(), i % 10 = 0, 1 + i % 12, 1 + i % 20, 'acct_1', 100 * i, 'jpy', case when i % 3 = 0 then 'SUCCEEDED' else 'PENDING' end,
        case when i % 3 = 0 then 100 * i else 0 end, jsonb_build_object('n', i, 'text', 'say "hi"'),
        '2026-03-01T00:00:00Z'::timestamptz + i * interval '1 hour', case when i % 4 = 0 then i end, case when i % 4 = 0 then 'usd' end
      from generate_series(1, 100) i`);
  }
  wire = await Wire.to(db.url);
  reads = new ReadDatabase({ url: wire.url, livemode: false, logger });
});

afterAll(async () => {
  await reads.stop();
  await wire.close();
  await db.drop();
});

/** Runs a query as the tenant, and fails on any error. */
async function ask(source: string, variableValues: Record<string, unknown> = {}, tenant = tenantA): Promise<any> {
  const { data, errors } = await graphql({ schema, source, variableValues, contextValue: reads.tenant(tenant) });
  if (errors) throw errors[0]!.originalError ?? errors[0]!;
  return JSON.parse(JSON.stringify(data));
}

async function errorOf(source: string, variableValues: Record<string, unknown> = {}) {
  const { errors } = await graphql({ schema, source, variableValues, contextValue: reads.tenant(tenantA) });
  return errors?.[0]?.extensions;
}

describe('what is fetched', () => {
  test('columns of every type arrive as a resolver would return them', async () => {
    const { tries } = await ask(`{ tries(first: 1, filter: { status: [SUCCEEDED] }) { nodes {
      status amount { amount currency formatted } fee { amount currency } refundPending percent metadata createdAt } } }`);
    expect(tries.nodes).toEqual([
      {
        status: 'SUCCEEDED',
        amount: { amount: 9900, currency: 'jpy', formatted: 'JPY 9,900' },
        fee: null,
        refundPending: false,
        percent: '9900',
        metadata: { n: 99, text: 'say "hi"' },
        createdAt: '2026-03-05T03:00:00.000Z',
      },
    ]);
  });

  test('the same columns arrive in the same form through a nested list', async () => {
    const fields =
      'id status amount { amount formatted } fee { amount currency } refundPending percent metadata createdAt';
    const { bill, tries } = await ask(`{
      bill(id: 5) { allTries { ${fields} } tries { nodes { ${fields} } } }
      tries(first: 100) { nodes { ${fields} bill { id } } } }`);
    const expected = tries.nodes
      .filter((node: any) => node.bill.id === '5')
      .map(({ bill: _bill, ...rest }: any) => rest);
    expect(expected.length).toBeGreaterThan(3);
    expect(bill.tries.nodes).toEqual(expected);
    expect(bill.allTries).toEqual(expected.toReversed());
  });

  test('a relation without a row is null, in a row and in a nested list', async () => {
    await db.query(`insert into payments (tenant_id, livemode, stripe_account_id, amount, currency, created_at, invoice_id)
      values ('${tenantB}', false, 'acct_1', 1, 'usd', '2030-01-01', null)`);
    await db.query(`insert into payments (tenant_id, livemode, stripe_account_id, amount, currency, created_at, invoice_id)
      values ('${tenantB}', false, 'acct_1', 2, 'usd', '2030-01-01', 60)`);
    const { tries, bill } = await ask(
      `{ tries(first: 2) { nodes { amount { amount } bill { id buyer { id } } buyer { name } } }
         bill(id: 60) { lastTry { amount { amount } buyer { name } } allTries { buyer { id } } } }`,
      {},
      tenantB,
    );
    const found = tries.nodes.find((node: any) => node.amount.amount === 1);
    expect(found).toEqual({ amount: { amount: 1 }, bill: null, buyer: null });
    expect(bill).toEqual({ lastTry: { amount: { amount: 2 }, buyer: null }, allTries: [{ buyer: null }] });
    expect((await ask('{ bill(id: 59) { lastTry { id } allTries { id } } }')).bill).toEqual({
      lastTry: null,
      allTries: [],
    });
    expect(await ask('{ bill(id: 999) { id } }')).toEqual({ bill: null });
  });

  test('aliases, fragments and directives choose what is returned', async () => {
    const source = /* GraphQL */ `
      query ($yes: Boolean!, $no: Boolean!, $n: Int!) {
        bill(id: 7) {
          __typename
          ref: number
          number
          a: buyer {
            id
          }
          b: buyer {
            ...Name @include(if: $yes)
            email @skip(if: $yes)
          }
          one: tries(first: 1) {
            nodes {
              amount {
                amount
              }
            }
          }
          some: tries(first: $n, filter: { status: [PENDING] }) {
            nodes {
              ...Amount
            }
            edges {
              cursor
              node {
                status
              }
            }
            pageInfo {
              hasNextPage
            }
          }
          ... on Thing {
            id
          }
          ... @include(if: $no) {
            dueAt
          }
        }
      }
      fragment Name on Buyer {
        called: name
        bills(first: 1) {
          nodes {
            number
          }
        }
      }
      fragment Amount on Try {
        value: amount {
          number: amount
        }
      }
    `;
    const { bill } = await ask(source, { yes: true, no: false, n: 2 });
    expect(bill).toEqual({
      __typename: 'Bill',
      id: '7',
      ref: 'A-7',
      number: 'A-7',
      a: { id: '8' },
      b: { called: 'A02', bills: { nodes: [{ number: 'A-55' }] } },
      one: { nodes: [{ amount: { amount: 8600 } }] },
      some: {
        nodes: [{ value: { number: 8600 } }, { value: { number: 4600 } }],
        edges: [
          { cursor: expect.any(String), node: { status: 'PENDING' } },
          { cursor: expect.any(String), node: { status: 'PENDING' } },
        ],
        pageInfo: { hasNextPage: true },
      },
    });
    const other = await ask(source, { yes: false, no: true, n: 1 });
    expect(other.bill.b).toEqual({ email: 'c8@example.com' });
    expect(other.bill).toHaveProperty('dueAt', null);
    expect(other.bill.some.pageInfo).toEqual({ hasNextPage: true });
  });

  test('filters narrow a list, and text is searched for literally', async () => {
    const { buyers } = await ask('{ buyers(search: "c1") { nodes { id } } }');
    expect(buyers.nodes.map(({ id }: { id: string }) => id)).toEqual(['10', '12']);
    expect((await ask('{ buyers(search: "%") { nodes { id } } }')).buyers.nodes).toEqual([]);
    expect((await ask('{ buyers(search: "a00") { nodes { id } } }')).buyers.nodes).toHaveLength(2);
    const { tries } = await ask(
      '{ tries(filter: { createdAfter: "2026-03-05T02:00:00Z" }) { nodes { amount { amount } } } }',
    );
    expect(tries.nodes.map((node: any) => node.amount.amount)).toEqual([9900, 9800]);
    expect((await ask('{ tries(filter: { status: [] }) { nodes { id } } }')).tries.nodes).toEqual([]);
  });

  test('rows of another tenant and of the other mode are not there', async () => {
    const { tries } = await ask('{ tries(first: 100) { nodes { amount { amount } } } }');
    expect(tries.nodes).toHaveLength(90);
    const { bills } = await ask('{ bills(first: 100) { nodes { number } } }', {}, tenantB);
    expect(bills.nodes.every(({ number }: { number: string }) => number.startsWith('B-'))).toBe(true);
  });

  test('lists within lists are refused when they multiply beyond measure', async () => {
    const source =
      '{ bills(first: 100) { nodes { tries(first: 100) { nodes { bill { tries(first: 2) { nodes { id } } } } } } } }';
    expect(await errorOf(source)).toMatchObject({ code: 'QUERY_TOO_COMPLEX' });
  });
});

describe('round trips', () => {
  test.each([
    ['a row', '{ bill(id: 1) { number } }'],
    [
      'a page with relations',
      '{ tries(first: 20) { nodes { id buyer { name } bill { number buyer { name } } } pageInfo { endCursor } } }',
    ],
    [
      'lists within lists',
      '{ bills(first: 10) { nodes { tries(first: 3) { nodes { bill { number } } } buyer { bills { nodes { id } } } } } }',
    ],
    [
      'several root fields',
      '{ a: bill(id: 1) { number } b: bills { nodes { id } } c: tries { nodes { id } } d: buyerList { name } }',
    ],
  ])('%s takes one', async (_, source) => {
    await ask(source);
    const before = wire.trips;
    await ask(source);
    expect(wire.trips - before).toBe(1);
  });
});

describe('paging', () => {
  const page = (args: string) =>
    ask(
      `{ bills(${args}) { nodes { id } edges { cursor } pageInfo { startCursor endCursor hasNextPage hasPreviousPage } } }`,
    ).then(({ bills }) => bills);
  const newestFirstIds = Array.from({ length: 60 }, (_, i) => String(60 - i));

  test.each([1, 2, 7, 20, 60, 100])('forward by %d meets every row once, over ties', async (size) => {
    const ids: string[] = [];
    let after = '';
    for (;;) {
      const { nodes, pageInfo } = await page(`first: ${size}${after && `, after: "${after}"`}`);
      ids.push(...nodes.map(({ id }: { id: string }) => id));
      expect(pageInfo.hasPreviousPage).toBe(after !== '');
      if (!pageInfo.hasNextPage) break;
      after = pageInfo.endCursor;
    }
    expect(ids).toEqual(newestFirstIds);
  });

  test.each([1, 2, 7, 20, 60, 100])('backward by %d meets every row once, over ties', async (size) => {
    const ids: string[] = [];
    let before = '';
    for (;;) {
      const { nodes, pageInfo } = await page(`last: ${size}${before && `, before: "${before}"`}`);
      ids.unshift(...nodes.map(({ id }: { id: string }) => id));
      expect(pageInfo.hasNextPage).toBe(before !== '');
      if (!pageInfo.hasPreviousPage) break;
      before = pageInfo.startCursor;
    }
    expect(ids).toEqual(newestFirstIds);
  });

  test('a nested list is paged by its own cursors', async () => {
    const seen: string[] = [];
    let after: string | null = null;
    do {
      const { bill } = await ask(
        'query ($after: String) { bill(id: 3) { tries(first: 2, after: $after) { nodes { id } pageInfo { endCursor hasNextPage } } } }',
        { after },
      );
      seen.push(...bill.tries.nodes.map(({ id }: { id: string }) => id));
      after = bill.tries.pageInfo.hasNextPage ? bill.tries.pageInfo.endCursor : null;
    } while (after);
    const { bill } = await ask('{ bill(id: 3) { tries(first: 100) { nodes { id } } } }');
    expect(seen).toEqual(bill.tries.nodes.map(({ id }: { id: string }) => id));
    expect(new Set(seen).size).toBe(seen.length);
  });

  test('the cursor of an edge is the cursor of its row', async () => {
    const { edges, pageInfo } = await page('first: 3');
    expect(pageInfo).toMatchObject({ startCursor: edges[0].cursor, endCursor: edges[2].cursor });
    expect((await page(`first: 1, after: "${edges[1].cursor}"`)).nodes).toEqual([{ id: '58' }]);
  });

  test.each([
    ['nonsense', 'nonsense'],
    ['empty', ''],
    ['of JSON that was tampered with', Buffer.from('00000000[1,2]').toString('base64url')],
  ])('a cursor that is %s is refused', async (_, cursor) => {
    expect(await errorOf(`{ bills(after: ${JSON.stringify(cursor)}) { nodes { id } } }`)).toEqual({
      code: 'BAD_USER_INPUT',
      field: 'after',
    });
    expect(await errorOf(`{ bills(last: 1, before: ${JSON.stringify(cursor)}) { nodes { id } } }`)).toMatchObject({
      field: 'before',
    });
  });

  test('a cursor of another list is refused', async () => {
    const { tries } = await ask('{ tries(first: 1) { pageInfo { endCursor } } }');
    expect(await errorOf(`{ bills(after: "${tries.pageInfo.endCursor}") { nodes { id } } }`)).toMatchObject({
      field: 'after',
    });
  });

  test.each([
    ['first: 0', 'first'],
    ['first: 101', 'first'],
    ['first: -1', 'first'],
    ['last: 0', 'last'],
    ['last: 101', 'last'],
    ['first: 1, last: 1', 'last'],
  ])('bills(%s) is refused', async (args, field) => {
    expect(await errorOf(`{ bills(${args}) { nodes { id } } }`)).toEqual({ code: 'BAD_USER_INPUT', field });
    expect(await errorOf(`{ buyerList { bills(${args}) { nodes { id } } } }`)).toEqual({
      code: 'BAD_USER_INPUT',
      field,
    });
  });

  test('without numbers there are twenty', async () => {
    expect((await page('after: null')).nodes).toHaveLength(20);
  });
});

describe('failures', () => {
  test('a failing field does not take its neighbours with it', async () => {
    const { data, errors } = await graphql({
      schema,
      source: '{ a: bill(id: 1) { number } broken { id } b: bill(id: 2) { number } }',
      contextValue: reads.tenant(tenantA),
    });
    expect(data).toMatchObject({ a: { number: 'A-1' }, broken: null, b: { number: 'A-2' } });
    expect(errors).toHaveLength(1);
    expect(errors![0]!.message).toMatch(/no_such_column/);
  });

  test('thousands of requests of two tenants, mixed with failing ones, each get their own answer', async () => {
    const fresh = new ReadDatabase({ url: db.url, livemode: false, logger, connections: 2 });
    const outcomes: string[] = [];
    const one = async (i: number) => {
      const tenant = i % 2 ? tenantA : tenantB;
      const id = 1 + (i % 60);
      const isBroken = i % 3 === 0;
      // Ever new SQL keeps statements being prepared while others fail.
      const source = isBroken
        ? `{ broken { id } }`
        : `{ x${i % 17}: bill(id: ${id}) { number ${['dueAt', 'id', 'createdAt', 'buyer { name }', 'tries(first: 2) { nodes { id } }'][i % 5]} } }`;
      const contextValue = fresh.tenant(tenant);
      // Some fail before their first statement.
      const isDoomed = i % 7 === 0;
      if (isDoomed) Object.assign(contextValue, { scope: ['no_such_role', tenant, 'false'] });
      const { data, errors } = await graphql({ schema, source, contextValue });
      if (isDoomed) return errors?.length === 1 && /no_such_role/.test(errors[0]!.message) ? 'ok' : 'wrong error';
      if (isBroken) return errors?.length === 1 && /no_such_column/.test(errors[0]!.message) ? 'ok' : 'wrong error';
      if (errors) return `error: ${errors[0]!.message}`;
      const row = (data as any)[`x${i % 17}`];
      return row?.number === `${tenant === tenantA ? 'A' : 'B'}-${id}` ? 'ok' : `wrong row: ${row?.number}`;
    };
    for (let i = 0; i < 6_000; i += 100) {
      outcomes.push(...(await Promise.all(Array.from({ length: 100 }, (_, n) => one(i + n)))));
    }
    await fresh.stop();
    expect(outcomes.filter((outcome) => outcome !== 'ok')).toEqual([]);
  });

  test('a value that cannot be written down fails its own field, and shifts nobody else’s answer', async () => {
    const fresh = new ReadDatabase({ url: db.url, livemode: false, logger, connections: 1 });
    await fresh.tenant(tenantA).figures('select 1');
    const [a, b] = [fresh.tenant(tenantA), fresh.tenant(tenantB)];
    const mine = `select current_setting('app.tenant_id'), $1::text`;
    const answers = await Promise.allSettled([
      a.figures(mine, ['a']),
      a.figures('select $1::text', [Object.create(null)]),
      b.figures(mine, ['b']),
    ]);
    await fresh.stop();
    expect(answers).toMatchObject([
      { value: [[tenantA, 'a']] },
      { reason: expect.any(TypeError) as TypeError },
      { value: [[tenantB, 'b']] },
    ]);
  });

  test('a statement that fails while it is being prepared does not fail those behind it', async () => {
    const fresh = new ReadDatabase({ url: db.url, livemode: false, logger, connections: 1 });
    const source = '{ bill(id: 11) { number total { amount } } }';
    // No such role: the transaction is aborted before the statement is prepared.
    const doomed = fresh.tenant(tenantA);
    Object.assign(doomed, { scope: ['no_such_role', tenantA, 'false'] });
    const answers = await Promise.all(
      [doomed, ...Array.from({ length: 5 }, () => fresh.tenant(tenantA))].map((contextValue) =>
        graphql({ schema, source, contextValue }),
      ),
    );
    await fresh.stop();
    expect(answers[0]!.errors?.[0]?.message).toMatch(/no_such_role/);
    expect(answers.slice(1).map(({ data }) => data)).toEqual(
      Array(5).fill({ bill: { number: 'A-11', total: { amount: 11000 } } }),
    );
  });

  test('when connections break, what was under way is asked again', async () => {
    const fresh = new ReadDatabase({ url: db.url, livemode: false, logger, connections: 2 });
    const source = '{ bill(id: 11) { number } }';
    const run = () => graphql({ schema, source, contextValue: fresh.tenant(tenantA) });
    await run();
    const many = Array.from({ length: 50 }, run);
    await db.query(
      `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'psa-payments reads' and datname = current_database()`,
    );
    const answers = [...(await Promise.all(many)), ...(await Promise.all(Array.from({ length: 50 }, run)))];
    await fresh.stop();
    expect(answers.filter(({ errors }) => errors)).toEqual([]);
  });

  test('ever new statements do not fill the memory of a connection: it is replaced', async () => {
    const fresh = new ReadDatabase({ url: db.url, livemode: false, logger, connections: 2 });
    const fields = ['number', 'dueAt', 'createdAt', 'total { amount }', 'due { amount }', 'buyer { id }', 'buyer { name }', 'buyer { email }', 'tries { nodes { id } }', 'lastTry { id }', 'allTries { id }']; // prettier-ignore
    const errors: unknown[] = [];
    for (let i = 1; i < 1_400; i += 1) {
      const chosen = fields.filter((_, bit) => i & (1 << bit));
      const answer = await graphql({
        schema,
        source: `{ bill(id: 3) { ${chosen.join(' ')} } }`,
        contextValue: fresh.tenant(tenantA),
      });
      if (answer.errors) errors.push(answer.errors[0]);
    }
    const [{ open }] = (await db.query(`select count(*)::int as open from pg_stat_activity
      where application_name = 'psa-payments reads' and datname = current_database()`)) as [{ open: number }]; // prettier-ignore
    await fresh.stop();
    expect(errors).toEqual([]);
    expect(open).toBeLessThanOrEqual(2 + 4); // this one's, and those of the other tests
  });

  test('without a database each request gets an error, and none hangs', async () => {
    const nowhere = new ReadDatabase({ url: 'postgres://nobody@127.0.0.1:1/none', livemode: false, logger });
    const { errors } = await graphql({
      schema,
      source: '{ bill(id: 1) { id } }',
      contextValue: nowhere.tenant(tenantA),
    });
    await nowhere.stop();
    expect(errors?.[0]?.message).toMatch(/ECONNREFUSED/);
  });

  test('nothing can be written through it', async () => {
    const pipeline = new Pipeline({ url: db.url, logger, connections: 1 });
    const attempt = askOn(pipeline, tenantA, 'delete from customers returning id');
    await expect(attempt).rejects.toThrow(/read-only transaction/);
    await pipeline.stop();
  });

  test('rows are planned as look-ups, without a compiler and alone; figures as the server has it', async () => {
    const url = new URL(db.url);
    url.searchParams.set(
      'options',
      '-c cpu_tuple_cost=0.02 -c max_parallel_workers_per_gather=3 -c enable_mergejoin=off',
    );
    const pipeline = new Pipeline({ url: url.href, logger, connections: 1 });
    const names = ['enable_seqscan', 'enable_mergejoin', 'cpu_tuple_cost', 'jit', 'max_parallel_workers_per_gather'];
    const settings = `select concat_ws(' ', ${names.map((name) => `current_setting('${name}')`).join(', ')})`;
    const [{ jit }] = (await db.query(`select current_setting('jit') as jit`)) as [{ jit: string }];
    expect(await askOn(pipeline, tenantA, settings)).toBe('off off 100 off 0');
    expect(await askOn(pipeline, tenantA, settings, 'figures')).toBe(`on off 0.02 ${jit} 3`);
    expect(await askOn(pipeline, tenantA, settings)).toBe('off off 100 off 0');
    await pipeline.stop();
  });

  test('what comes while a slow question is under way does not wait behind it', async () => {
    const pipeline = new Pipeline({ url: db.url, logger, connections: 2 });
    const answered: string[] = [];
    const ask = (sql: string) => askOn(pipeline, tenantA, sql).then(() => answered.push(sql));
    await ask('select 1');
    const slow = ask('select pg_sleep(1)');
    await sleep(50);
    await Promise.all([...Array.from({ length: 100 }, (_, i) => ask(`select ${i}`)), slow]);
    expect(answered.at(-1)).toBe('select pg_sleep(1)');
    await pipeline.stop();
  });

  test('questions go by one connection as long as it keeps up, and by more when they would have to wait', async () => {
    const pipeline = new Pipeline({ url: db.url, logger, connections: 4 });
    const backendsOf = async (sql: string) => {
      const asked = Array.from({ length: 32 }, () => askOn(pipeline, tenantA, sql));
      return new Set(await Promise.all(asked)).size;
    };
    await backendsOf('select pg_backend_pid()');
    expect(await backendsOf('select pg_backend_pid()')).toBe(1);
    const slow = 'select pg_backend_pid() from pg_sleep(0.005)';
    await backendsOf(slow);
    expect(await backendsOf(slow)).toBeGreaterThan(1);
    await pipeline.stop();
  });

  test('a tenant that is no UUID never reaches SQL', () => {
    expect(() => reads.tenant("x'; drop table customers; --")).toThrow('Not a UUID');
  });
});

test('a field that nobody declared stops the start', () => {
  const stray = buildSchema('type Buyer { id: ID! name: String! shoeSize: Int } type Query { buyer: Buyer }');
  expect(() => attachReads(stray)).toThrow('Buyer.shoeSize');
});
