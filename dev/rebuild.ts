import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { entities } from '../mikro-orm.config.js';
import { Database } from '../src/db/database.js';
import { grantRuntimeRoles } from '../src/db/grants.js';
import { migrateUp } from '../src/db/migrator.js';
import { createOrm } from '../src/db/orm.js';
import { booksOf, importBookings } from '../src/features/ledger/bookkeeping.js';
import { payoutStep } from '../src/features/payouts/payout-books.js';
import { systemClock } from '../src/shared/clock.js';
import { type Logger } from '../src/shared/logger.js';
import { type Uuid } from '../src/shared/uuid.js';
import { type StripeService } from '../src/stripe/stripe.service.js';
import { type AccountId } from '../src/stripe/types.js';
import { handlers } from '../src/webhooks/handlers.js';
import { Worker } from '../src/webhooks/worker.js';
import { urlFor, withClient } from './database.js';
import { stateOf } from './state-hash.js';

// Builds what Stripe's events make of the tables once more, from nothing but the log of events, in another order.

export interface RebuildSettings {
  /** A role that sees all rows and may create databases: the log is read with it, and the second database made. */
  readonly adminUrl: string;
  /** The server's login role; the events are processed with its rights. */
  readonly runtimeUrl: string;
  readonly livemode: boolean;
  /** Handlers that cannot tell an order by stamps read the object from here, as ever. Nothing is changed at Stripe. */
  readonly stripe: StripeService;
  readonly seed: number;
  readonly logger: Logger;
  readonly onProgress?: (done: number, total: number) => void;
}

export interface Rebuilt {
  readonly events: number;
  /** The rows of the real database and of the rebuilt one, as {@link stateOf} writes them. */
  readonly real: readonly string[];
  readonly rebuilt: readonly string[];
  /** Events that could not be processed again. */
  readonly failed: readonly string[];
}

/** What events do not make: the PSA's own rows, who is connected, and what we asked of Stripe. */
const given = [
  'tenants',
  'users',
  'customers',
  'contracts',
  'invoices',
  'stripe_accounts',
  'stripe_config',
  'stripe_customers',
  'stripe_prices',
  'commands',
  'payments',
];

/** Takes from what was copied all that Stripe's events have told since. */
const forget = `
  update invoices i set payment_status = 'UNPAID', paid_at = null, amount_paid = greatest(0, amount_paid - (
    select coalesce(sum(p.amount_received), 0) from payments p where p.tenant_id = i.tenant_id and p.invoice_id = i.id))
    where subscription_id is null;
  delete from invoices where subscription_id is not null;
  update stripe_config set charges_enabled = false, payouts_enabled = false, details_submitted = false, requirements = '{}', stripe_as_of = null;
  delete from payments p where not exists (select from commands c where c.subject_id = p.id::text);
  update payments set status = 'PENDING', amount_received = 0, amount_refunded = 0, refund_pending = false, booked_currency = null,
    booked_gross = null, stripe_fee = null, application_fee = null, net = null, failure_code = null, failure_decline_code = null,
    failure_message = null, stripe_charge_id = null, stripe_balance_transaction_id = null, receipt_url = null, stripe_as_of = null,
    charge_as_of = null, succeeded_at = null, canceled_at = null, dispute_state = 'NONE', stripe_payment_method_id = null, subscription_id = null`;

/** Replays the whole log in an order drawn from the seed, in a database that is deleted afterwards. */
export async function rebuild(settings: RebuildSettings): Promise<Rebuilt> {
  const { adminUrl, runtimeUrl } = settings;
  const name = `psa_verify_${randomBytes(6).toString('hex')}`;
  await withClient(adminUrl, (client) => client.query(`create database ${name}`));
  try {
    const scratch = { admin: urlFor(adminUrl, name), runtime: urlFor(runtimeUrl, name) };
    await migrateUp({ ownerUrl: scratch.admin });
    await grantRuntimeRoles(scratch.admin, scratch.runtime);
    return await withClient(adminUrl, (source) =>
      withClient(scratch.admin, async (target) => {
        await target.query('set session_replication_role = replica'); // no triggers and no keys while rows are put in place
        for (const table of given) await copy(source, target, table);
        await target.query(forget);
        await copy(source, target, 'stripe_webhook_events', `where livemode = ${settings.livemode}`);
        const events = await enqueue(target, settings.seed);
        const failed = await work(settings, scratch.runtime, target, events);
        await keepBooks(settings, scratch.runtime, source);
        const look = (client: pg.Client) => async (sql: string) =>
          (await client.query<Record<string, unknown>>(sql)).rows;
        const [real, rebuilt] = [await stateOf(look(source)), await stateOf(look(target))];
        return { events, failed, real, rebuilt: await withoutNews(rebuilt, source) };
      }),
    );
  } finally {
    await withClient(adminUrl, (client) => client.query(`drop database if exists ${name} with (force)`));
  }
}

