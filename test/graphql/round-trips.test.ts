import { type GraphQLField, isNonNullType, getNamedType, type GraphQLObjectType, isObjectType } from 'graphql';
import { createSchema } from '../../src/graphql/schema.js';
import { newUuid } from '../../src/shared/uuid.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { aCustomer, anInvoice, aStripeConfig, aTenant, insertRow } from '../support/factories.js';
import { aToken } from '../support/tokens.js';
import { Wire } from '../support/wire.js';
import { type Stage, startStage } from './stage.js';

const schema = createSchema();
const query = schema.getQueryType()!;

/** Those that ask Stripe, or look at everything there is. */
const beyond = new Set(['balance', 'subscriptionPreview', 'driftReport', 'platform', 'jobs']);
/** Whose events are a tenant's is looked up first: a transaction of its own. Settings that nobody has made yet are an entity's defaults. */
const allowed: Readonly<Record<string, number>> = { webhookEvent: 3, webhookEvents: 3, mailSettings: 2 };
const fields = Object.values(query.getFields()).filter(({ name }) => !beyond.has(name));

let db: TestDatabase;
let wire: Wire;
let app: Stage;
let token: string;

beforeAll(async () => {
  db = await createTestDatabase();
  wire = await Wire.to(db.url);
  app = await startStage({ DATABASE_URL: wire.url, READ_CONNECTIONS: '1' }, db);
  const { id: tenantId } = await aTenant(db);
  const { accountId } = await aStripeConfig(db, { tenantId });
  token = await aToken({ tenantId });
  for (let i = 0; i < 5; i += 1) {
    const { id: customer } = await aCustomer(db, { tenantId });
    const { id: invoice } = await anInvoice(db, { tenantId, customerId: customer });
    for (let n = 0; n < 5; n += 1) {
      const row = { tenant_id: tenantId, livemode: false, customer_id: customer, invoice_id: invoice };
      await insertRow(db, 'payments', { ...row, stripe_account_id: accountId, amount: 1000, currency: 'usd' });
    }
  }
});

afterAll(async () => {
  await app?.stop();
  await wire?.close();
  await db?.drop();
});

/** Everything below a type, so many levels deep. */
function everything(type: GraphQLObjectType, depth: number): string {
  const parts = Object.values(type.getFields()).flatMap((field) => {
    const below = getNamedType(field.type);
    if (!isObjectType(below)) return [field.name];
    if (depth === 0 || field.name === 'edges') return [];
    const inner = everything(below, depth - 1);
    return inner ? [`${field.name}${sample(field)} { ${inner} }`] : [];
  });
  return parts.join(' ') || '__typename';
}

function sample({ args }: GraphQLField<unknown, unknown>): string {
  const values: Record<string, string> = { Int: '1', UUID: `"${newUuid()}"`, ReportInterval: 'MONTH' };
  const instants: Record<string, string> = { from: '"2026-01-01T00:00:00Z"', to: '"2027-01-01T00:00:00Z"' };
  const given = args.flatMap((arg) => {
    if (isNonNullType(arg.type)) return [`${arg.name}: ${instants[arg.name] ?? values[getNamedType(arg.type).name]}`];
    return arg.name === 'first' ? ['first: 3'] : [];
  });
  return given.length ? `(${given.join(', ')})` : '';
}

test.each(fields.map((field) => [field.name, field] as const))(
  '%s takes one round trip, however much is asked',
  async (_, field) => {
    const type = getNamedType(field.type) as GraphQLObjectType;
    const source = `{ ${field.name}${sample(field)} { ${everything(type, 3)} } }`;
    const run = async () => {
      const { errors } = await app.ask(source, {}, token);
      expect(errors).toBeUndefined();
    };
    await run();
    const before = wire.trips;
    await run();
    expect(wire.trips - before).toBeLessThanOrEqual(allowed[field.name] ?? 1);
  },
);

test('several root fields share theirs', async () => {
  const source = '{ payments { nodes { customer { name } } } invoices { nodes { payments { nodes { id } } } } viewer { tenant { name } user { id } } }'; // prettier-ignore
  await app.ask(source, {}, token);
  const before = wire.trips;
  expect((await app.ask(source, {}, token)).errors).toBeUndefined();
  expect(wire.trips - before).toBeLessThanOrEqual(2);
});
