import { randomUUID } from 'node:crypto';
import { askAfter } from '../../src/features/dunning/decline-codes.js';
import { DunningGauges } from '../../src/features/dunning/dunning-gauges.js';
import { DunningStuck } from '../../src/features/dunning/dunning-stuck.js';
import { metrics } from '../../src/shared/metrics.js';
import { asUuid } from '../../src/shared/uuid.js';
import { type BillingTenant, day, type Facts, giveMethod } from '../subscriptions/support.js';
import { anInvoice, insertRow } from '../support/factories.js';
import { startApp, type TestApp } from '../support/harness.js';
import {
  aDunningTenant,
  attemptsOf,
  caseOf,
  declining,
  dunningStage,
  type FailedInvoice,
  failedRenewals,
  mailsOf,
  type Stage,
  stepsOf,
} from './stage.js';

// Against the local Stripe, with a clock that is put where it is wanted. Nothing waits for a day.

let app: TestApp;
let stage: Stage;
let tenant: BillingTenant;
let failed: FailedInvoice[];
let taken = 0;
/** Of which banks say that the card is never to be charged again. */
const hard = ['lost_card', 'stolen_card', 'expired_card'];
let declined: Record<string, FailedInvoice>;

beforeAll(async () => {
  app = await startApp({ env: { SMTP_URL: 'smtp://127.0.0.1:9', MAIL_FROM: 'billing@platform.example' } });
  stage = dunningStage(app);
  tenant = await aDunningTenant(app);
  await update({ end: 'CANCEL' });
  const soft = Array.from({ length: 8 }, () => declining);
  await app.sandbox.control('/deliveries/faults', { duplicate: 0.3, reorder_ms: 50, seed: 1 });
  const codes = [...hard, 'insufficient_funds'];
  const all = await failedRenewals(tenant, [
    ...['pm_card_authenticationRequired', ...soft],
    ...codes.map((code) => ({ declines: code })),
  ]);
  failed = all.slice(0, -codes.length);
  declined = Object.fromEntries(codes.map((code, index) => [code, all[failed.length + index]!]));
  await app.sandbox.control('/deliveries/faults', { duplicate: 0, reorder_ms: 0 });
});
afterAll(async () => {
  await stage.stop();
  await app.stop();
});

/** A failed renewal that no other test touches; nobody works on any other meanwhile. */
async function aFailure(): Promise<FailedInvoice> {
  const one = failed[(taken += 1)]!;
  await alone(one);
  return one;
}

function alone({ caseId }: FailedInvoice): Promise<unknown> {
  return app.db.query(
    `update dunning_cases set lease_until = case when id = $1 then null else now() + interval '1 hour' end where state = 'OPEN'`,
    [caseId],
  );
}

const update = (input: object) =>
  tenant.ask(
    'mutation ($input: UpdateDunningSettingsInput!) { updateDunningSettings(input: $input) { settings { retries retryDays end emails } } }',
    { input },
  );
const stop =
  'mutation ($caseId: UUID!) { stopDunning(input: { caseId: $caseId }) { dunningCase { state stopReason nextAt } } }';
const retryNow = `mutation ($caseId: UUID!, $key: String!) { retryDunningNow(input: { caseId: $caseId, idempotencyKey: $key }) {
  dunningCase { id steps { number kind outcome } } } }`;
const timeline = `query ($id: Int!) { invoice(id: $id) { dunning { state nextAt stopReason end amount { amount currency } customer { id } failures failingSince
  steps { number kind outcome declineCode mailed at } } } }`;

test('a renewal that fails gets one case, in whatever order and however often Stripe tells of it', async () => {
  const cases = await tenant.rows('select invoice_id from dunning_cases where tenant_id = $1');
  const count = failed.length + Object.keys(declined).length;
  expect(new Set(cases.map(({ invoice_id }) => invoice_id as number)).size).toBe(count);
  expect(cases).toHaveLength(count);
});

