import fc from 'fast-check';
import { parse, validate } from 'graphql';
import { createSchema } from '../../src/graphql/schema.js';
import { newUuid } from '../../src/shared/uuid.js';
import { aCustomer, anInvoice, aStripeConfig, aTenant, insertRow } from '../support/factories.js';
import { aToken } from '../support/tokens.js';
import { anyQuery } from './any-query.js';
import { reference } from './reference.js';
import { type Stage, startStage } from './stage.js';

let app: Stage;
let token: string;
let ask: Awaited<ReturnType<typeof reference>>;
const known = {
  customers: [] as number[],
  invoices: [] as number[],
  payments: [] as string[],
  paymentCursors: [] as string[],
};

beforeAll(async () => {
  app = await startStage({ RATE_LIMIT_PER_MINUTE: '100000' });
  const { id: tenantId } = await aTenant(app.db);
  const { accountId } = await aStripeConfig(app.db, { tenantId });
  token = await aToken({ tenantId });
  for (let i = 0; i < 4; i += 1) {
    const name = ['Customer "1"', 'Kunde \u{1f600} ü', 'customer 1%\n', 'Customer \\ 4'][i];
    const customer = await aCustomer(app.db, { tenantId, name });
    known.customers.push(customer.id);
    for (let n = 0; n < 3; n += 1) {
      // Some of the same instant.
      const created_at = `2026-0${1 + n}-01T00:00:00.000${n}0${i % 2}Z`;
      const { id: invoice } = await anInvoice(app.db, {
        tenantId,
        customerId: customer.id,
        created_at,
        due_at: n ? created_at : null,
      });
      known.invoices.push(invoice);
      for (let k = 0; k < n + 1; k += 1) {
        const id = newUuid();
        await insertRow(app.db, 'payments', {
          id, tenant_id: tenantId, livemode: false, customer_id: k ? customer.id : null, invoice_id: i ? invoice : null,
          stripe_account_id: accountId, amount: 1000 * (1 + k), amount_received: n === 2 ? 1000 : 0, currency: 'usd', created_at,
          status: ['PENDING', 'FAILED', 'SUCCEEDED'][n], failure_code: n === 1 ? 'card_declined' : null, description: k ? 'x\u2028"\\' : null,
          // A scalar refuses the second: an error in the middle of a list.
          receipt_url: [null, 'not a URL', 'https://example.com/r?a=1'][(i + n + k) % 7] ?? null, metadata: { a: [1, { b: null }] },
        }); // prettier-ignore
        known.payments.push(id);
      }
    }
  }
  const { data } = await app.ask('{ payments(first: 100) { edges { cursor node { id } } } }', {}, token);
  const { edges } = data.payments as { edges: { cursor: string; node: { id: string } }[] };
  known.paymentCursors.push(...edges.map(({ cursor }) => cursor));
  ask = await reference(app.db, tenantId, new Map(edges.map(({ cursor, node }) => [cursor, node.id])));
});

afterAll(() => app?.stop());

const pathsOf = (errors: readonly { readonly path?: readonly (string | number)[] | undefined }[] = []) =>
  errors.map(({ path }) => path?.join('.')).sort();

test('any query has the answer of an executor that knows no tricks', async () => {
  let [answered, failed] = [0, 0];
  await fc.assert(
    fc.asyncProperty(fc.gen(), async (g) => {
      const { source, variables } = anyQuery(g, known);
      const [actual, expected] = await Promise.all([app.ask(source, variables, token), ask(source, variables)]);
      if (actual.errors?.some(({ extensions }) => extensions.code === 'QUERY_TOO_COMPLEX')) return;
      expect(actual.data ?? null).toEqual(JSON.parse(JSON.stringify(expected.data ?? null)));
      // Once nothing is left of an answer, it is left open which of its errors are told.
      if (actual.data) expect(pathsOf(actual.errors)).toEqual(pathsOf(expected.errors));
      else expect(actual.errors).not.toHaveLength(0);
      // The order of an answer is the order of the question.
      if (actual.data) expect(JSON.stringify(actual.data)).toBe(JSON.stringify(expected.data));
      answered += 1;
      if (actual.errors) failed += 1;
    }),
    { numRuns: 200, endOnFailure: true },
  );
  expect(answered).toBeGreaterThan(150);
  expect(failed).toBeGreaterThan(10);
});

test('what the generator makes is valid', () => {
  const schema = createSchema();
  fc.assert(
    fc.property(fc.gen(), (g) => {
      expect(
        validate(schema, parse(anyQuery(g, { ...known, customers: [1], invoices: [1], payments: [newUuid()] }).source)),
      ).toEqual([]);
    }),
    { numRuns: 100, endOnFailure: true },
  );
});
