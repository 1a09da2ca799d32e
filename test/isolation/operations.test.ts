import { readFile } from 'node:fs/promises';
import { randomUUID } from 'node:crypto';
import { buildSchema, type GraphQLSchema } from 'graphql';
import pg from 'pg';
import { aTenant } from '../support/factories.js';
import { startApp, type GraphqlAnswer, type TestApp } from '../support/harness.js';
import { atRest } from '../support/sandbox.js';
import { aToken, type Role } from '../support/tokens.js';
import { documentOf, operations, operationsOf, type Ids } from './operations.js';
import { ownerColumn, plantable, plantRows, type PlantedTenant } from './rows.js';

const sums = ['Query.revenue', 'Query.mrr', 'Query.mrrCohorts', 'Query.trialConversion', 'Query.paymentFailures'];
const roles: readonly Role[] = ['admin', 'billing', 'viewer', 'platform_admin'];

let app: TestApp;
let schema: GraphQLSchema;
let a: PlantedTenant;
let b: PlantedTenant;
let own: Ids;
let foreign: Ids;
let token: string;

const absent: Ids = {
  tenant: randomUUID(),
  customer: 990_001,
  contract: 990_001,
  invoice: 990_001,
  paymentMethod: randomUUID(),
  subscription: randomUUID(),
  payment: randomUUID(),
  payout: randomUUID(),
  dispute: randomUUID(),
  webhookEvent: randomUUID(),
  webhookEndpoint: randomUUID(),
  webhookDelivery: randomUUID(),
  dunningCase: randomUUID(),
  mail: randomUUID(),
  stripePaymentMethod: 'pm_absent0000000000',
};

beforeAll(async () => {
  schema = buildSchema(await readFile('schema.graphql', 'utf8'));
  // Without a worker: what changes here is changed by the operations that are asked for.
  app = await startApp({ env: { PROCESS_ROLE: 'api' } });
  const client = new pg.Client({ connectionString: app.db.adminUrl });
  await client.connect();
  const plant = async (number: number) => {
    const { id, accountId } = await app.aConnectedTenant();
    const planted = await plantRows(client, { id, accountId }, number, ['stripe_accounts', 'stripe_config']);
    // An invoice of a subscription, and a contract that is billed already, are refused before anybody looks at what they would be paid with.
    await client.query('update invoices set subscription_id = null where tenant_id = $1', [id]);
    await client.query("update stripe_subscriptions set status = 'CANCELED', ended_at = now() where tenant_id = $1", [
      id,
    ]);
    await client.query("update contracts set status = 'ACTIVE' where tenant_id = $1", [id]);
    return planted;
  };
  [a, b] = [await plant(710_001), await plant(720_002)];
  await client.end();
  await atRest(app.sandbox); // what the local Stripe says of the accounts is not to arrive in the middle of a test
  [own, foreign] = [await idsOf(a), await idsOf(b)];
  token = await app.token({ tenantId: a.id });
});
afterAll(() => app.stop());

async function idsOf(tenant: PlantedTenant): Promise<Ids> {
  const form = { type: 'card', 'card[token]': 'tok_visa' };
  const atStripe = await app.sandbox.api<{ id: string }>('POST', '/v1/payment_methods', {
    account: tenant.accountId,
    form,
  });
  const id = <T>(table: string) => tenant.rows.get(table)!.id as T;
  return {
    tenant: tenant.id,
    customer: id('customers'),
    contract: id('contracts'),
    invoice: id('invoices'),
    paymentMethod: id('payment_methods'),
    subscription: id('stripe_subscriptions'),
    payment: id('payments'),
    payout: id('payouts'),
    dispute: id('disputes'),
    webhookEvent: id('stripe_webhook_events'),
    webhookEndpoint: id('webhook_endpoints'),
    webhookDelivery: id('webhook_deliveries'),
    dunningCase: id('dunning_cases'),
    mail: id('mails'),
    stripePaymentMethod: atStripe.id,
  };
}

/** What an answer says, without what is different each time, and without the ids that were asked for. */
function said({ data, errors }: GraphqlAnswer<unknown>, asked: Ids): string {
  const text = JSON.stringify({
    data,
    errors: errors?.map(({ message, extensions, path }) => ({ message, extensions, path })),
  });
  return Object.values(asked)
    .reduce<string>((said, id) => said.replaceAll(String(id), '<id>'), text)
    .replace(/"(commandId|stripeRequestId)":"[^"]*"/g, '"$1":"…"');
}

