import { type EntityManager } from '@mikro-orm/postgresql';
import { type TenantDb } from '../../db/database.js';
import { livemodeOf, tenantOf } from '../../db/tenant-entity.js';
import { orNull } from '../../jobs/drift.js';
import { type AccountStripe } from '../../stripe/account-stripe.js';
import { type CouponTerms, couponTerms, type DiscountReport } from '../../stripe/discounts.js';
import { type StripeService } from '../../stripe/stripe.service.js';
import { type AccountId, type DiscountId, type SubscriptionId } from '../../stripe/types.js';

// Which discounts a subscription has is said by the subscription, in order; what is kept here is what each of them is. That never changes, so
// whatever tells of one fills in what is not known yet, and the order in which it is told does not show.

const earliest = ['told_at', 'removed_at'];

/** What is said of a discount; only its id need be known. */
export type DiscountFacts = Pick<DiscountReport, 'id'> & Partial<DiscountReport>;

/** Where it was said. */
export interface DiscountSource {
  readonly accountId: AccountId;
  /** Stripe's stamp of the event; null when it was read from the subscription. */
  readonly toldAt: Date | null;
  /** Whether the event says that it is over. */
  readonly isOver: boolean;
}

/** Records what Stripe says of a discount. */
export async function recordDiscount(
  em: EntityManager,
  facts: DiscountFacts,
  { accountId, toldAt, isOver }: DiscountSource,
): Promise<void> {
  const { terms = null } = facts;
  const row = {
    ...{
      tenant_id: tenantOf(em),
      livemode: livemodeOf(em),
      stripe_account_id: accountId,
      stripe_discount_id: facts.id,
    },
    ...{ stripe_customer_id: facts.customerId ?? null, stripe_subscription_id: facts.subscriptionId ?? null },
    ...{ stripe_coupon_id: facts.couponId ?? null, starts_at: facts.startsAt ?? null, ends_at: facts.endsAt ?? null },
    ...{
      name: terms?.name ?? null,
      duration: terms?.duration.toUpperCase() ?? null,
      removed_at: isOver ? toldAt : null,
      told_at: toldAt,
    },
    ...{
      percent_off: terms?.percentOff ?? null,
      amount_off: terms?.amountOff ?? null,
      currency: terms?.currency ?? null,
    },
  };
  const names = Object.keys(row);
  const filled = names.slice(4).filter((name) => !earliest.includes(name));
  await em.execute(
    `insert into stripe_discounts as d (${names.join(', ')}) values (${names.map(() => '?').join(', ')})
     on conflict (tenant_id, stripe_discount_id) do update set
       ${earliest.map((name) => `${name} = least(d.${name}, excluded.${name})`).join(', ')},
       ${filled.map((name) => `${name} = coalesce(d.${name}, excluded.${name})`).join(', ')}`,
    Object.values(row),
  );
}

/** Whether what a discount takes off is known. */
export async function areTermsKnown(em: EntityManager, id: DiscountId): Promise<boolean> {
  const sql = 'select 1 from stripe_discounts where stripe_discount_id = ? and duration is not null';
  return (await em.execute<unknown[]>(sql, [id])).length > 0;
}

/**
 * What a discount takes off, from Stripe. First as its subscription shows it: a coupon may have been deleted since, and another made under its name.
 * @returns null where nobody knows any more
 */
export async function fetchTerms(
  stripe: AccountStripe,
  { id, subscriptionId, couponId }: Pick<DiscountReport, 'id' | 'subscriptionId' | 'couponId'>,
): Promise<CouponTerms | null> {
  const listed = subscriptionId ? await orNull(stripe.listDiscounts(subscriptionId)) : null;
  const shown = listed?.find((one) => one.id === id)?.terms;
  if (shown) return shown;
  const coupon = couponId === null ? null : await orNull(stripe.retrieveCoupon(couponId));
  return coupon && couponTerms(coupon);
}

interface Unknown {
  readonly subscription: SubscriptionId;
  readonly account: AccountId;
  readonly customer: number;
  readonly ids: DiscountId[];
}

/**
 * Asks Stripe about the discounts that no event told of: those that were there before their subscription was ours, or whose event was lost.
 * @param settledMs for how long the subscription must not have changed, since its events may still be on their way
 * @param signal stops it after the subscription that is being asked about
 * @param learned in the transaction in which something was found out about a customer's discounts
 */
export async function learnDiscounts(
  db: TenantDb,
  stripe: StripeService,
  {
    settledMs,
    signal,
    learned,
  }: {
    readonly settledMs: number;
    readonly signal: AbortSignal;
    readonly learned: (em: EntityManager, customerId: number) => Promise<void>;
  },
): Promise<void> {
  const unknown = await db.transaction((em) =>
    em.execute<Unknown[]>(
      `select s.stripe_subscription_id as subscription, s.stripe_account_id as account, s.customer_id as customer, array_agg(u.id) as ids
       from stripe_subscriptions s cross join unnest(s.discount_ids) u (id)
         join stripe_accounts a on a.stripe_account_id = s.stripe_account_id and a.disconnected_at is null
       where s.discount_ids <> '{}' and s.updated_at <= now() - ? * interval '1 millisecond'
         and not exists (select from stripe_discounts d where d.stripe_discount_id = u.id)
       group by 1, 2, 3 order by 1 limit 1000`,
      [settledMs],
    ),
  );
  for (const { subscription, account, customer, ids } of unknown) {
    if (signal.aborted) return;
    const at = stripe.forAccount(account);
    const found: DiscountReport[] = [];
    for (const report of (await orNull(at.listDiscounts(subscription))) ?? []) {
      if (!ids.includes(report.id)) continue;
      found.push({ ...report, terms: report.terms ?? (await fetchTerms(at, { ...report, subscriptionId: null })) });
    }
    await db.transaction(async (em) => {
      const source = { accountId: account, toldAt: null, isOver: false };
      // What Stripe shows no more is not asked about again, either.
      for (const id of ids) await recordDiscount(em, found.find((report) => report.id === id) ?? { id }, source);
      if (found.length > 0) await learned(em, customer);
    });
  }
}
