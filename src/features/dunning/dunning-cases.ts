import { type EntityManager } from '@mikro-orm/postgresql';
import { type Uuid } from '../../shared/uuid.js';
import { withdrawMails } from '../mail/outbox.js';
import { type DunningState, type DunningStopReason } from './dunning-case.entity.js';

// Where cases begin, follow Stripe and end: for one invoice when something is heard of it, for all of the tenant when they are looked for. Each
// is one statement over what is true now, so they may run in any order, twice, and at the same time.

/**
 * Opens a case for each invoice that failed and has none: the cycle of a subscription, or an invoice that could not be charged to a saved method
 * without its payer. The first invoice of a subscription is none: its payer is there, and Stripe gives it up after a day.
 * @param invoiceId null for all of the tenant's
 * @param now null for PostgreSQL's
 * @returns how many
 */
export async function openCases(em: EntityManager, invoiceId: number | null, now: Date | null = null): Promise<number> {
  const opened = await em.execute<object[]>(
    `with failed as (
       select i.tenant_id, i.id, i.customer_id, i.subscription_id, i.currency, i.total - i.amount_credited - i.amount_paid as due,
         coalesce(c.stripe_account_id, p.stripe_account_id) as account, c.stripe_invoice_id, a.livemode
       from invoices i
       join stripe_config a on a.tenant_id = i.tenant_id and a.disconnected_at is null
       left join stripe_invoices c on c.tenant_id = i.tenant_id and c.invoice_id = i.id
       left join stripe_subscriptions s on s.tenant_id = i.tenant_id and s.id = i.subscription_id
       left join lateral (
         -- What its payer merely looked at, or tried by hand, on the pay page, takes nothing back; what was paid does.
         select p.* from payments p where p.tenant_id = i.tenant_id and p.invoice_id = i.id and i.subscription_id is null
           and (p.status in ('PROCESSING', 'AUTHORIZED', 'SUCCEEDED') or p.status = 'FAILED' and p.stripe_payment_method_id is not null
             and exists (select from commands m
               where m.kind = 'payments.create' and m.subject_id = p.id::text and m.params @> '{"offSession": true}'))
         order by p.created_at desc, p.id desc limit 1
       ) p on true
       where i.status = 'OPEN' and i.payment_status in ('FAILED', 'UNPAID', 'PARTIALLY_PAID') and i.total - i.amount_credited - i.amount_paid > 0
         and (?::int is null or i.id = ?::int)
         and case when i.subscription_id is null
           then p.status = 'FAILED'
           else c.attempts > 0 and not s.collection_paused and s.status in ('TRIALING', 'ACTIVE', 'PAST_DUE', 'UNPAID') end
         and coalesce(c.stripe_account_id, p.stripe_account_id) = a.stripe_account_id
         and not exists (select from dunning_cases k where k.tenant_id = i.tenant_id and k.invoice_id = i.id)
     ), opened as (
       insert into dunning_cases (tenant_id, livemode, invoice_id, customer_id, subscription_id, stripe_account_id, stripe_invoice_id, amount,
         currency, retries, retry_days, at_end, opened_at)
       select f.tenant_id, f.livemode, f.id, f.customer_id, f.subscription_id, f.account, f.stripe_invoice_id, f.due, f.currency,
         coalesce(d.retries, 'OURS'), coalesce(d.retry_days, '{1,3,5,7}'), coalesce(d.at_end, 'LEAVE'), coalesce(?::timestamptz, now())
       from failed f left join dunning_settings d on d.tenant_id = f.tenant_id
       on conflict (tenant_id, livemode, invoice_id) do nothing
       returning *
     )
     -- Nobody sees the case before its steps: they are written together.
     insert into dunning_steps (tenant_id, livemode, case_id, number, kind, day, at)
     select o.tenant_id, o.livemode, o.id, n.number, n.kind, n.day,
       (o.opened_at at time zone z.name + n.day * interval '1 day') at time zone z.name
     from opened o join tenants t on t.id = o.tenant_id
     cross join lateral (select ${zoneOf('t.time_zone')} as name) z
     cross join lateral (
       select 0 as number, 'NOTICE' as kind, 0 as day
       union all select d.number, case o.retries when 'OURS' then 'RETRY' else 'NOTICE' end, d.day
         from unnest(o.retry_days) with ordinality d (day, number)
       union all select cardinality(o.retry_days) + 1, 'END', o.retry_days[cardinality(o.retry_days)]
     ) n
     where o.retries = 'OURS' or o.stripe_invoice_id is null
     returning id`,
    [invoiceId, invoiceId, now],
  );
  if (opened.length > 0) await plan(em, invoiceId);
  return opened.length;
}

