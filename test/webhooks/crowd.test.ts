import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { entities } from '../../mikro-orm.config.js';
import { Database } from '../../src/db/database.js';
import { ManyTenants } from '../../src/db/many-tenants.js';
import { createOrm } from '../../src/db/orm.js';
import { paymentEvents } from '../../src/features/payments/payment.events.js';
import { once } from '../../src/jobs/effects.js';
import { type AppliedMany, type EventHandler, type Reported } from '../../src/jobs/events.js';
import { type Uuid } from '../../src/shared/uuid.js';
import { Crowd } from '../../src/webhooks/crowd.js';
import { HandlerIndex } from '../../src/webhooks/handler-index.js';
import { type TenantEvent } from '../../src/webhooks/processor.js';
import { LeaseLost } from '../../src/webhooks/queue.js';
import { until } from '../support/until.js';
import { aStage, anEvent, note, silent, type Stage } from './stage.js';

// Many events at once must come to the same as one after the other, for each tenant by itself.

let stage: Stage;
let database: Database;
let manyTenants: ManyTenants;

beforeAll(async () => {
  stage = await aStage();
  database = new Database(createOrm({ url: stage.db.url, entities }), false);
  manyTenants = new ManyTenants({ url: stage.db.url, livemode: false, logger: silent });
});
afterAll(async () => {
  await manyTenants.close();
  await database.orm.close(true);
  await stage.close();
});

type Many = readonly Reported<never>[];
const handlerOf = (type: string) => (paymentEvents as Record<string, EventHandler<never>>)[type]!;

interface Tenant {
  readonly id: Uuid;
  readonly account: string;
}

/** Two invoices, of which one has two payments, and a payment without an invoice; all told of by Stripe before, and new. */
async function stock({ id, account }: Tenant): Promise<void> {
  const { db } = stage;
  await db.query(`insert into customers (tenant_id, id, name, email) values ($1, 1, 'Customer', 'c@example.com')`, [
    id,
  ]);
  await db.query(
    `insert into invoices (tenant_id, id, customer_id, number, total, currency) values ($1, 1, 1, 'I-1', 1000, 'usd'), ($1, 2, 1, 'I-2', 1500, 'usd')`,
    [id],
  );
  await db.query(
    `insert into payments (tenant_id, id, livemode, customer_id, invoice_id, stripe_account_id, stripe_payment_intent_id, amount, currency, created_at)
     select $1, gen_random_uuid(), false, 1, invoice, $2, 'pi_' || n, 1000, 'usd', now() - n * interval '1 minute'
     from (values (1, 1), (2, 2), (3, 2), (4, null)) p(n, invoice)`,
    [id, account],
  );
}

/** All that the events can change. */
async function stateOf({ id }: Tenant): Promise<unknown> {
  const payments = await stage.db.query(
    `select to_jsonb(p) - '{tenant_id,id,stripe_account_id,created_at,updated_at}'::text[] as row from payments p where tenant_id = $1 order by stripe_payment_intent_id`,
    [id],
  );
  const invoices = await stage.db.query(
    `select to_jsonb(i) - '{tenant_id,created_at,updated_at}'::text[] as row from invoices i where tenant_id = $1 order by id`,
    [id],
  );
  const commands = await stage.db.query(
    `select c.kind, p.stripe_payment_intent_id from commands c join payments p on p.tenant_id = c.tenant_id and p.id::text = c.subject_id::text
     where c.tenant_id = $1 order by 1, 2`,
    [id],
  );
  return { payments, invoices, commands };
}

function contextOf({ id, account }: Tenant, event: { id: string; created: number }) {
  const created = new Date(event.created * 1_000);
  return { tenantId: id, accountId: account, livemode: false, eventId: event.id, created, once } as never;
}

/** As the worker would: what has to be fetched, and what follows it on the same object, is left alone. */
async function oneByOne(tenant: Tenant, events: readonly ReturnType<typeof eventOf>[]): Promise<string[]> {
  const heldBack = new Set<string>();
  const left: string[] = [];
  await database.tenant(tenant.id).transaction(async (em) => {
    for (const event of events) {
      const key = event.intent;
      const context = contextOf(tenant, event);
      if (heldBack.has(key) || (await handlerOf(event.type).apply(em, event as never, context, null)) === 'fetch') {
        heldBack.add(key);
        left.push(event.id);
      }
      await em.flush();
    }
  });
  return left;
}

