import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { root } from '../../dev/local-directory.js';
import { DriftService } from '../../src/features/drift/drift.service.js';
import { startApp, type TestApp } from '../support/harness.js';
import { aCustomer } from '../support/factories.js';
import { atRest } from '../support/sandbox.js';
import { partsOn, type Parts } from '../webhooks/parts.js';

// Invoices, refunds, disputes and payouts, of which no webhook ever told: nobody works on events here.

let app: TestApp;
let parts: Parts;
let tenant: Awaited<ReturnType<TestApp['aConnectedTenant']>>;

beforeAll(async () => {
  app = await startApp({ env: { PROCESS_ROLE: 'api' } });
  parts = partsOn(app.db, app.sandbox);
  tenant = await app.aConnectedTenant();
});
afterAll(async () => {
  await parts?.close();
  await app?.stop();
});

const drift = (dryRun: boolean) =>
  new DriftService({
    ...parts,
    db: parts.database.tenant(tenant.id),
    actor: 'test',
    callsPerSecond: 1_000,
    settleMs: 0,
  }).run({ dryRun, days: 7 });

async function call<T = { id: string }>(path: string, form: Record<string, string> = {}): Promise<T> {
  return app.sandbox.api<T>('POST', path, { account: tenant.accountId, form });
}

const pay = (amount: string, method = 'pm_card_visa') =>
  call<{ id: string; latest_charge: string }>('/v1/payment_intents', {
    amount,
    currency: 'usd',
    payment_method: method,
    confirm: 'true',
    return_url: 'https://psa.test',
  });

/** A subscription whose first invoice waits for its payer. @returns Stripe's id of the invoice */
async function anOpenInvoice(): Promise<string> {
  const customer = await aCustomer(app.db, { tenantId: tenant.id });
  const { id: cus } = await call('/v1/customers', { name: 'Payer' });
  await app.db.query(
    'insert into stripe_customers (tenant_id, livemode, customer_id, stripe_account_id, stripe_customer_id) values ($1, false, $2, $3, $4)',
    [tenant.id, customer.id, tenant.accountId, cus],
  );
  const { id: product } = await call('/v1/products', { name: 'Seats' });
  const price = { unit_amount: '700', currency: 'usd', 'recurring[interval]': 'month', product };
  const { id: priceId } = await call('/v1/prices', price);
  const terms = { customer: cus, 'items[0][price]': priceId, payment_behavior: 'default_incomplete' };
  return (await call<{ latest_invoice: string }>('/v1/subscriptions', terms)).latest_invoice;
}

/** The commands a person types, on this app's database. */
async function reconcile(...args: string[]): Promise<{ code: number; out: string }> {
  const child = spawn(
    process.execPath,
    [join(root, 'dist/bin/reconcile.js'), '--tenant', tenant.id, '--settle', '0', ...args],
    {
      env: { PATH: process.env.PATH, ...app.env },
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  let out = '';
  child.stdout.on('data', (chunk) => (out += String(chunk)));
  const [code] = (await once(child, 'close')) as [number];
  return { code, out };
}

test('an invoice, a refund, a dispute and a payout that never arrived are found, and brought in', async () => {
  const [refunded, disputed] = [await pay('5000'), await pay('7000')];
  await pay('90000', 'pm_card_bypassPending');
  await atRest(app.sandbox);
  const [invoice, refund, dispute, payout] = [
    await anOpenInvoice(),
    (await call('/v1/refunds', { payment_intent: refunded.id, amount: '1200' })).id,
    (await app.sandbox.control<{ id: string }>('/disputes', { charge: disputed.latest_charge })).id,
    (await call('/v1/payouts', { amount: '10000', currency: 'usd' })).id,
  ];
  await atRest(app.sandbox);
  const missing = { kind: 'MISSING_HERE', field: null, repaired: true };
  const found = await drift(false);
  expect(found.problem).toBeNull();
  expect(found.differences).toEqual(
    expect.arrayContaining(
      Object.entries({ invoice, refund, dispute, payout }).map(([object, stripeId]) =>
        expect.objectContaining({ ...missing, object, stripeId }),
      ),
    ),
  );
  expect((await drift(true)).differences).toEqual([]);
  const [payment] = await app.db.query(
    `select p.status, i.status as invoice from payments p join invoices i on i.id = p.invoice_id and i.tenant_id = p.tenant_id
     join stripe_invoices c on c.invoice_id = i.id and c.tenant_id = i.tenant_id where c.stripe_invoice_id = $1`,
    [invoice],
  );
  expect(payment).toEqual({ status: 'PENDING', invoice: 'OPEN' });
});

test('each of them that came to differ is named with both values, and put right', async () => {
  await app.db.query(`update invoices set total = total + 1 where subscription_id is not null`);
  await app.db.query(`update refunds set status = 'PENDING'`);
  await app.db.query(`update disputes set reason = 'duplicate', evidence_due_by = now()`);
  await app.db.query(`update payouts set status = 'CANCELED'`);
  const seen = (await drift(true)).differences;
  const named = seen.map(({ object, kind, field, repaired }) => [object, kind, field, repaired]).sort();
  expect(named).toEqual(
    [
      ['invoice', 'DIFFERENT', 'total', false],
      ['refund', 'DIFFERENT', 'status', false],
      ['dispute', 'DIFFERENT', 'reason', false],
      ['dispute', 'DIFFERENT', 'evidenceDueBy', false],
      ['payout', 'DIFFERENT', 'status', false],
    ].sort(),
  );
  expect(seen.find(({ object }) => object === 'invoice')).toMatchObject({ ours: '701', stripes: '700' });

  const looked = await reconcile();
  expect([looked.code, looked.out]).toEqual([3, expect.stringContaining('5 differences, 0 repaired')]);
  const mended = await reconcile('--repair');
  expect([mended.code, mended.out]).toEqual([0, expect.stringContaining('5 differences, 5 repaired')]);
  expect((await drift(true)).differences).toEqual([]);
});

test('what Stripe does not know is missing there, and no repair makes it up', async () => {
  const ids = { refund: 're_nobody', dispute: 'du_nobody', payout: 'po_nobody', invoice: 'in_nobody' };
  await app.db.query(`update refunds set stripe_refund_id = $1`, [ids.refund]);
  await app.db.query(`update disputes set stripe_dispute_id = $1`, [ids.dispute]);
  await app.db.query(`update payouts set stripe_payout_id = $1`, [ids.payout]);
  await app.db.query(`update stripe_invoices set stripe_invoice_id = $1`, [ids.invoice]);
  const { differences } = await drift(false);
  for (const [object, stripeId] of Object.entries(ids))
    expect(differences).toContainEqual(
      expect.objectContaining({ object, stripeId, kind: 'MISSING_AT_STRIPE', repaired: false }),
    );
});
