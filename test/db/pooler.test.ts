import { Pipeline } from '../../src/db/reads/pipeline.js';
import { newUuid } from '../../src/shared/uuid.js';
import { askOn } from '../support/ask-on.js';
import { connectTo } from '../support/database.js';
import { aCustomer, anInvoice } from '../support/factories.js';
import { type TestApp, startApp } from '../support/harness.js';
import { behindPooler, type Pooler, startPooler } from '../support/pooler.js';
import { aPort } from '../support/port.js';
import { until } from '../support/until.js';
import { silent } from '../webhooks/stage.js';

behindPooler()('behind PgBouncer in transaction mode', () => {
  let straight: TestApp;
  let pooler: Pooler;
  let app: TestApp;

  beforeAll(async () => {
    const port = await aPort();
    straight = await startApp({
      env: { PROCESS_ROLE: 'api' },
      sandbox: { webhookUrl: `http://127.0.0.1:${port}/api/stripe/webhook` },
    });
    pooler = await startPooler(straight.db.url, 4);
    app = await startApp({
      beside: straight,
      env: { PORT: String(port), DATABASE_URL: pooler.url, DATABASE_DIRECT_URL: straight.db.url },
    });
  });

  afterAll(async () => {
    await app.stop();
    await pooler.stop();
    await straight.stop();
  });

  async function anInvoiceOf(number: string) {
    const tenant = await app.aConnectedTenant({ application_fee_percent: '2.50' });
    const token = await app.token(tenant, 'billing');
    const { id: customerId } = await aCustomer(app.db, { tenantId: tenant.id, name: `Customer of ${number}` });
    const { id: invoiceId } = await anInvoice(app.db, { tenantId: tenant.id, customerId, number });
    return { tenant, token, invoiceId, number };
  }

  test('an invoice is paid, and its events find their way', async () => {
    const { token, invoiceId, tenant } = await anInvoiceOf('INV-POOLED');
    const { createPaymentIntent: asked } = await app.ask(
      `mutation ($input: CreatePaymentIntentInput!) { createPaymentIntent(input: $input) { clientSecret payment { id } } }`,
      { input: { idempotencyKey: 'pooled', invoiceId } },
      token,
    );
    const secret = asked.clientSecret as string;
    await app.sandbox.api('POST', `/v1/payment_intents/${secret.split('_secret_')[0]}/confirm`, {
      account: tenant.accountId,
      asBrowser: true,
      form: { client_secret: secret, payment_method: 'pm_card_visa' },
    });
    const payment = await until(async () => {
      const answer = await app.ask(
        `query ($id: UUID!) { payment(id: $id) { status net { amount } invoice { paymentStatus } } }`,
        { id: asked.payment.id },
        token,
      );
      return answer.payment.net && answer.payment;
    }, 'the fees are booked');
    expect(payment).toEqual({ status: 'SUCCEEDED', net: { amount: 9_430 }, invoice: { paymentStatus: 'PAID' } });
  });

  test('rows are looked up there, too, figures are planned as the server has it, and neither is left to the next who gets the connection', async () => {
    const pipeline = new Pipeline({ url: pooler.url, logger: silent, connections: 1 });
    const costOf = (kind: 'rows' | 'figures') =>
      askOn(pipeline, newUuid(), `select current_setting('cpu_tuple_cost')`, kind);
    expect(await costOf('rows')).toBe('100');
    expect(await costOf('figures')).toBe('0.01');
    await pipeline.stop();
    const others = await connectTo(pooler.url);
    expect((await others.query('show cpu_tuple_cost')).rows).toEqual([{ cpu_tuple_cost: '0.01' }]);
    await others.end();
  });

  test('many tenants at once, with questions that fail among them, each get their own rows', async () => {
    const tenants = await Promise.all(['INV-A', 'INV-B', 'INV-C'].map(anInvoiceOf));
    const mine = '{ invoices { nodes { number customer { name } } } }';
    const ask = async (i: number) => {
      const { token, number, invoiceId } = tenants[i % 3]!;
      const other = tenants[(i + 1) % 3]!.invoiceId;
      if (i % 5 === 0) {
        const { errors } = await app.graphql('{ invoices(after: "bm9uc2Vuc2U") { nodes { id } } }', {}, token);
        return expect(errors?.[0]?.extensions.code).toBe('BAD_USER_INPUT');
      }
      if (i % 7 === 0) {
        const found = await app.ask(
          `{ own: invoice(id: ${invoiceId}) { number } other: invoice(id: ${other}) { number } }`,
          {},
          token,
        );
        return expect(found).toEqual({ own: { number }, other: null });
      }
      const { invoices } = await app.ask(mine, {}, token);
      expect(invoices.nodes).toEqual([{ number, customer: { name: `Customer of ${number}` } }]);
    };
    for (let round = 0; round < 10; round++) await Promise.all(Array.from({ length: 60 }, (_, i) => ask(i)));
  });
});