const ask = (name: string, variables: object, as = token) => app.graphql(documentOf(schema, name), variables, as);
const variantsOf = (name: string, ids: Ids) => operations[name]!.asked?.(ids, own) ?? [{}];
const tenantOperations = () =>
  Object.keys(operations).filter((name) => !operations[name]!.who.every((role) => role === 'platform_admin'));

test('every operation of the schema is listed, and no other', () => {
  expect(Object.keys(operations).toSorted()).toEqual(operationsOf(schema).toSorted());
});

test('a tenant reads its own', async () => {
  // A preview is Stripe's to give, and what is planted here Stripe knows nothing of.
  const queries = tenantOperations().filter(
    (name) => name.startsWith('Query.') && name !== 'Query.subscriptionPreview',
  );
  for (const name of queries) {
    for (const variables of variantsOf(name, own)) {
      const { data, errors } = await ask(name, variables);
      expect([name, errors]).toEqual([name, undefined]);
      const found = data![name.replace('Query.', '')];
      expect([name, variables, found?.nodes?.length ?? found?.length ?? (found && 1)]).not.toEqual([
        name,
        variables,
        0,
      ]);
      expect([name, found ?? null]).not.toEqual([name, null]);
    }
  }
});

test("no answer tells another tenant's rows from rows that are not there, and none contains any of them", async () => {
  const before = await everythingOf(b);
  const requestsBefore = await requestsFor(b);
  expect(await leaks(tenantOperations())).toEqual([]);
  expect(await everythingOf(b)).toEqual(before);
  expect(await requestsFor(b)).toEqual(requestsBefore);
});

test('without the policies that test fails, at every query that names or lists something', async () => {
  await onEach('create policy hole on TABLE for select to app_tenant using (true)');
  const queries = tenantOperations().filter((name) => name.startsWith('Query.'));
  const found = await leaks(queries);
  await onEach('drop policy hole on TABLE');
  const unnoticed = queries.filter((name) => !found.includes(name));
  // One row per tenant, of which the first is shown: whose that is then, is a matter of luck.
  expect(
    unnoticed.filter(
      // What only adds up names nobody; whose money it adds up is tested in test/insights.
      (name) =>
        ![
          'Query.viewer',
          'Query.stripeConfig',
          'Query.driftReport',
          'Query.balance',
          'Query.mailSettings',
          'Query.dunningSettings',
          ...sums,
        ].includes(name),
    ),
  ).toEqual([]);
});

test("what a tenant's own ids do is told apart from what no ids do, so the test above compares something", async () => {
  for (const name of tenantOperations().filter((operation) => operations[operation]!.asked)) {
    const [mine, nobodys] = [variantsOf(name, own), variantsOf(name, absent)];
    for (const [index, variables] of mine.entries()) {
      if (!names(variables, own)) continue;
      const [toMine, toNobodys] = [await ask(name, variables), await ask(name, nobodys[index]!)];
      expect([name, said(toMine, own)]).not.toEqual([name, said(toNobodys, absent)]);
    }
  }
});

test("a cursor of another tenant's list shows nothing of it", async () => {
  const theirToken = await app.token({ tenantId: b.id });
  for (const list of ['customers', 'invoices', 'contracts', 'payments', 'subscriptions', 'webhookEvents']) {
    const query = `query ($after: String) { ${list}(after: $after) { nodes { id } pageInfo { endCursor } } }`;
    const { endCursor } = (await app.ask(query, {}, theirToken))[list].pageInfo;
    const { nodes } = (await app.ask(query, { after: endCursor }, token))[list];
    const mine = (await app.ask(query, {}, token))[list].nodes.map(({ id }: { id: unknown }) => id);
    for (const { id } of nodes) expect([list, mine.includes(id)]).toEqual([list, true]);
  }
});

test("an idempotency key that another tenant used is one's own", async () => {
  const idempotencyKey = randomUUID();
  const create = `mutation ($input: CreatePaymentIntentInput!) { createPaymentIntent(input: $input) { payment { id amount { amount } } } }`;
  const pay = (amount: number, as: string) =>
    app.ask(create, { input: { idempotencyKey, amount, currency: 'usd' } }, as);
  const [mine, theirs] = [await pay(1_000, token), await pay(2_000, await app.token({ tenantId: b.id }))];
  expect(mine.createPaymentIntent.payment.amount.amount).toBe(1_000);
  expect(theirs.createPaymentIntent.payment.amount.amount).toBe(2_000);
  expect(mine.createPaymentIntent.payment.id).not.toBe(theirs.createPaymentIntent.payment.id);
});