test('a soft decline is tried again on its days, each try is told once, and then comes the chosen end', async () => {
  const invoice = await aFailure();
  for (const days of [0, 0, 1, 1, 2, 3, 5]) await stage.onDay(invoice, days);
  expect(await stepsOf(tenant, invoice)).toEqual([
    '0 NOTICE DONE',
    ...['1 RETRY DECLINED', '2 RETRY DECLINED', '3 RETRY DECLINED', '4 RETRY PLANNED'],
    '5 END PLANNED',
  ]);
  const { dunning } = (await tenant.ask(timeline, { id: invoice.invoiceId })).invoice;
  expect(dunning).toMatchObject({
    state: 'OPEN',
    end: 'CANCEL',
    amount: { amount: 5_000 },
    nextAt: dunning.steps[4].at,
  });
  expect(dunning.steps[1]).toMatchObject({ outcome: 'DECLINED', declineCode: 'generic_decline', mailed: true });
  await stage.onDay(invoice, 7);
  await tenant.settled();
  expect(await caseOf(tenant, invoice)).toMatchObject({ state: 'LOST', stop_reason: null, next_at: null });
  // The first failure, and four tries of ours.
  expect(await attemptsOf(tenant, invoice)).toHaveLength(5);
  const mails = await mailsOf(tenant, invoice);
  expect(mails.map(({ step }) => step as number)).toEqual([0, 1, 2, 3, 5]);
  // The notice before the last try says what will be; the last notice what has been.
  expect(mails.map(({ data }) => [data.isLastRetry, data.isOver])).toEqual([
    ...[0, 1, 2].map(() => [false, false]),
    [true, false],
    [false, true],
  ]);
  expect(mails[4]!.data).toMatchObject({ end: 'CANCEL', payUrl: expect.stringContaining('/pay/') });
  expect((await tenant.stripe<Facts>('GET', `/subscriptions/${invoice.stripeId}`)).status).toBe('canceled');
  expect((await tenant.stripe<Facts>('GET', `/invoices/${invoice.stripeInvoiceId}`)).status).toBe('open');
});

test('what no retry mends is not tried again: another method is asked for, and tried as soon as it is there', async () => {
  const invoice = failed[0]!;
  await alone(invoice);
  await stage.onDay(invoice, 0);
  await stage.onDay(invoice, 1);
  expect((await stepsOf(tenant, invoice)).slice(0, 2)).toEqual(['0 NOTICE DONE', '1 RETRY METHOD_NEEDED']);
  expect(await attemptsOf(tenant, invoice)).toHaveLength(0);
  expect((await mailsOf(tenant, invoice)).map(({ data }) => data.ask as string)).toEqual([
    'CONFIRMATION',
    'CONFIRMATION',
  ]);
  const method = await giveMethod(tenant, invoice.customer.stripeId, 'pm_card_visa');
  await tenant.stripe('POST', `/subscriptions/${invoice.stripeId}`, { default_payment_method: method });
  await tenant.settled();
  await stage.find(invoice, 1.5);
  await stage.onDay(invoice, 1.5);
  await tenant.settled();
  expect((await stepsOf(tenant, invoice)).slice(2, 4)).toEqual(['2 RETRY PAID', '3 RETRY SKIPPED']);
  expect(await caseOf(tenant, invoice)).toMatchObject({ state: 'RECOVERED', next_at: null });
  expect(await attemptsOf(tenant, invoice)).toMatchObject([{ status: 'succeeded' }]);
  expect(
    (await tenant.rows('select status from invoices where tenant_id = $1 and id = $2', invoice.invoiceId))[0],
  ).toEqual({
    status: 'PAID',
  });
});

test.each(hard)('a card that is declined for good (%s) is not charged again, only replaced', async (code) => {
  const invoice = declined[code]!;
  await alone(invoice);
  for (const days of [0, 1, 3]) await stage.onDay(invoice, days);
  expect((await stepsOf(tenant, invoice)).slice(0, 4)).toEqual([
    '0 NOTICE DONE',
    ...['1 RETRY METHOD_NEEDED', '2 RETRY METHOD_NEEDED', '3 RETRY PLANNED'],
  ]);
  expect(await attemptsOf(tenant, invoice)).toHaveLength(1);
  expect(await caseOf(tenant, invoice)).toMatchObject({ decline_code: code, blocked_method: invoice.method });
  expect((await mailsOf(tenant, invoice)).map(({ data }) => data.ask as string)).toEqual(Array(3).fill('METHOD'));
});

