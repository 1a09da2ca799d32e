import { type EntityManager } from '@mikro-orm/postgresql';
import { type Database } from '../../db/database.js';
import { livemodeOf, tenantOf } from '../../db/tenant-entity.js';
import { type ScheduledJob } from '../../jobs/schedules/scheduled-job.js';
import { type Clock } from '../../shared/clock.js';
import { type Logger } from '../../shared/logger.js';
import { enqueueMails, type NewMail } from '../mail/outbox.js';
import { type PayLinks } from '../pay-page/pay-links.js';
import { forEveryTenant } from './every-tenant.js';
import { methodOf } from './method.js';

export interface ReminderSettings {
  readonly database: Database;
  readonly payLinks: PayLinks;
  readonly clock: Clock;
  readonly logger: Logger;
}

const hour = 3_600_000;
/** Stripe lets a payment be confirmed for 23 hours. https://docs.stripe.com/billing/subscriptions/overview#subscription-lifecycle */
const confirmWithin = 23 * hour;

/**
 * Reminds customers of what is about to happen: renewals, the end of trials, cards that expire, payments that wait for a confirmation. Each is
 * found by what is so now, so what nobody reminded of in time, and what is not so any more, is not mailed. A key names the thing and its date.
 */
export class Reminders implements ScheduledJob {
  readonly name = 'reminders';
  readonly description = 'Reminds customers of renewals, ends of trials, expiring cards and payments to confirm.';
  readonly cron = '7 * * * *';

  constructor(private readonly settings: ReminderSettings) {}

  async run({ signal }: { readonly signal: AbortSignal }): Promise<void> {
    const { clock, payLinks } = this.settings;
    await forEveryTenant(this.settings, signal, (db) =>
      db.transaction(async (em) => {
        const now = clock.now();
        await enqueueMails(em, await renewals(em, now));
        await enqueueMails(em, await trials(em, now));
        await enqueueMails(em, await cards(em, now));
        await enqueueMails(em, await confirmations(em, now, payLinks));
      }),
    );
  }
}

/** Whom it is about. */
interface Reader {
  readonly customerId: number;
  readonly customerName: string;
  readonly email: string;
}

const reader = 'c.id as "customerId", c.name as "customerName", c.email';
/** How many one run takes of each kind; the next one takes the rest. */
const most = 2_000;

/** Not those that were reminded already. `t` is the row, `key` what its mail is called. */
const notYet = (key: string) =>
  `not exists (select from mails m where m.tenant_id = t.tenant_id and m.livemode = t.livemode and m.key = ${key})`;

const dayOf = (column: string) => `to_char(${column} at time zone 'UTC', 'YYYY-MM-DD')`;

/** Subscriptions whose period is so short that the reminder would follow the last one at once are left out. */
async function renewals(em: EntityManager, now: Date): Promise<NewMail<'renewal-coming'>[]> {
  const key = `'renewal:' || t.id || ':' || ${dayOf('t.next_charge_at')}`;
  const rows = await em.execute<(Reader & Subscribed & { renewsAt: string })[]>(
    `select ${key} as key, ${reader}, ${subscribed}, t.next_charge_at as "renewsAt"
     from stripe_subscriptions t join customers c on c.tenant_id = t.tenant_id and c.id = t.customer_id
       left join contracts k on k.tenant_id = t.tenant_id and k.id = t.contract_id
       cross join (select coalesce((select renewal_days from mail_settings), 7) * interval '1 day' as ahead) s
     where t.status = 'ACTIVE' and not t.cancel_at_period_end and not t.collection_paused and c.email <> ''
       and (t.cancel_at is null or t.cancel_at > t.next_charge_at)
       and t.next_charge_at > ?::timestamptz and t.next_charge_at <= ?::timestamptz + s.ahead
       and t.current_period_end - t.current_period_start > 2 * s.ahead and t.unit_amount * t.quantity > 0 and ${notYet(key)}
     order by t.next_charge_at limit ${most}`,
    [now, now],
  );
  return rows.map((row) => ({
    ...to(row),
    template: 'renewal-coming',
    until: new Date(row.renewsAt),
    data: { customerName: row.customerName, what: row.what, amount: amountOf(row), renewsAt: iso(row.renewsAt) },
  }));
}

/** Three days ahead; a trial that is hardly longer begins with all of it said. */
async function trials(em: EntityManager, now: Date): Promise<NewMail<'trial-ending'>[]> {
  const key = `'trial:' || t.id || ':' || ${dayOf('t.trial_end')}`;
  const rows = await em.execute<(Reader & Subscribed & { endsAt: string; hasMethod: boolean })[]>(
    `select ${key} as key, ${reader}, ${subscribed}, t.trial_end as "endsAt",
       t.stripe_default_payment_method_id is not null or exists (select from payment_methods p
         where p.tenant_id = t.tenant_id and p.livemode = t.livemode and p.customer_id = t.customer_id and p.is_default) as "hasMethod"
     from stripe_subscriptions t join customers c on c.tenant_id = t.tenant_id and c.id = t.customer_id
       left join contracts k on k.tenant_id = t.tenant_id and k.id = t.contract_id
     where t.status = 'TRIALING' and not t.cancel_at_period_end and (t.cancel_at is null or t.cancel_at > t.trial_end) and c.email <> ''
       and t.trial_end > ?::timestamptz and t.trial_end <= ?::timestamptz + interval '3 days'
       and t.trial_end - t.trial_start > interval '4 days' and ${notYet(key)}
     order by t.trial_end limit ${most}`,
    [now, now],
  );
  return rows.map(({ hasMethod, ...row }) => ({
    ...to(row),
    template: 'trial-ending',
    until: new Date(row.endsAt),
    data: { customerName: row.customerName, what: row.what, amount: amountOf(row), endsAt: iso(row.endsAt), hasMethod },
  }));
}