/** A time zone that PostgreSQL knows: the PSA's own table may hold any name. */
export function zoneOf(column: string): string {
  return `case when ${column} = 'UTC' or exists (select from pg_timezone_names n where n.name = ${column}) then ${column} else 'UTC' end`;
}

/** Says when cases are due whose steps have just been written. */
async function plan(em: EntityManager, invoiceId: number | null): Promise<void> {
  await em.execute(
    `update dunning_cases k set next_at = opened_at
     where k.state = 'OPEN' and k.next_at is null and k.visits = 0 and (?::int is null or k.invoice_id = ?::int)
       and exists (select from dunning_steps s where s.tenant_id = k.tenant_id and s.case_id = k.id and s.outcome = 'PLANNED')`,
    [invoiceId, invoiceId],
  );
}

/**
 * Where Stripe retries, each of its failures is a notice of ours, and its giving up is the end: Stripe has brought that about itself.
 * @param invoiceId null for all of the tenant's
 */
export async function followStripe(em: EntityManager, invoiceId: number | null): Promise<void> {
  await em.execute(
    `with heard as (
       select k.tenant_id, k.livemode, k.id, c.attempts,
         (c.next_attempt_at is null or s.status in ('CANCELED', 'UNPAID', 'INCOMPLETE_EXPIRED')) as is_over
       from dunning_cases k
       join invoices i on i.tenant_id = k.tenant_id and i.id = k.invoice_id
       join stripe_invoices c on c.tenant_id = k.tenant_id and c.invoice_id = k.invoice_id
       left join stripe_subscriptions s on s.tenant_id = k.tenant_id and s.id = k.subscription_id
       where k.state = 'OPEN' and k.retries = 'STRIPE' and not k.ending and (?::int is null or k.invoice_id = ?::int)
         and i.payment_status <> 'PENDING' and i.status in ('OPEN', 'UNCOLLECTIBLE')
     ), planned as (
       insert into dunning_steps (tenant_id, livemode, case_id, number, kind, at)
       select tenant_id, livemode, id, case when is_over then 999 else least(attempts, 998) end,
         case when is_over then 'END' else 'NOTICE' end, now()
       from heard on conflict (tenant_id, case_id, number) do nothing returning tenant_id, case_id, kind
     )
     update dunning_cases k set next_at = now(), ending = planned.kind = 'END'
     from planned where k.tenant_id = planned.tenant_id and k.id = planned.case_id`,
    [invoiceId, invoiceId],
  );
}

/** What the tables of {@link reason} are joined by. */
export const reasonJoins = `
  join invoices i on i.tenant_id = k.tenant_id and i.id = k.invoice_id
  left join stripe_config a on a.tenant_id = k.tenant_id
  left join stripe_customers b on b.tenant_id = k.tenant_id and b.customer_id = k.customer_id and b.stripe_account_id = k.stripe_account_id
  left join stripe_subscriptions s on s.tenant_id = k.tenant_id and s.id = k.subscription_id`;

/** Why there is nothing more to be done about a case; null while there is. */
export const reason = `case
  when i.status = 'PAID' and i.amount_credited < i.total then 'RECOVERED'
  when i.status = 'PAID' or (i.status = 'OPEN' and i.total - i.amount_credited - i.amount_paid <= 0) then 'CREDITED'
  when i.status in ('VOID', 'DRAFT') then 'VOIDED'
  when i.status = 'UNCOLLECTIBLE' and not k.ending then 'WRITTEN_OFF'
  when a.disconnected_at is not null or a.stripe_account_id is distinct from k.stripe_account_id then 'ACCOUNT_DISCONNECTED'
  when b.deleted_at is not null then 'CUSTOMER_DELETED'
  when s.status in ('CANCELED', 'INCOMPLETE_EXPIRED') and not k.ending and k.retries = 'OURS' then 'SUBSCRIPTION_ENDED'
end`;

