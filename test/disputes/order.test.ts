import { setTimeout as sleep } from 'node:timers/promises';
import { disputeEvents } from '../../src/features/disputes/dispute.events.js';
import { paymentEvents } from '../../src/features/payments/payment.events.js';
import { refundEvents } from '../../src/features/refunds/refund.events.js';
import { type EventContext, type EventHandler } from '../../src/jobs/events.js';
import { type StripeEvent } from '../../src/stripe/types.js';
import { Commands } from '../../src/jobs/commands/commands.js';
import { aRequest, createWorld, type Facts, type TestTenant, type World } from '../payments/support/world.js';
import { until } from '../support/until.js';

// Stripe's news of refunds and disputes, in any order and twice: the rows end up the same.

let world: World;

beforeAll(async () => {
  world = await createWorld();
});
afterAll(() => world.stop());

const tables = [paymentEvents, refundEvents, disputeEvents] as Record<string, EventHandler<unknown> | undefined>[];

/** What the worker does with one event. */
async function hear({ id, accountId, db }: TestTenant, event: StripeEvent): Promise<void> {
  const context: EventContext = {
    ...{ tenantId: id, accountId, livemode: false, eventId: event.id as EventContext['eventId'] },
    created: new Date(event.created * 1_000),
    once: () => Promise.resolve(true),
  };
  const stripe = world.stripe.forAccount(accountId);
  for (const handler of tables.flatMap((table) => table[event.type] ?? [])) {
    if ((await db.transaction((em) => handler.apply(em, event, context, null))) === 'done') continue;
    const fetched = await handler.load!(event, {
      ...{ ...context, stripe, platform: world.stripe },
      commands: new Commands(db, world.stripe),
    });
    await db.transaction((em) => handler.apply(em, event, context, fetched));
  }
}

/** A number that follows from the one before, so that a failure can be repeated. */
function dice(seed: number): () => number {
  return () => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    return seed / 2 ** 32;
  };
}

function shuffled<T>(all: readonly T[], roll: () => number): T[] {
  const doubled = all.flatMap((one) => (roll() < 0.2 ? [one, one] : [one]));
  for (let last = doubled.length - 1; last > 0; last--) {
    const other = Math.floor(roll() * (last + 1));
    [doubled[last], doubled[other]] = [doubled[other]!, doubled[last]!];
  }
  return doubled;
}

async function stateOf({ id }: TestTenant): Promise<Facts> {
  const rows = (sql: string) => world.db.query<Facts>(sql, [id]);
  return {
    payments: await rows(
      `select status, amount_received, amount_refunded, refund_pending, dispute_state, net from payments where tenant_id = $1 order by amount`,
    ),
    refunds: await rows(
      `select stripe_refund_id, status, amount, failure_reason, application_fee_refunded from refunds where tenant_id = $1 order by 1`,
    ),
    disputes: await rows(
      `select stripe_dispute_id, status, submission_count, is_inquiry, funds_withdrawn, funds_reinstated, evidence_due_by from disputes
       where tenant_id = $1 order by 1`,
    ),
  };
}

test('refunds and disputes end in the same state in whatever order the news of them arrives', async () => {
  const tenant = await world.aTenant();
  const { accountId: account } = tenant;
  const customerId = await tenant.aCustomer();
  const method = {
    customerId,
    stripePaymentMethodId: 'pm_card_visa',
    setAsDefault: false,
    idempotencyKey: null,
  } as const;
  const paymentMethodId = await tenant.methods.attachPaymentMethod(method);
  const pay = (amount: number) =>
    tenant.payments.createPaymentIntent(
      aRequest({ customerId, paymentMethodId, amount, currency: 'usd', confirm: true }),
    );
  const { stripePaymentIntentId } = await pay(10_000);
  const { stripePaymentIntentId: disputed } = await pay(5_000);
  const { sandbox, db } = world;
  const give = (form: Record<string, string>) => sandbox.api<Facts>('POST', '/v1/refunds', { account, form });
  const part = (amount: number) =>
    give({ payment_intent: stripePaymentIntentId, amount: String(amount), refund_application_fee: 'true' });
  await part(1_000);
  const failing = await part(2_000);
  await sandbox.control(`/refunds/${failing.id as string}`, { status: 'failed' });
  await sleep(1_100);
  await part(3_000);
  const { latest_charge: charge } = (await tenant.intents()).find(({ id }) => id === disputed)!;
  await sandbox.control('/disputes', { charge, inquiry: true });
  const { data } = await sandbox.api<{ data: Facts[] }>('GET', '/v1/disputes', { account });
  await sandbox.control(`/disputes/${data[0]!.id as string}`, { outcome: 'escalated' });
  await sleep(1_100);
  await sandbox.control(`/disputes/${data[0]!.id as string}`, { outcome: 'won' });

  const events = await until(async () => {
    const found: StripeEvent[] = [];
    for await (const event of world.stripe.forAccount(tenant.accountId).listEvents({ since: new Date(0) }))
      if (tables.some((table) => table[event.type])) found.unshift(event);
    return found.some(({ type }) => type === 'charge.dispute.closed') && found;
  }, 'it is all over');
  expect(events.length).toBeGreaterThan(12);

  const states: [number, Facts][] = [];
  for (let seed = 0; seed < 12; seed++) {
    await db.query('delete from refunds');
    await db.query('delete from disputes');
    await db.query('delete from payments');
    for (const event of seed === 0 ? events : shuffled(events, dice(seed))) await hear(tenant, event);
    states.push([seed, await stateOf(tenant)]);
  }
  const [, inOrder] = states[0]!;
  expect(inOrder).toMatchObject({
    payments: [
      { status: 'SUCCEEDED', amount_refunded: '0', dispute_state: 'WON' },
      { status: 'SUCCEEDED', amount_refunded: '4000', refund_pending: false, dispute_state: 'NONE' },
    ],
    refunds: expect.arrayContaining([expect.objectContaining({ status: 'FAILED', amount: '2000' })]),
    disputes: [{ status: 'WON', funds_withdrawn: true, funds_reinstated: true, is_inquiry: false }],
  });
  for (const [seed, state] of states) expect([seed, state]).toEqual([seed, inOrder]);
});