test('an empty account is tried again until there is money on it, or until the card turns out to be lost', async () => {
  const invoice = declined.insufficient_funds!;
  await alone(invoice);
  for (const days of [0, 1]) await stage.onDay(invoice, days);
  expect(await attemptsOf(tenant, invoice)).toHaveLength(2);
  await tenant.declines(invoice.method, 'lost_card');
  for (const days of [3, 5]) await stage.onDay(invoice, days);
  expect((await stepsOf(tenant, invoice)).slice(1, 4)).toEqual([
    ...['1 RETRY DECLINED', '2 RETRY DECLINED', '3 RETRY METHOD_NEEDED'],
  ]);
  expect(await attemptsOf(tenant, invoice)).toHaveLength(3);
  expect((await mailsOf(tenant, invoice)).map(({ data }) => data.ask as string | null)).toEqual([
    ...[null, null, 'METHOD', 'METHOD'],
  ]);
  // Another card is there, and empty as well.
  const method = await giveMethod(tenant, invoice.customer.stripeId, 'pm_card_visa');
  await tenant.declines(method, 'insufficient_funds');
  await tenant.stripe('POST', `/subscriptions/${invoice.stripeId}`, { default_payment_method: method });
  await tenant.settled();
  await stage.find(invoice, 5.5);
  await stage.onDay(invoice, 5.5);
  expect((await stepsOf(tenant, invoice))[4]).toBe('4 RETRY DECLINED');
  expect(await attemptsOf(tenant, invoice)).toHaveLength(4);
});

test('what the payer tried by hand with another card does not free the one that is lost', async () => {
  const invoice = declined.lost_card!;
  await alone(invoice);
  // As after a soft decline on the pay page: the last failure that is known is not that of the saved card.
  await app.db.query(
    `update payments set failure_code = 'card_declined', failure_decline_code = 'insufficient_funds', updated_at = now() where invoice_id = $1`,
    [invoice.invoiceId],
  );
  await stage.onDay(invoice, 5);
  expect((await stepsOf(tenant, invoice))[3]).toBe('3 RETRY METHOD_NEEDED');
  expect(await caseOf(tenant, invoice)).toMatchObject({ decline_code: 'lost_card', blocked_method: invoice.method });
  expect((await mailsOf(tenant, invoice)).at(-1)!.data.ask).toBe('METHOD');
});

test('a step that cannot be carried out is tried again later each time, shows, and keeps no other case waiting', async () => {
  const [poisoned, other] = [declined.stolen_card!, declined.expired_card!];
  await alone(poisoned);
  await app.db.query('update dunning_cases set lease_until = null where id = $1', [other.caseId]);
  const minutes = (count: number) => stage.onDay(poisoned, 5.01 + count / 1_440);
  const stuck = () => new DunningStuck({ database: stage.database }).run();
  await app.db.query(
    `create function poison() returns trigger language plpgsql as $$ begin raise exception 'poisoned'; end $$;
     create trigger poison before update on dunning_steps for each row when (old.case_id = '${poisoned.caseId}') execute function poison()`,
  );
  try {
    await minutes(0);
    expect((await stepsOf(tenant, other))[3]).toBe('3 RETRY METHOD_NEEDED');
    expect((await stepsOf(tenant, poisoned))[3]).toBe('3 RETRY PLANNED');
    // When it is tried, and how often it has failed by then: after 5 minutes, 10 more, 20 more.
    for (const [at, failures] of [
      [4, 1],
      [6, 2],
      [15, 2],
      [17, 3],
      [36, 3],
    ] as const) {
      await minutes(at);
      expect(await caseOf(tenant, poisoned)).toMatchObject({ failures, state: 'OPEN' });
    }
    await expect(stuck()).rejects.toThrow(
      `1 cases of 1 tenants cannot be carried on, for the longest time ${poisoned.caseId}`,
    );
    await new DunningGauges({ database: stage.database, logger: stage.logger }).measure();
    expect(await metrics.metrics()).toContain('dunning_stuck_cases 1\n');
    const { dunning } = (await tenant.ask(timeline, { id: poisoned.invoiceId })).invoice;
    expect(dunning).toMatchObject({ failures: 3, failingSince: expect.any(String) });
    await app.db.query('update dunning_cases set failures = 30 where id = $1', [poisoned.caseId]);
    await minutes(38);
    const { next_at: next } = await caseOf(tenant, poisoned);
    expect(+(next as Date) - +poisoned.openedAt - 5.01 * day * 1_000).toBeLessThan((38 + 361) * 60_000);
  } finally {
    await app.db.query('drop function poison cascade');
  }
  await minutes(400);
  expect((await stepsOf(tenant, poisoned))[3]).toBe('3 RETRY METHOD_NEEDED');
  expect(await caseOf(tenant, poisoned)).toMatchObject({ failures: 0, failing_since: null });
  await expect(stuck()).resolves.toBeUndefined();
});