interface Card extends Reader {
  readonly key: string;
  readonly type: string;
  readonly brand: string | null;
  readonly last4: string | null;
  readonly month: number;
  readonly year: number;
  readonly until: string;
}

/** Only cards that a subscription will be charged to, within the thirty days before they expire. */
async function cards(em: EntityManager, now: Date): Promise<NewMail<'card-expiring'>[]> {
  const key = `'card:' || t.id || ':' || t.exp_year || '-' || t.exp_month`;
  const end = `(make_date(t.exp_year, t.exp_month, 1) + interval '1 month') at time zone 'UTC'`;
  const rows = await em.execute<Card[]>(
    `select ${key} as key, ${reader}, t.type, t.brand, t.last4, t.exp_month as month, t.exp_year as year, ${end} as until
     from payment_methods t join customers c on c.tenant_id = t.tenant_id and c.id = t.customer_id
     where t.type = 'CARD' and t.status = 'ACTIVE' and t.exp_year is not null and t.exp_month is not null and c.email <> ''
       and ${end} > ?::timestamptz and ${end} <= ?::timestamptz + interval '30 days'
       and exists (select from stripe_subscriptions s where s.tenant_id = t.tenant_id and s.livemode = t.livemode
         and s.customer_id = t.customer_id and s.status in ('ACTIVE', 'TRIALING', 'PAST_DUE') and not s.cancel_at_period_end
         and (s.stripe_default_payment_method_id = t.stripe_payment_method_id
           or (s.stripe_default_payment_method_id is null and t.is_default)))
       and ${notYet(key)}
     order by t.id limit ${most}`,
    [now, now],
  );
  return rows.map((row) => ({
    ...to(row),
    template: 'card-expiring',
    until: new Date(row.until),
    data: { customerName: row.customerName, card: methodOf(row) ?? 'Card', month: row.month, year: row.year },
  }));
}

interface Unconfirmed extends Reader {
  readonly key: string;
  readonly amount: string;
  readonly currency: string;
  readonly createdAt: string;
  readonly invoiceId: number;
  readonly invoiceNumber: string;
}

/** An hour after it was made, so that nobody is reminded who is just doing it. Our page also takes what Stripe collects for a subscription. */
async function confirmations(em: EntityManager, now: Date, payLinks: PayLinks): Promise<NewMail<'action-needed'>[]> {
  const key = `'action:' || t.id`;
  const rows = await em.execute<Unconfirmed[]>(
    `select ${key} as key, ${reader}, t.amount, t.currency, t.created_at as "createdAt", i.id as "invoiceId", i.number as "invoiceNumber"
     from payments t join customers c on c.tenant_id = t.tenant_id and c.id = t.customer_id
       join invoices i on i.tenant_id = t.tenant_id and i.id = t.invoice_id and i.status = 'OPEN'
     where t.status = 'ACTION_REQUIRED' and c.email <> ''
       and t.created_at > ?::timestamptz and t.created_at <= ?::timestamptz and ${notYet(key)}
       -- Who was told that a renewal failed was told to confirm it.
       and not exists (select from dunning_cases k join dunning_steps n on n.tenant_id = k.tenant_id and n.case_id = k.id
         where k.tenant_id = t.tenant_id and k.invoice_id = t.invoice_id and n.mailed)
     order by t.created_at limit ${most}`,
    [new Date(now.getTime() - confirmWithin), new Date(now.getTime() - hour)],
  );
  return rows.map((row) => {
    const confirmBy = new Date(new Date(row.createdAt).getTime() + confirmWithin);
    const link = { tenantId: tenantOf(em), invoiceId: row.invoiceId, livemode: livemodeOf(em) };
    const { url: payUrl } = payLinks.create(link, confirmBy.getTime() - now.getTime());
    const { customerName, invoiceNumber } = row;
    const data = { customerName, invoiceNumber, payUrl, amount: amountOf(row), confirmBy: confirmBy.toISOString() };
    return { ...to(row), template: 'action-needed', until: confirmBy, data };
  });
}

interface Subscribed {
  readonly key: string;
  readonly what: string;
  readonly amount: string;
  readonly currency: string;
}

const subscribed = `coalesce(k.name, 'Your subscription') as what, t.unit_amount * t.quantity as amount, t.currency`;

function to({ key, email, customerId }: Reader & { readonly key: string }) {
  return { key, to: email, customerId };
}

function amountOf({ amount, currency }: { readonly amount: string; readonly currency: string }) {
  return { amount: Number(amount), currency };
}

function iso(at: string): string {
  return new Date(at).toISOString();
}
