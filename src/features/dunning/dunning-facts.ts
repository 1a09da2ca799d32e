import { type EntityManager } from '@mikro-orm/postgresql';
import { type Uuid } from '../../shared/uuid.js';
import { type AccountId, type InvoiceId } from '../../stripe/types.js';
import { currentMethod, reason, type Reason, reasonJoins, zoneOf } from './dunning-cases.js';
import { type DunningCase } from './dunning-case.entity.js';

/** All that a step depends on, as it is while the invoice and the case are locked. */
export interface Facts extends Pick<
  DunningCase,
  | 'state'
  | 'retries'
  | 'retryDays'
  | 'end'
  | 'ending'
  | 'blockedMethod'
  | 'declineCode'
  | 'invoiceId'
  | 'customerId'
  | 'subscriptionId'
  | 'currency'
> {
  readonly id: Uuid;
  readonly stripeAccountId: AccountId;
  readonly stripeInvoiceId: InvoiceId | null;
  readonly openedAt: Date;
  /** Minor units. */
  readonly due: number;
  readonly reason: Reason | null;
  /** Whether money is on its way already. */
  readonly processing: boolean;
  /** Whether the payer's bank questions a part of it that was paid. */
  readonly disputed: boolean;
  readonly invoiceNumber: string;
  readonly hostedUrl: string | null;
  readonly customerName: string;
  readonly email: string | null;
  /** What would be charged, by Stripe's id. */
  readonly method: string | null;
  /** What another payment would be made with, by our id: the customer's default, or else what failed. */
  readonly methodId: Uuid | null;
  /** The last failure that is known of the invoice. */
  readonly failure: string | null;
  /** What was declined then, where it is known. */
  readonly failedMethod: string | null;
  /** Whether the tenant wants its customers to be told. */
  readonly emails: boolean;
  readonly timeZone: string;
}

/** Locks a case and its invoice, the invoice first, as everybody does who changes both. @returns whether the case is there, and leased so */
export async function holdCase(em: EntityManager, id: Uuid, leaseToken: Uuid | null): Promise<boolean> {
  await em.execute(
    'select id from invoices where id = (select invoice_id from dunning_cases where id = ?) for no key update',
    [id],
  );
  const held = await em.execute<object[]>(
    `select id from dunning_cases where id = ? and (?::uuid is null or lease_token = ?::uuid) for no key update`,
    [id, leaseToken, leaseToken],
  );
  return held.length === 1;
}

/** What is known of a case that is held. */
export async function factsOf(em: EntityManager, id: Uuid): Promise<Facts> {
  const [row] = await em.execute<(Omit<Facts, 'openedAt' | 'due'> & { openedAt: string | Date; due: string })[]>(
    `select k.id, k.state, k.retries, k.retry_days as "retryDays", k.at_end as "end", k.ending, k.blocked_method as "blockedMethod",
       k.decline_code as "declineCode",
       k.invoice_id as "invoiceId", k.customer_id as "customerId", k.subscription_id as "subscriptionId", k.currency,
       k.stripe_account_id as "stripeAccountId", k.stripe_invoice_id as "stripeInvoiceId", k.opened_at as "openedAt",
       i.total - i.amount_credited - i.amount_paid as due, ${reason} as reason, i.number as "invoiceNumber",
       exists (select from payments p where p.tenant_id = k.tenant_id and p.invoice_id = k.invoice_id and p.status = 'PROCESSING') as processing,
       exists (select from disputes x join payments p on p.tenant_id = x.tenant_id and p.id = x.payment_id
         where p.tenant_id = k.tenant_id and p.invoice_id = k.invoice_id and x.closed_at is null and not x.is_inquiry) as disputed,
       c.hosted_url as "hostedUrl", u.name as "customerName", u.email,
       coalesce(${currentMethod}, m.stripe_payment_method_id) as method,
       coalesce((select d.id from payment_methods d where d.tenant_id = k.tenant_id and d.customer_id = k.customer_id
          and d.stripe_account_id = k.stripe_account_id and d.is_default), case when m.status = 'ACTIVE' then m.id end) as "methodId",
       case when exists (select from payments p where p.tenant_id = k.tenant_id and p.invoice_id = k.invoice_id and p.status = 'ACTION_REQUIRED')
         then 'authentication_required' else coalesce(f.failure_decline_code, f.failure_code) end as failure, m.stripe_payment_method_id as "failedMethod",
       coalesce(d.emails, true) as emails, ${zoneOf('t.time_zone')} as "timeZone"
     from dunning_cases k ${reasonJoins}
     join customers u on u.tenant_id = k.tenant_id and u.id = k.customer_id
     join tenants t on t.id = k.tenant_id
     left join stripe_invoices c on c.tenant_id = k.tenant_id and c.invoice_id = k.invoice_id
     left join dunning_settings d on d.tenant_id = k.tenant_id
     left join lateral (
       select * from payments p where p.tenant_id = k.tenant_id and p.invoice_id = k.invoice_id and p.failure_code is not null
       order by p.updated_at desc limit 1) f on true
     left join payment_methods m on m.tenant_id = k.tenant_id and m.stripe_payment_method_id = f.stripe_payment_method_id
     where k.id = ?`,
    [id],
  );
  return { ...row!, openedAt: new Date(row!.openedAt), due: Number(row!.due) };
}
