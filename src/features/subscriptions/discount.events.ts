import { type EventHandler, type EventHandlers, type EventOf } from '../../jobs/events.js';
import { type CouponTerms, discountReport } from '../../stripe/discounts.js';
import { type DiscountId } from '../../stripe/types.js';
import { areTermsKnown, fetchTerms, recordDiscount } from './discount-record.js';

type DiscountEvent = EventOf<'customer.discount.created' | 'customer.discount.updated' | 'customer.discount.deleted'>;

/** Those of subscriptions. What is taken off a single invoice or a payment is no matter of theirs. */
const discountTold: EventHandler<DiscountEvent, { readonly terms: CouponTerms | null }> = {
  async apply(em, { type, data }, { accountId, created }, fetched) {
    const report = discountReport(data.object);
    if (report.subscriptionId === null && report.itemId === null) return 'done';
    const terms = report.terms ?? fetched?.terms ?? null;
    if (!terms && !fetched && !(await areTermsKnown(em, report.id))) return 'fetch';
    const isOver = type === 'customer.discount.deleted';
    await recordDiscount(em, { ...report, terms }, { accountId, toldAt: created, isOver });
    // A coupon that takes the place of another is a discount of its own: the one before is over.
    const before = data.previous_attributes?.id;
    if (type === 'customer.discount.updated' && before && before !== report.id)
      await recordDiscount(em, { id: before as DiscountId }, { accountId, toldAt: created, isOver: true });
    return 'done';
  },

  // No version: what is loaded only fills in what is not known, whoever else does so meanwhile.
  load: async ({ data }, { stripe }) => ({ terms: await fetchTerms(stripe, discountReport(data.object)) }),
};

export const discountEvents = {
  'customer.discount.created': discountTold,
  'customer.discount.updated': discountTold,
  'customer.discount.deleted': discountTold,
} satisfies EventHandlers;
