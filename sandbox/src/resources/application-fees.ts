import type Stripe from 'stripe';
import { type Context } from '../context.js';
import { newId } from '../ids.js';
import { embeddedList, listPage } from '../list.js';
import { inRange, listParams, p } from '../params.js';
import { type Resource } from '../resource.js';
import { route } from '../router.js';
import { applicationId, postBalanceTransaction } from './balance.js';

/** The platform's share of a charge on a connected account. It lives on the platform, and so does its event. */
export function createApplicationFee(ctx: Context, charge: Stripe.Charge, amount: number): Stripe.ApplicationFee {
  const { platform } = ctx;
  const id = newId('application_fee');
  const transaction = postBalanceTransaction(platform, {
    type: 'application_fee',
    amount,
    currency: charge.currency,
    source: id,
    description: 'Application fee',
  });
  const fee = platform.table('application_fee').insert({
    id,
    object: 'application_fee',
    account: ctx.account,
    amount,
    amount_refunded: 0,
    application: applicationId,
    balance_transaction: transaction.id,
    charge: charge.id,
    created: ctx.now,
    currency: charge.currency,
    fee_source: { charge: charge.id, type: 'charge' },
    livemode: false,
    originating_transaction: null,
    refunded: false,
    refunds: embeddedList<Stripe.FeeRefund>([], `/v1/application_fees/${id}/refunds`),
  });
  platform.emit('application_fee.created', fee);
  return fee;
}

/** Application fees; refunds of them stand in `fee-refunds.ts`. {@link https://docs.stripe.com/api/application_fees} */
export const applicationFees: Resource = {
  expandable: ['application_fee', 'originating_transaction'],
  routes: [
    route(
      'GET',
      '/v1/application_fees',
      { ...listParams, charge: p.string(), created: p.range() },
      (ctx, { charge, created, ...page }) =>
        listPage(
          ctx.table('application_fee'),
          '/v1/application_fees',
          page,
          (fee) => inRange(fee.created, created) && (charge === undefined || fee.charge === charge),
        ),
    ),
    route('GET', '/v1/application_fees/:id', {}, (ctx, _params, { id }) => ctx.table('application_fee').require(id)),
  ],
};