async function together(tenant: Tenant, events: readonly ReturnType<typeof eventOf>[]): Promise<string[]> {
  let answers: readonly AppliedMany[] = [];
  await manyTenants.run(async (transaction) => {
    const many = events.map((event) => ({ event, context: contextOf(tenant, event) })) as unknown as Many;
    answers = await handlerOf('charge.updated').applyMany!(transaction.of(tenant.id), many);
  });
  const fetch = events.filter((_, i) => answers[i] === 'fetch').map(({ id }) => id);
  const single = events.filter((_, i) => answers[i] === 'single');
  return [...fetch, ...(await oneByOne(tenant, single))];
}

interface Told {
  readonly n: number;
  readonly at: number;
  readonly what: 'processing' | 'requires_payment_method' | 'requires_action' | 'succeeded' | 'canceled' | 'charge';
  readonly refunded: number;
  readonly booked: boolean;
}

function eventOf({ n, at, what, refunded, booked }: Told, index: number) {
  const intent = `pi_${n}`;
  const base = { metadata: {}, livemode: false, currency: 'usd', amount: 1000, customer: null };
  const charge = {
    ...base,
    id: `ch_${n}`,
    object: 'charge',
    payment_intent: intent,
    status: 'succeeded',
    captured: true,
    amount_captured: 1000,
    amount_refunded: refunded,
    receipt_url: `https://receipt.test/${at}`,
    balance_transaction: booked ? 'txn_1' : null,
    created: 1_790_000_000,
  };
  const failed = what === 'requires_payment_method';
  const object = {
    ...base,
    id: intent,
    object: 'payment_intent',
    status: what,
    amount_received: what === 'succeeded' ? 1000 : 0,
    application_fee_amount: 10,
    latest_charge: what === 'succeeded' ? charge.id : null,
    last_payment_error: failed
      ? { code: 'card_declined', message: `Declined ${at}.`, payment_method: { id: `pm_${refunded}` } }
      : null,
    payment_method: failed ? null : `pm_${refunded}`,
    created: 1_790_000_000,
    canceled_at: what === 'canceled' ? 1_790_000_000 + at : null,
  };
  const isCharge = what === 'charge';
  const type = isCharge ? 'charge.updated' : failed ? 'payment_intent.payment_failed' : 'payment_intent.processing';
  return {
    id: `evt_${index}`,
    type,
    created: 1_790_000_000 + at,
    intent,
    data: { object: isCharge ? charge : object },
  };
}

const told = fc.record<Told>({
  n: fc.integer({ min: 1, max: 5 }), // the fifth is nobody's: it is adopted
  at: fc.integer({ min: 0, max: 6 }),
  what: fc.constantFrom(
    'processing',
    'requires_payment_method',
    'requires_action',
    'succeeded',
    'succeeded',
    'canceled',
    'charge',
    'charge',
  ),
  refunded: fc.constantFrom(0, 0, 400, 1000),
  booked: fc.boolean(),
});

test('many events at once end as the same events one after the other', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(told, { minLength: 1, maxLength: 14 }), async (history) => {
      const [a, b] = [(await stage.aTenant()) as Tenant, (await stage.aTenant()) as Tenant];
      await stock(a);
      await stock(b);
      // In two claims, so that the second meets what the first has made of the rows.
      const events = history.map(eventOf);
      const middle = events.length >> 1;
      const leftOf = async (way: typeof together, tenant: Tenant) => [
        ...(await way(tenant, events.slice(0, middle))),
        ...(await way(tenant, events.slice(middle))),
      ];
      const left = await leftOf(together, a);
      expect(left.sort()).toEqual((await leftOf(oneByOne, b)).sort());
      expect(await stateOf(a)).toEqual(await stateOf(b));
    }),
    { numRuns: Number(process.env.FC_RUNS ?? 60) },
  );
});

test('many tenants share a transaction, and none of them reaches the rows of another, or of the other mode', async () => {
  const tenants = await Promise.all([1, 2, 3, 4].map(() => stage.aTenant()));
  for (const tenant of tenants) await stock(tenant);
  await stage.db.query(`update payments set livemode = true where tenant_id = $1`, [tenants[3]!.id]);
  const seen = new Map<string, { tenant_id: string; livemode: boolean }[]>();
  await manyTenants.run(async (transaction) => {
    await Promise.all(
      tenants.map(async ({ id }) => {
        const rows = transaction.of(id);
        const all = `select coalesce(json_agg(p), '[]') from (select tenant_id, livemode from payments) p`;
        rows.tell(`update payments set description = 'of ' || $1`, id);
        seen.set(id, await rows.ask(all));
        seen.set(`${id} again`, await rows.ask(all));
      }),
    );
  });
  for (const [n, { id }] of tenants.entries()) {
    for (const key of [id, `${id} again`])
      expect(seen.get(key)).toEqual(Array(n < 3 ? 4 : 0).fill({ tenant_id: id, livemode: false }));
    const rows = await stage.db.query(`select distinct description from payments where tenant_id = $1`, [id]);
    expect(rows).toEqual([{ description: n < 3 ? `of ${id}` : null }]);
  }
});

