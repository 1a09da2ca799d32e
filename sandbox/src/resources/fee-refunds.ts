import type Stripe from 'stripe';
import { type Context } from '../context.js';
import { invalid, missing } from '../errors.js';
import { newId } from '../ids.js';
import { embeddedList, listPage } from '../list.js';
import { showMoney } from '../money.js';
import { idOf } from '../objects.js';
import { listParams, type Metadata, mergeMetadata, p } from '../params.js';
import { type Resource } from '../resource.js';
import { route } from '../router.js';
import { applicationId, postBalanceTransaction } from './balance.js';

const refundsOf = (platform: Context, fee: string): Stripe.FeeRefund[] =>
  platform.table('fee_refund').by('fee', fee).reverse();

function renewList(platform: Context, fee: Stripe.ApplicationFee): void {
  fee.refunds = embeddedList(refundsOf(platform, fee.id), `/v1/application_fees/${fee.id}/refunds`);
}

/**
 * How much of an application fee goes back with a refund of `amount`: in proportion, and what is left when the refund is the last.
 * Call it before the charge's `amount_refunded` grows. {@link https://docs.stripe.com/connect/direct-charges#issue-refunds}
 * @throws StripeError 400 when no fee was taken, and when the platform refunds a charge of its own
 */
export function feeShare(
  ctx: Context,
  charge: Stripe.Charge,
  amount: number,
): { fee: Stripe.ApplicationFee; share: number } {
  if (ctx.isPlatform)
    throw invalid(
      `Only an application generating a fee can call refund_application_fee on ${charge.id}`,
      'refund_application_fee',
    );
  const fee = ctx.platform.table('application_fee').get(idOf(charge.application_fee) ?? '');
  if (!fee)
    throw invalid(
      `Attempting to refund_application_fee on ${charge.id}, but it has no application fee`,
      'refund_application_fee',
    );
  const left = fee.amount - fee.amount_refunded;
  const isLast = charge.amount_refunded + amount >= charge.amount;
  const captured = charge.amount_captured || charge.amount;
  return { fee, share: isLast ? left : Math.min(left, Math.round((fee.amount * amount) / captured)) };
}

/**
 * Gives a part of an application fee back to the connected account; the platform pays. Emits `application_fee.refunded` on the platform.
 * @param platform the platform's context, where the fee lives
 */
export function refundFee(
  platform: Context,
  fee: Stripe.ApplicationFee,
  amount: number,
  metadata: Metadata = {},
): Stripe.FeeRefund {
  const id = newId('fee_refund');
  const transaction = postBalanceTransaction(platform, {
    type: 'application_fee_refund',
    amount: -amount,
    currency: fee.currency,
    source: id,
    description: 'Application fee refund',
  });
  const refund = platform.table('fee_refund').insert({
    id,
    object: 'fee_refund',
    amount,
    balance_transaction: transaction.id,
    created: platform.now,
    currency: fee.currency,
    fee: fee.id,
    metadata,
  });
  platform.change(fee, 'application_fee.refunded', () => {
    fee.amount_refunded += amount;
    fee.refunded = fee.amount_refunded === fee.amount;
    renewList(platform, fee);
  });
  return refund;
}

function create(
  ctx: Context,
  params: { amount?: number; metadata?: Metadata | null },
  id: string,
): { fee: Stripe.ApplicationFee; refund: Stripe.FeeRefund } {
  const fee = ctx.table('application_fee').require(id, 'fee');
  const left = fee.amount - fee.amount_refunded;
  if (left === 0)
    throw invalid(
      `Application fee ${fee.id} has already been refunded.`,
      undefined,
      'application_fee_already_refunded',
    );
  const amount = params.amount ?? left;
  if (amount < 1)
    throw invalid('This value must be greater than or equal to 1.', 'amount', 'parameter_invalid_integer');
  if (amount > left)
    throw invalid(
      `Refund amount (${showMoney(amount, fee.currency)}) is greater than unrefunded amount on fee (${showMoney(left, fee.currency)})`,
      'amount',
    );
  const refund = refundFee(ctx, fee, amount, params.metadata ?? {});
  // The charge itself was not refunded, so the account's side is an entry of its own.
  postBalanceTransaction(ctx.on(idOf(fee.account)), {
    type: 'adjustment',
    amount,
    currency: fee.currency,
    source: idOf(fee.charge),
    description: `Application fee refund (${applicationId})`,
    reportingCategory: 'fee',
    availableOn: ctx.now,
  });
  return { fee, refund };
}

const createParams = { amount: p.int(), metadata: p.metadata() };

function find(ctx: Context, fee: string, id: string): Stripe.FeeRefund {
  ctx.table('application_fee').require(fee, 'fee');
  const refund = ctx.table('fee_refund').get(id);
  if (refund?.fee !== fee) throw missing('fee_refund', id, 'id');
  return refund;
}

/** Refunds of application fees, made by the platform. {@link https://docs.stripe.com/api/fee_refunds} */
export const feeRefunds: Resource = {
  expandable: ['fee'],
  routes: [
    route(
      'POST',
      '/v1/application_fees/:id/refunds',
      createParams,
      (ctx, params, { id }) => create(ctx, params, id).refund,
    ),
    /** The former way; it answers with the fee. */
    route(
      'POST',
      '/v1/application_fees/:id/refund',
      createParams,
      (ctx, params, { id }) => create(ctx, params, id).fee,
    ),
    route('GET', '/v1/application_fees/:id/refunds', listParams, (ctx, params, { id }) => {
      ctx.table('application_fee').require(id, 'id');
      return listPage(refundsOf(ctx, id), `/v1/application_fees/${id}/refunds`, params);
    }),
    route('GET', '/v1/application_fees/:fee/refunds/:id', {}, (ctx, _params, { fee, id }) => find(ctx, fee, id)),
    route(
      'POST',
      '/v1/application_fees/:fee/refunds/:id',
      { metadata: p.metadata() },
      (ctx, { metadata }, { fee, id }) => {
        const refund = ctx.change(find(ctx, fee, id), 'application_fee.refund.updated', (row) => {
          row.metadata = mergeMetadata(row.metadata ?? {}, metadata);
        });
        renewList(ctx, ctx.table('application_fee').require(fee));
        return refund;
      },
    ),
  ],
};
