import { type TestDatabase } from '../support/database.js';

type Db = Pick<TestDatabase, 'query'>;

/** What must hold whatever was done to the system. Each query gives the rows for which it does not. */
const invariants: Readonly<Record<string, string>> = {
  'I1 what Stripe booked adds up': `
    select id from payments where net is not null and booked_gross is distinct from stripe_fee + application_fee + net`,
  'I1 no more is given back than came in': `
    select id from payments where amount_refunded > amount_received or amount_received > amount`,
  'I2 every event that is not settled is in the queue': `
    select e.stripe_event_id from stripe_webhook_events e where e.status in ('RECEIVED', 'FAILED', 'PARKED', 'DEAD')
      and not exists (select from stripe_webhook_queue q where q.event_id = e.id)`,
  'I2 nothing is in the queue that is settled': `
    select e.stripe_event_id from stripe_webhook_queue q join stripe_webhook_events e on e.id = q.event_id
    where e.status in ('PROCESSED', 'IGNORED')`,
  'I2 every event of a batch has its payload': `
    select q.event_id from stripe_webhook_queue q where not exists (select from stripe_webhook_events e where e.id = q.event_id)`,
  'I3 an event is stored once': `
    select stripe_event_id from stripe_webhook_events group by 1 having count(*) > 1`,
  'I3 an event has its effect once': `
    select subject_id from audit_log where action = 'note' group by 1 having count(*) > 1`,
  'I4 nothing leaves a final state': `
    select object from seen_edges where old_status in ('SUCCEEDED', 'CANCELED', 'DETACHED') and old_status <> new_status`,
  'I5 rows stand with the tenant of their account': `
    select p.id from payments p join stripe_accounts a using (stripe_account_id) where a.tenant_id <> p.tenant_id
    union all select m.id from payment_methods m join stripe_accounts a using (stripe_account_id) where a.tenant_id <> m.tenant_id`,
  'I6 one payment for an intent, one intent for a payment': `
    select max(stripe_payment_intent_id) from payments where stripe_payment_intent_id is not null
    group by stripe_account_id, stripe_payment_intent_id having count(*) > 1`,
  'I10 the audit log and the effects cannot be changed': `
    select tgname from pg_trigger where tgrelid in ('audit_log'::regclass, 'effects'::regclass) and tgname ~ 'append_only' and tgenabled = 'D'`,
};

/** Where a ledger is kept: what it must add up to. */
const ledger = `select transaction_id, currency from ledger_postings group by 1, 2 having sum(amount) <> 0`;

/** Notes every change of a status from here on, so that what never may happen is seen even when it passes. */
export async function watchStates(db: Db): Promise<void> {
  await db.query(`create table seen_edges (object text, old_status text, new_status text)`);
  await db.query(`create function see_edge() returns trigger language plpgsql security definer as $$
    begin
      if new.status is distinct from old.status then
        insert into public.seen_edges values (new.id::text, old.status, new.status);
      end if;
      return null;
    end $$`);
  for (const table of ['payments', 'payment_methods'])
    await db.query(`create trigger see_edge after update on ${table} for each row execute function see_edge()`);
}

/**
 * Checks them all.
 * @returns the names of those that do not hold, with what breaks them; empty when all is well
 */
export async function brokenInvariants(db: Db): Promise<string[]> {
  const broken: string[] = [];
  const [has] = await db.query<{ ledger: boolean; edges: boolean }>(
    `select to_regclass('ledger_postings') is not null as ledger, to_regclass('seen_edges') is not null as edges`,
  );
  const all = { ...invariants, ...(has!.ledger && { 'I1 the ledger adds up to nothing': ledger }) };
  for (const [name, query] of Object.entries(all)) {
    if (query.includes('seen_edges') && !has!.edges) continue;
    const rows = await db.query(query);
    if (rows.length > 0) broken.push(`${name}: ${JSON.stringify(rows.slice(0, 5))} (${rows.length})`);
  }
  return broken;
}

/** How many of these events had their effect never, and how many more than once. */
export async function countEffects(db: Db, eventIds: readonly string[]): Promise<{ lost: number; doubled: number }> {
  const rows = await db.query<{ id: string; n: number }>(
    `select subject_id as id, count(*)::integer as n from audit_log where action = 'note' group by 1`,
  );
  const counts = new Map(rows.map(({ id, n }) => [id, n]));
  return {
    lost: eventIds.filter((id) => !counts.has(id)).length,
    doubled: eventIds.filter((id) => (counts.get(id) ?? 0) > 1).length,
  };
}