test('an invoice that is paid in another way is neither tried nor mailed about again', async () => {
  const invoice = await aFailure();
  await stage.onDay(invoice, 0);
  await tenant.stripe('POST', `/invoices/${invoice.stripeInvoiceId}/pay`, { paid_out_of_band: 'true' });
  await tenant.settled();
  expect(await caseOf(tenant, invoice)).toMatchObject({ state: 'RECOVERED', next_at: null });
  await stage.onDay(invoice, 1);
  expect(await attemptsOf(tenant, invoice)).toHaveLength(1);
  // What was waiting to be sent is taken back; what was being sent at that moment is not.
  expect(await mailsOf(tenant, invoice)).toHaveLength(1);
  expect((await stepsOf(tenant, invoice)).slice(1)).toEqual([
    ...['1 RETRY SKIPPED', '2 RETRY SKIPPED', '3 RETRY SKIPPED', '4 RETRY SKIPPED'],
    '5 END SKIPPED',
  ]);
});

test('right before a try it is looked whether there is still reason for it, though no event has said otherwise', async () => {
  const invoice = await aFailure();
  await stage.onDay(invoice, 0);
  const { invoiceId, id: subscription, customer } = invoice;
  const reasons: [reason: string, set: string, unset: string, id: unknown][] = [
    [
      'VOIDED',
      `update invoices set status = 'VOID' where id = $1`,
      `update invoices set status = 'OPEN' where id = $1`,
      invoiceId,
    ],
    [
      'WRITTEN_OFF',
      `update invoices set status = 'UNCOLLECTIBLE' where id = $1`,
      `update invoices set status = 'OPEN' where id = $1`,
      invoiceId,
    ],
    [
      'CREDITED',
      `update invoices set amount_credited = total where id = $1`,
      `update invoices set amount_credited = 0 where id = $1`,
      invoiceId,
    ],
    [
      'SUBSCRIPTION_ENDED',
      `update stripe_subscriptions set status = 'CANCELED', ended_at = now() where id = $1`,
      `update stripe_subscriptions set status = 'PAST_DUE', ended_at = null where id = $1`,
      subscription,
    ],
    [
      'CUSTOMER_DELETED',
      'update stripe_customers set deleted_at = now() where customer_id = $1',
      'update stripe_customers set deleted_at = null where customer_id = $1',
      customer.id,
    ],
    [
      'ACCOUNT_DISCONNECTED',
      'update stripe_config set disconnected_at = now() where tenant_id = $1',
      'update stripe_config set disconnected_at = null where tenant_id = $1',
      tenant.id,
    ],
  ];
  for (const [reason, set, unset, id] of reasons) {
    await app.db.query(set, [id]);
    await stage.onDay(invoice, 1);
    expect(await caseOf(tenant, invoice)).toMatchObject({ state: 'STOPPED', stop_reason: reason });
    await app.db.query(unset, [id]);
    await app.db.query(
      `update dunning_cases set state = 'OPEN', stop_reason = null, closed_at = null, next_at = opened_at where id = $1`,
      [invoice.caseId],
    );
    await app.db.query(
      `update dunning_steps set outcome = 'PLANNED', done_at = null where case_id = $1 and number > 0`,
      [invoice.caseId],
    );
  }
  expect(await attemptsOf(tenant, invoice)).toHaveLength(1);
  expect(await mailsOf(tenant, invoice)).toHaveLength(1);
  // And when there is, it is tried: so the above was not for another reason.
  await stage.onDay(invoice, 1);
  expect(await attemptsOf(tenant, invoice)).toHaveLength(2);
});