test('the tenant is that of the token, whatever else the request says', async () => {
  const response = await fetch(`${app.url}/graphql?tenant_id=${b.id}`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      authorization: `Bearer ${token}`,
      'x-tenant-id': b.id,
      'tenant-id': b.id,
      cookie: `tenant_id=${b.id}`,
    },
    body: JSON.stringify({ query: '{ viewer { tenant { id } } }', extensions: { tenantId: b.id } }),
  });
  expect(await response.json()).toEqual({ data: { viewer: { tenant: { id: a.id } } } });
});

describe('each role may use what it is to use, and nothing else', () => {
  let tenantId: string;

  beforeAll(async () => {
    tenantId = (await aTenant(app.db)).id;
  });

  test.each(Object.keys(operations))('%s', async (name) => {
    const [variables = {}] = variantsOf(name, absent);
    const codeFor = async (as?: string) => {
      const { errors } = await app.graphql(documentOf(schema, name), variables, as);
      return errors?.[0]?.extensions.code;
    };
    expect(await codeFor()).toBe('UNAUTHENTICATED');
    for (const role of roles) {
      const code = await codeFor(await aToken({ role, ...(role !== 'platform_admin' && { tenantId }) }));
      const isLetIn = code !== 'FORBIDDEN' && code !== 'UNAUTHENTICATED';
      expect([role, isLetIn, code]).toEqual([role, operations[name]!.who.includes(role), code]);
      expect(code).not.toBe('INTERNAL');
    }
    // A role that nobody gave out is nobody.
    expect(await codeFor(await aToken({ role: 'owner', tenantId }))).toBe('UNAUTHENTICATED');
  });
});

/** The operations whose answers show that there is somebody else. */
async function leaks(among: readonly string[]): Promise<string[]> {
  // What only the other tenant's rows contain: ids, numbers, addresses.
  const mine = new Set(valuesOf(a));
  const marks = valuesOf(b).filter((value) => value.length >= 12 && !mine.has(value));
  const found = new Set<string>();
  for (const name of among) {
    if (name === 'Mutation.disconnectAccount') continue; // names nothing, and would end the account of whoever asks
    const [theirs, nobodys] = [variantsOf(name, foreign), variantsOf(name, absent)];
    for (const [index, variables] of theirs.entries()) {
      const toTheirs = said(await ask(name, variables), foreign);
      if (marks.some((mark) => toTheirs.includes(mark))) found.add(name);
      if (!names(variables, foreign)) continue;
      const toNobodys = said(await ask(name, nobodys[index]!), absent);
      if (toTheirs !== toNobodys) found.add(name);
    }
  }
  return [...found];
}

async function onEach(sql: string): Promise<void> {
  for (const table of plantable) await app.db.query(sql.replace('TABLE', table));
}

function names(variables: object, ids: Ids): boolean {
  const text = JSON.stringify(variables);
  return Object.values(ids).some((id) => text.includes(String(id)));
}

/** What was asked of Stripe for a tenant's account. */
async function requestsFor({ accountId }: PlantedTenant): Promise<unknown[]> {
  const { data } = await app.sandbox.control<{ data: { account: string }[] }>('/requests');
  return data.filter(({ account }) => account === accountId);
}

function valuesOf(tenant: PlantedTenant): string[] {
  const values = [tenant.id, tenant.accountId, ...[...tenant.rows.values()].flatMap((row) => Object.values(row))];
  return values.filter((value): value is string => typeof value === 'string');
}

/** Every row of a tenant, as PostgreSQL has it. */
async function everythingOf(tenant: PlantedTenant): Promise<Record<string, unknown>> {
  const all: Record<string, unknown> = {};
  for (const table of plantable) {
    const owner = ownerColumn(table) === 'tenant_id' ? tenant.id : tenant.accountId;
    const rows = await app.db.query(
      `select t::text as row from ${table} t where ${ownerColumn(table)}::text = $1 order by 1`,
      [owner],
    );
    all[table] = rows.map(({ row }) => row as string);
  }
  return all;
}