/** What {@link reason} says. */
export type Reason = 'RECOVERED' | Exclude<`${DunningStopReason}`, 'MANUAL'>;

/**
 * Ends the cases about which there is nothing more to be done.
 * @param invoiceId null for all of the tenant's
 */
export async function closeSettled(em: EntityManager, invoiceId: number | null): Promise<void> {
  const settled = await em.execute<{ id: Uuid; reason: Reason }[]>(
    `select k.id, r.reason from dunning_cases k ${reasonJoins} cross join lateral (select ${reason} as reason) r
     where k.state = 'OPEN' and (?::int is null or k.invoice_id = ?::int) and r.reason is not null
     order by k.id for no key update of k`,
    [invoiceId, invoiceId],
  );
  for (const { id, reason } of settled) await closeCase(em, id, reason);
}

/**
 * Ends a case. What is under way stays so: whoever works on it, or finds it left, writes down what came of it.
 * @returns whether it was open
 */
export async function closeCase(
  em: EntityManager,
  id: Uuid,
  end: Reason | 'LOST' | `${DunningStopReason}`,
): Promise<boolean> {
  const state: `${DunningState}` = end === 'RECOVERED' || end === 'LOST' ? end : 'STOPPED';
  const closed = await em.execute<object[]>(
    `update dunning_cases k set state = ?, stop_reason = ?, closed_at = now(),
       next_at = case when exists (select from dunning_steps s where s.tenant_id = k.tenant_id and s.case_id = k.id and s.outcome = 'RUNNING')
         then now() end
     where id = ? and state = 'OPEN' returning id`,
    [state, state === 'STOPPED' ? end : null, id],
  );
  if (closed.length === 0) return false;
  await em.execute(
    `update dunning_steps set outcome = 'SKIPPED', done_at = now() where case_id = ? and outcome = 'PLANNED'`,
    [id],
  );
  // Nobody is to be asked for what is paid. The last notice is about what was lost, and stays.
  if (state !== 'LOST') {
    const told = await em.execute<{ number: number }[]>(
      'select number from dunning_steps where case_id = ? and mailed',
      [id],
    );
    await withdrawMails(
      em,
      told.map(({ number }) => stepKey(id, number)),
    );
  }
  return true;
}

/** One key for one step, of its command and of its mail: whoever carries it out, and however often, it is the same. */
export function stepKey(caseId: Uuid, number: number): string {
  return `dunning:${caseId}:${number}`;
}

/** Whoever has another method now than the one that will never work need not wait for the day of the next retry. */
export async function hastenMended(em: EntityManager, now: Date): Promise<void> {
  await em.execute(
    `with mended as (
       select k.tenant_id, k.id from dunning_cases k left join stripe_subscriptions s on s.tenant_id = k.tenant_id and s.id = k.subscription_id
       cross join lateral (select ${currentMethod} as method) m
       where k.state = 'OPEN' and k.blocked_method is not null and k.next_at > ? and m.method <> k.blocked_method
     ), sooner as (
       update dunning_steps t set at = ? from mended
       where t.tenant_id = mended.tenant_id and t.id = (
         select n.id from dunning_steps n where n.tenant_id = mended.tenant_id and n.case_id = mended.id
           and n.outcome = 'PLANNED' and n.kind = 'RETRY' order by n.at, n.number limit 1)
       returning t.tenant_id, t.case_id
     )
     update dunning_cases k set next_at = ? from sooner where k.tenant_id = sooner.tenant_id and k.id = sooner.case_id`,
    [now, now, now],
  );
}

/** What would be charged now, by Stripe's id: the subscription's own method, or else the customer's default. */
export const currentMethod = `coalesce(s.stripe_default_payment_method_id, (
  select d.stripe_payment_method_id from payment_methods d
  where d.tenant_id = k.tenant_id and d.customer_id = k.customer_id and d.stripe_account_id = k.stripe_account_id and d.is_default))`;