test('after a standstill one try is made up for, and the next keeps its own distance', async () => {
  const invoice = await aFailure();
  await stage.onDay(invoice, 0);
  await stage.onDay(invoice, 4);
  await stage.run();
  expect((await stepsOf(tenant, invoice)).slice(1, 4)).toEqual([
    '1 RETRY DECLINED',
    '2 RETRY PLANNED',
    '3 RETRY PLANNED',
  ]);
  expect(await attemptsOf(tenant, invoice)).toHaveLength(2);
  const steps = await tenant.rows(
    'select at from dunning_steps where tenant_id = $1 and case_id = $2 order by number',
    invoice.caseId,
  );
  const days = steps.map(({ at }) => Math.round((+(at as Date) - +invoice.openedAt) / day / 1_000));
  expect(days).toEqual([0, 1, 6, 8, 10, 10]);
});

test('while money is on its way, or the bank questions a payment of the invoice, nothing is tried and nobody is told', async () => {
  const invoice = await aFailure();
  await stage.onDay(invoice, 0);
  const [payment] = await tenant.rows(
    'select id, stripe_account_id from payments where tenant_id = $1 and invoice_id = $2',
    invoice.invoiceId,
  );
  await app.db.query(`update payments set status = 'PROCESSING' where id = $1`, [payment!.id]);
  await stage.onDay(invoice, 1);
  await app.db.query(`update payments set status = 'FAILED' where id = $1`, [payment!.id]);
  await insertRow(app.db, 'disputes', {
    ...{
      tenant_id: tenant.id,
      livemode: false,
      payment_id: payment!.id,
      stripe_account_id: payment!.stripe_account_id,
    },
    ...{
      stripe_dispute_id: 'dp_1',
      stripe_charge_id: 'ch_1',
      amount: 1_000,
      currency: 'usd',
      status: 'NEEDS_RESPONSE',
    },
    ...{ reason: 'fraudulent', is_inquiry: false, charge_refundable: false, stripe_created_at: new Date() },
  });
  await stage.onDay(invoice, 1.5);
  expect((await stepsOf(tenant, invoice))[1]).toBe('1 RETRY PLANNED');
  expect(await mailsOf(tenant, invoice)).toHaveLength(1);
  await app.db.query(`update disputes set status = 'WON', closed_at = now() where payment_id = $1`, [payment!.id]);
  await stage.onDay(invoice, 3);
  expect((await stepsOf(tenant, invoice))[1]).toBe('1 RETRY DECLINED');
  expect(await attemptsOf(tenant, invoice)).toHaveLength(2);
});

test('several workers at once try once, and tell once', async () => {
  const invoice = await aFailure();
  await stage.onDay(invoice, 0);
  const others = [stage.otherRounds(), stage.otherRounds()];
  const { signal } = new AbortController();
  await Promise.all([
    stage.onDay(invoice, 1),
    ...others.flatMap((rounds) => [rounds.run({ signal }), rounds.run({ signal })]),
  ]);
  expect((await stepsOf(tenant, invoice))[1]).toBe('1 RETRY DECLINED');
  expect(await attemptsOf(tenant, invoice)).toHaveLength(2);
  expect(await mailsOf(tenant, invoice)).toHaveLength(2);
});