test('whatever fails for one tenant undoes all of the transaction, and the connection is good for the next', async () => {
  const [a, b] = [await stage.aTenant(), await stage.aTenant()];
  for (const tenant of [a, b]) await stock(tenant);
  const change = (statement: string) =>
    manyTenants.run((transaction) => {
      transaction.of(a.id).tell(`update payments set description = $1`, 'changed');
      transaction.of(b.id).tell(statement, 'x');
      return Promise.resolve();
    });
  for (let i = 0; i < 5; i++)
    await expect(change(`update payments set amount = length($1) / 0`)).rejects.toThrow('zero');
  const descriptions = () => stage.db.query('select distinct description from payments where tenant_id = $1', [a.id]);
  expect(await descriptions()).toEqual([{ description: null }]);
  await change(`update payments set description = $1`);
  expect(await descriptions()).toEqual([{ description: 'changed' }]);
});

test('a crowd whose lease was taken over leaves no trace', async () => {
  const tenant = await stage.aTenant();
  const event = anEvent({ account: tenant.account });
  await stage.deliver(event);
  await stage.db.query(
    `insert into stripe_webhook_queue (event_id, stripe_created_at, stripe_account_id, livemode, object_key, state)
     select id, stripe_created_at, stripe_account_id, livemode, object_key, 'READY' from stripe_webhook_events where stripe_event_id = $1`,
    [event.id],
  );
  const worker = stage.aWorker({ pollMs: 60_000 });
  await worker.stop();
  const [row] = await stage.db.query<{ id: Uuid; stripe_created_at: Date }>(
    'select id, stripe_created_at from stripe_webhook_events where stripe_event_id = $1',
    [event.id],
  );
  await stage.db.query('update stripe_webhook_queue set lease_token = $1 where event_id = $2', [randomUUID(), row!.id]);
  const crowd = new Crowd(manyTenants, new HandlerIndex({ 'payment_intent.succeeded': noting }));
  const claimed = {
    ...row!,
    createdAt: row!.stripe_created_at,
    tenantId: tenant.id,
    accountId: tenant.account,
    type: event.type,
    payload: event,
    objectKey: event.data.object.id,
    livemode: false,
    stripeEventId: event.id,
  } as unknown as TenantEvent;
  await expect(crowd.process(randomUUID() as Uuid, [claimed])).rejects.toThrow(LeaseLost);
  expect(await stage.notes()).not.toContain(event.id);
});

test('an event that spoils its crowd costs only itself', async () => {
  const own = await aStage({ table: { 'payment_intent.succeeded': noting } });
  try {
    const tenants = await Promise.all([1, 2, 3].map(() => own.aTenant()));
    const events = Array.from({ length: 30 }, (_, i) => anEvent({ account: tenants[i % 3]!.account }));
    const poison = anEvent({ account: tenants[0]!.account, object: { id: 'pi_poison' } });
    await Promise.all([...events.slice(0, 15), poison, ...events.slice(15)].map((event) => own.deliver(event)));
    own.aWorker();
    await until(async () => (await own.stored(poison.id))?.status === 'DEAD', 'the poison is given up');
    for (const { id } of events) await until(async () => (await own.stored(id))?.status === 'PROCESSED', id);
    const notes = await own.notes();
    expect(notes.sort()).toEqual(events.map(({ id }) => id).sort());
    expect(await own.stored(poison.id)).toEqual({ status: 'DEAD', attempts: 3, last_error: 'INTERNAL: TypeError' });
  } finally {
    await own.close();
  }
});

/** Notes events, all at once; one of them cannot be. */
const noting: EventHandler<{ id: string; data: { object: { id: string } } }> = {
  async apply(em, event, { tenantId, livemode }) {
    if (event.data.object.id === 'pi_poison') throw new TypeError('secret detail');
    await note(em, tenantId, livemode, event.id);
    return 'done';
  },
  applyMany(rows, events) {
    for (const { event } of events) {
      if (event.data.object.id === 'pi_poison') throw new TypeError('secret detail');
      rows.tell(
        `insert into audit_log (tenant_id, livemode, actor, action, subject_type, subject_id) values ($1, false, 'stripe', 'note', 'event', $2)`,
        rows.tenantId,
        event.id,
      );
    }
    return Promise.resolve(events.map(() => 'done'));
  },
};
