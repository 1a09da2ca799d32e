import { DunningGauges } from '../../src/features/dunning/dunning-gauges.js';
import { metrics } from '../../src/shared/metrics.js';
import { type BillingTenant, day, type Facts } from '../subscriptions/support.js';
import { startApp, type TestApp } from '../support/harness.js';
import {
  attemptsOf,
  caseOf,
  aDunningTenant,
  declining,
  dunningStage,
  type FailedInvoice,
  failedRenewals,
  mailsOf,
  type Stage,
  stepsOf,
} from './stage.js';

// A tenant who leaves retries to Stripe: mails and timeline are ours, and nothing is done twice.

let app: TestApp;
let stage: Stage;
let tenant: BillingTenant;
let invoice: FailedInvoice;

beforeAll(async () => {
  app = await startApp({ env: { SMTP_URL: 'smtp://127.0.0.1:9', MAIL_FROM: 'billing@platform.example' } });
  stage = dunningStage(app);
  tenant = await aDunningTenant(app);
  // The end that is set here is Stripe's business, too.
  await app.db.query(
    `insert into dunning_settings (tenant_id, livemode, retries, at_end) values ($1, false, 'STRIPE', 'UNPAID')`,
    [tenant.id],
  );
  await app.sandbox.control('/billing', { retry_days: [3, 5], after_retries: 'cancel' });
  const [failed] = await failedRenewals(tenant, [declining]);
  invoice = failed!;
});
afterAll(async () => {
  await stage.stop();
  await app.stop();
});

test("each of Stripe's failures is told once, its giving up is the end, and nothing is tried or ended by us", async () => {
  await stage.onDay(invoice, 0.01);
  await stage.onDay(invoice, 1);
  expect(await stepsOf(tenant, invoice)).toEqual(['1 NOTICE DONE']);
  expect(await caseOf(tenant, invoice)).toMatchObject({ state: 'OPEN', next_at: null });
  expect(await attemptsOf(tenant, invoice)).toHaveLength(1);

  await app.sandbox.control('/deliveries/faults', { duplicate: 0.5, reorder_ms: 50, seed: 2 });
  await tenant.advance(3 * day + 3_600);
  await stage.find(invoice, 3);
  await stage.onDay(invoice, 3.1);
  expect(await stepsOf(tenant, invoice)).toEqual(['1 NOTICE DONE', '2 NOTICE DONE']);

  await tenant.advance(5 * day + 3_600);
  await stage.find(invoice, 8);
  await stage.onDay(invoice, 8.1);
  await tenant.settled();
  expect(await stepsOf(tenant, invoice)).toEqual(['1 NOTICE DONE', '2 NOTICE DONE', '999 END DONE']);
  expect(await caseOf(tenant, invoice)).toMatchObject({ state: 'LOST', stop_reason: null, next_at: null });
  expect(await attemptsOf(tenant, invoice)).toHaveLength(3);
  const mails = await mailsOf(tenant, invoice);
  expect(mails.map(({ data }) => [data.isOver, data.end, data.retryAt])).toEqual([
    ...[1, 2].map(() => [false, null, null]),
    [true, null, null],
  ]);
  const subscription = await tenant.stripe<Facts>('GET', `/subscriptions/${invoice.stripeId}`);
  expect([subscription.status, subscription.pause_collection]).toEqual(['canceled', null]);
  const commands = await tenant.rows(
    `select kind from commands where tenant_id = $1 and (kind like 'dunning.%' or kind like 'subscriptions.dunning-%')`,
  );
  expect(commands).toEqual([]);
});

test('the metrics show how many are open, and what was lost', async () => {
  await new DunningGauges({ database: stage.database, logger: stage.logger }).measure();
  const shown = await metrics.metrics();
  expect(shown).toContain('dunning_cases{state="LOST"} 1\n');
  expect(shown).toContain('dunning_amount{state="LOST",currency="usd"} 5000\n');
  expect(shown).toContain('dunning_late_seconds 0\n');
});