test('somebody who lost a case to another worker writes nothing, and the step is still tried once', async () => {
  const invoice = await aFailure();
  await stage.onDay(invoice, 0);
  // Each statement of the worker meets a lease that is gone by then: another one has taken over.
  const steal = `create function steal() returns trigger language plpgsql as $$ begin
    if new.outcome = 'RUNNING' then update dunning_cases set lease_token = gen_random_uuid(), lease_until = now() - interval '1 second' where id = new.case_id; end if;
    return null; end $$`;
  await app.db.query(steal);
  await app.db.query('create trigger steal after update on dunning_steps for each row execute function steal()');
  const [other] = [stage.otherRounds()];
  try {
    await stage.onDay(invoice, 1, { once: true });
  } finally {
    await app.db.query('drop function steal cascade');
  }
  expect((await stepsOf(tenant, invoice))[1]).toBe('1 RETRY RUNNING');
  await other.run({ signal: new AbortController().signal });
  expect((await stepsOf(tenant, invoice))[1]).toBe('1 RETRY DECLINED');
  expect(await attemptsOf(tenant, invoice)).toHaveLength(2);
  expect(await mailsOf(tenant, invoice)).toHaveLength(2);
});

test('a retry that is asked for by hand is made once for its key, and a case that is stopped stays so', async () => {
  const invoice = await aFailure();
  const { caseId } = invoice;
  await stage.onDay(invoice, 0);
  const key = randomUUID();
  await tenant.ask(retryNow, { caseId, key });
  await tenant.ask(retryNow, { caseId, key });
  expect(await tenant.refusal(retryNow, { caseId, key: randomUUID() })).toBe('CONFLICT');
  expect(await tenant.refusal(retryNow, { caseId: failed[0]!.caseId, key })).toBe('IDEMPOTENCY_CONFLICT');
  await stage.onDay(invoice, 0.5);
  await tenant.ask(retryNow, { caseId, key });
  await stage.onDay(invoice, 0.6);
  expect(await stepsOf(tenant, invoice)).toContain('1000 RETRY DECLINED');
  expect(await attemptsOf(tenant, invoice)).toHaveLength(2);

  const { dunningCase } = (await tenant.ask(stop, { caseId })).stopDunning;
  expect(dunningCase).toEqual({ state: 'STOPPED', stopReason: 'MANUAL', nextAt: null });
  await tenant.ask(stop, { caseId });
  expect(await tenant.refusal(retryNow, { caseId, key: randomUUID() })).toBe('INVALID_STATE');
  expect(await tenant.refusal(stop, { caseId: failed[0]!.caseId })).toBe('INVALID_STATE');
  expect(await tenant.refusal(stop, { caseId: randomUUID() })).toBe('NOT_FOUND');
  await stage.find(invoice, 1);
  await stage.onDay(invoice, 1);
  expect(await attemptsOf(tenant, invoice)).toHaveLength(2);
  const audited = await tenant.rows(
    'select action from audit_log where tenant_id = $1 and subject_id = $2 order by id',
    caseId,
  );
  expect(audited.map(({ action }) => action as string)).toEqual(['dunning.retry-now', 'dunning.retry', 'dunning.stop']);

  const list = `query ($filter: DunningCaseFilter) { dunningCases(filter: $filter) { nodes { id state invoice { id } } } }`;
  const { dunningCases } = await tenant.ask(list, { filter: { state: ['STOPPED'], customerId: invoice.customer.id } });
  expect(dunningCases.nodes).toEqual([{ id: caseId, state: 'STOPPED', invoice: { id: invoice.invoiceId } }]);
});

