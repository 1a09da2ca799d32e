import { ascending, decimal, money, readModel, text, time, uuid } from '../../db/reads/model.js';
import { type Uuid } from '../../shared/uuid.js';
import { StripeDiscount } from './discount.entity.js';

export const discountReads = readModel(StripeDiscount, {
  table: 'stripe_discounts',
  name: 'SubscriptionDiscount',
  fields: {
    id: uuid<Uuid>(),
    stripeDiscountId: text<StripeDiscount['stripeDiscountId']>(),
    name: text<string | null>(),
    duration: text<StripeDiscount['duration']>(),
    percentOff: decimal<string | null>(),
    amountOff: money('amount_off'),
    startsAt: time<Date | null>(),
    endsAt: time<Date | null>(),
  },
  order: ascending('stripeDiscountId', 'id'),
  filters: {
    isInEffect: {
      sql: (of, value) =>
        `(${of('removed_at')} is null and (${of('ends_at')} is null or ${of('ends_at')} > now())) = ${value}::boolean`,
      bind: (value) => value,
    },
  },
});