/** Posts what Stripe booked, for every account that has books: events only say that there is something to post. */
async function keepBooks({ stripe, livemode }: RebuildSettings, url: string, source: pg.Client): Promise<void> {
  const orm = createOrm({ url, entities });
  const database = new Database(orm, livemode);
  try {
    const { rows } = await source.query<{ tenant: Uuid; account: AccountId }>(
      `select distinct t.tenant_id as tenant, stripe_account_id as account from ledger_transactions t join stripe_accounts a using (stripe_account_id)
       where t.livemode = $1 and a.disconnected_at is null`,
      [livemode],
    );
    for (const { tenant, account } of rows) {
      const books = booksOf(database.tenant(tenant), stripe.forAccount(account), account);
      await importBookings(books, true);
      await payoutStep(books);
    }
  } finally {
    await orm.close(true);
  }
}

/** Leaves out what Stripe booked since the real books were last brought up to date: that they are complete, `npm run ledger:verify` says. */
async function withoutNews(lines: readonly string[], source: pg.Client): Promise<string[]> {
  const { rows } = await source.query<{ start: string }>(
    `select concat_ws(' ', 'ledger_transactions', tenant_id, cause) as start from ledger_transactions`,
  );
  const posted = new Set(rows.map(({ start }) => start));
  return lines.filter((line) => !line.startsWith('ledger_') || posted.has(line.split(' ', 3).join(' ')));
}

/** Row by row as JSON, a thousand at a time: neither side ever holds the whole table. */
async function copy(source: pg.Client, target: pg.Client, table: string, where = ''): Promise<void> {
  await source.query('begin transaction read only');
  await source.query(`declare rows no scroll cursor for select to_jsonb(t) as row from ${table} t ${where}`);
  for (;;) {
    const { rows } = await source.query<{ row: unknown }>('fetch 1000 from rows');
    if (rows.length === 0) break;
    await target.query(
      `insert into ${table} overriding system value select * from jsonb_populate_recordset(null::${table}, $1::jsonb)`,
      [JSON.stringify(rows.map(({ row }) => row))],
    );
  }
  await source.query('commit');
}

/** Claims go by the time that an event is due, so that is what the seed shuffles. */
async function enqueue(target: pg.Client, seed: number): Promise<number> {
  await target.query(
    `update stripe_webhook_events set status = 'RECEIVED', attempts = 0, last_error = null, processed_at = null where status <> 'PARKED'`,
  );
  const { rowCount } = await target.query(
    `insert into stripe_webhook_queue (event_id, stripe_created_at, stripe_account_id, livemode, object_key, state, ready_at)
     select id, stripe_created_at, stripe_account_id, livemode, object_key, 'READY',
       now() - make_interval(secs => (hashtextextended(stripe_event_id, $1) & 1048575) / 100.0)
     from stripe_webhook_events where status <> 'PARKED'`,
    [seed],
  );
  return rowCount ?? 0;
}

async function work(
  { stripe, livemode, logger, onProgress }: RebuildSettings,
  url: string,
  target: pg.Client,
  events: number,
): Promise<string[]> {
  const orm = createOrm({ url, entities });
  const database = new Database(orm, livemode);
  // What failed the first time fails again, and need not be waited for.
  const retry = { firstMs: 100, longestMs: 1_000, outageMs: 5_000, attempts: 3 };
  // Small batches: within one, the events of an object would be put in order again.
  const worker = new Worker({
    database,
    handlers,
    stripe,
    url,
    clock: systemClock,
    logger,
    batchSize: 20,
    pollMs: 100,
    retry,
  });
  worker.start();
  try {
    for (;;) {
      const { rows } = await target.query<{ n: number }>(
        `select count(*)::integer as n from stripe_webhook_queue where state = 'READY'`,
      );
      onProgress?.(events - rows[0]!.n, events);
      if (rows[0]!.n === 0) break;
      await sleep(200);
    }
  } finally {
    await worker.stop();
    await orm.close(true);
  }
  const { rows } = await target.query<{ line: string }>(
    `select concat_ws(' ', stripe_event_id, type, last_error) as line from stripe_webhook_events where status = 'DEAD'`,
  );
  return rows.map(({ line }) => line);
}