test('an invoice that could not be charged to a saved method is found, and tried with the method that the customer has by then', async () => {
  const customer = await tenant.aCustomer(declining);
  await tenant.settled();
  const { id: invoiceId } = await anInvoice(app.db, { tenantId: asUuid(tenant.id), customerId: customer.id });
  const [saved] = await tenant.rows(
    'select id from payment_methods where tenant_id = $1 and customer_id = $2',
    customer.id,
  );
  const input = {
    idempotencyKey: randomUUID(),
    invoiceId,
    paymentMethodId: saved!.id,
    confirm: true,
    offSession: true,
  };
  const pay = 'mutation ($input: CreatePaymentIntentInput!) { createPaymentIntent(input: $input) { payment { id } } }';
  expect(await tenant.refusal(pay, { input })).toBe('CARD_DECLINED');
  // As the pay page does when it is opened; nothing is tried by that.
  await tenant.ask(pay, { input: { idempotencyKey: randomUUID(), invoiceId } });
  await tenant.settled();
  await stage.search.run({ signal: new AbortController().signal });
  await stage.search.run({ signal: new AbortController().signal });
  const [row] = await tenant.rows('select * from dunning_cases where tenant_id = $1 and invoice_id = $2', invoiceId);
  const invoice = { caseId: row!.id, openedAt: row!.opened_at, invoiceId, customer } as FailedInvoice;
  await alone(invoice);
  await stage.onDay(invoice, 0);
  await stage.onDay(invoice, 1);
  expect((await stepsOf(tenant, invoice)).slice(0, 2)).toEqual(['0 NOTICE DONE', '1 RETRY DECLINED']);
  await app.db.query(
    `update payment_methods set stripe_mandate_id = 'mandate_gone', mandate_status = 'INACTIVE' where id = $1`,
    [saved!.id],
  );
  await stage.onDay(invoice, 3);
  expect((await stepsOf(tenant, invoice))[2]).toBe('2 RETRY REFUSED');
  expect((await mailsOf(tenant, invoice)).at(-1)).toMatchObject({ step: 2, data: { ask: 'METHOD' } });
  const attach =
    'mutation ($input: AttachPaymentMethodInput!) { attachPaymentMethod(input: $input) { paymentMethod { id } } }';
  await tenant.ask(attach, {
    input: { customerId: customer.id, stripePaymentMethodId: 'pm_card_visa', setAsDefault: true },
  });
  await tenant.settled();
  await stage.onDay(invoice, 5);
  await tenant.settled();
  expect((await stepsOf(tenant, invoice))[3]).toBe('3 RETRY PAID');
  expect(await caseOf(tenant, invoice)).toMatchObject({ state: 'RECOVERED', subscription_id: null });
  const { data } = await tenant.stripe<{ data: Facts[] }>('GET', `/charges?customer=${customer.stripeId}&limit=100`);
  expect(data.map(({ status }) => status as string)).toEqual(['succeeded', 'failed', 'failed']);
});

test('settings are checked, and say which field is wrong', async () => {
  const mutation =
    'mutation ($input: UpdateDunningSettingsInput!) { updateDunningSettings(input: $input) { settings { end } } }';
  for (const retryDays of [[], [0], [61], [3, 3], [5, 1], [1, 2, 3, 4, 5, 6, 7, 8, 9]]) {
    const { errors } = await app.graphql(mutation, { input: { retryDays } }, tenant.token);
    expect(errors?.[0]?.extensions).toMatchObject({ code: 'BAD_USER_INPUT', field: 'input.retryDays' });
  }
  const other = await app.aConnectedTenant();
  const { dunningSettings } = await app.ask(
    '{ dunningSettings { retries retryDays end emails } }',
    {},
    await app.token(other),
  );
  expect(dunningSettings).toEqual({ retries: 'OURS', retryDays: [1, 3, 5, 7], end: 'LEAVE', emails: true });
  const { settings } = (await update({ retryDays: [2, 4], emails: false })).updateDunningSettings;
  expect(settings).toEqual({ retries: 'OURS', retryDays: [2, 4], end: 'CANCEL', emails: false });
  const audited = await tenant.rows(
    `select details from audit_log where tenant_id = $1 and action = 'dunning-settings.update' order by id`,
  );
  expect(audited.at(-1)).toEqual({ details: { retryDays: [2, 4], emails: false } });
});

test('which declines are not tried again is a table', () => {
  expect(['lost_card', 'stolen_card', 'expired_card', 'pickup_card'].map(askAfter)).toEqual([
    'METHOD',
    'METHOD',
    'METHOD',
    'METHOD',
  ]);
  expect(askAfter('authentication_required')).toBe('CONFIRMATION');
  expect(['insufficient_funds', 'generic_decline', 'do_not_honor', 'something_new', null].map(askAfter)).toEqual(
    Array(5).fill(null),
  );
});
