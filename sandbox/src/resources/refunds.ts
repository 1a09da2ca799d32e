import type Stripe from 'stripe';
import { type Context } from '../context.js';
import { invalid, missing, StripeError } from '../errors.js';
import { newId, randomText } from '../ids.js';
import { listPage } from '../list.js';
import { showMoney } from '../money.js';
import { idOf } from '../objects.js';
import { inRange, listParams, mergeMetadata, type Params, p } from '../params.js';
import { type Resource } from '../resource.js';
import { route } from '../router.js';
import { applicationId, postBalanceTransaction } from './balance.js';
import { settleCharge } from './charges.js';
import { feeShare, refundFee } from './fee-refunds.js';
import { behaviourOf } from './payment-methods.js';

const scoped = {
  amount: p.int().check((value) => {
    if (value < 1)
      throw invalid('This value must be greater than or equal to 1.', 'amount', 'parameter_invalid_integer');
  }),
  instructions_email: p.string(),
  metadata: p.metadata(),
  reason: p.enum('duplicate', 'fraudulent', 'requested_by_customer'),
  refund_application_fee: p.boolean(),
  reverse_transfer: p.boolean(),
};
const createParams = {
  ...scoped,
  charge: p.string(),
  payment_intent: p.string(),
  // Refunds of a customer's cash balance; that balance is not there.
  currency: p.string(),
  customer: p.string(),
  origin: p.enum('customer_balance'),
};
type CreateRefund = Params<typeof createParams>;

/** Stripe says "some time later"; here it is a time that tests can advance to. {@link https://docs.stripe.com/testing#refunds} */
const pendingSeconds = 3_600;
const failsAfterSeconds = 86_400;
/** Bank debits go back the slow way they came. {@link https://docs.stripe.com/payments/ach-direct-debit#refunds} */
const debitRefundSeconds = 4 * 86_400;

function intentToRefund(ctx: Context, id: string): string {
  const intent = ctx.table('payment_intent').require(id, 'payment_intent');
  const charge = ctx.table('charge').get(idOf(intent.latest_charge) ?? '');
  if (!charge || charge.status === 'failed')
    throw invalid(`This PaymentIntent (${id}) does not have a successful charge to refund.`);
  return charge.id;
}

/** @throws StripeError 400 `charge_already_refunded` | `charge_disputed`, or without a code for what cannot be refunded */
function chargeToRefund(ctx: Context, params: CreateRefund): Stripe.Charge {
  const { charge: named, payment_intent: intent } = params;
  if (named === undefined && intent === undefined)
    throw invalid('One of the following params should be provided for this request: payment_intent or charge.');
  const charge = ctx.table('charge').require(named ?? intentToRefund(ctx, intent!), 'id');
  if (named !== undefined && intent !== undefined && idOf(charge.payment_intent) !== intent)
    throw invalid(`The charge ${named} does not belong to the PaymentIntent ${intent}.`, 'payment_intent');
  if (!charge.captured)
    throw invalid(
      `Charge ${charge.id} has not been captured. You must cancel the PaymentIntent ${idOf(charge.payment_intent) ?? ''} instead of refunding it.`,
    );
  if (charge.status !== 'succeeded')
    throw invalid(
      `This PaymentIntent (${idOf(charge.payment_intent) ?? charge.id}) does not have a successful charge to refund.`,
    );
  // Money that the bank has taken back cannot be given back once more; an inquiry took none.
  if (
    ctx
      .table('dispute')
      .by('charge', charge.id)
      .some((dispute) => !dispute.is_charge_refundable)
  )
    throw invalid(`Charge ${charge.id} has been charged back; cannot issue a refund.`, undefined, 'charge_disputed');
  if (charge.amount_refunded >= charge.amount)
    throw invalid(`Charge ${charge.id} has already been refunded.`, undefined, 'charge_already_refunded');
  return charge;
}

function destination(charge: Stripe.Charge): Stripe.Refund.DestinationDetails {
  const type = charge.payment_method_details?.type ?? 'card';
  if (type === 'card')
    return {
      card: { reference_status: 'pending', reference_type: 'acquirer_reference_number', type: 'refund' },
      type: 'card',
    };
  return type === 'us_bank_account'
    ? { type: 'us_bank_transfer', us_bank_transfer: { reference: null, reference_status: null } }
    : { type };
}

/** Books a refund: the charge, the account's balance and, when asked for, the application fee. {@link https://docs.stripe.com/refunds} */
export function createRefund(ctx: Context, params: CreateRefund): Stripe.Refund {
  if (params.origin !== undefined) throw invalid('There is no customer balance to refund from.', 'origin');
  const charge = chargeToRefund(ctx, params);
  const left = charge.amount - charge.amount_refunded;
  const amount = params.amount ?? left;
  if (amount > left) {
    const [asked, rest] = [showMoney(amount, charge.currency), showMoney(left, charge.currency)];
    throw invalid(
      charge.amount_refunded > 0
        ? `Refund amount (${asked}) is greater than unrefunded amount on charge (${rest})`
        : `Refund amount (${asked}) is greater than charge amount (${rest})`,
      'amount',
    );
  }
  if (params.reverse_transfer)
    throw invalid(
      `Attempting to reverse_transfer on ${charge.id}, but it has no associated transfer`,
      'reverse_transfer',
    );
  const customer = idOf(charge.customer);
  return ctx.atTimeOf(customer === null ? null : ctx.table('customer').get(customer), () => {
    // The fee object comes with settlement, which may still be a moment away.
    if (charge.balance_transaction === null) ctx.change(charge, 'charge.updated', () => settleCharge(ctx, charge));
    const fee = params.refund_application_fee ? feeShare(ctx, charge, amount) : null;
    return book(ctx, charge, amount, fee, params);
  });
}

function book(
  ctx: Context,
  charge: Stripe.Charge,
  amount: number,
  fee: ReturnType<typeof feeShare> | null,
  params: CreateRefund,
): Stripe.Refund {
  const behaviour = behaviourOf(ctx, charge.payment_method);
  const isCard = charge.payment_method_details?.type === 'card';
  const pending = !isCard || behaviour.refund === 'pending';
  const id = newId('refund');
  const paid = ctx.table('balance_transaction').get(idOf(charge.balance_transaction) ?? '');
  const transaction = postBalanceTransaction(ctx, {
    type: isCard ? 'refund' : 'payment_refund',
    amount: -amount,
    currency: charge.currency,
    source: id,
    description: `REFUND FOR ${isCard ? 'CHARGE' : 'PAYMENT'}${charge.description === null ? '' : ` (${charge.description})`}`,
    // Money that is not available yet is given back out of what is pending.
    ...(paid?.status === 'pending' && { availableOn: paid.available_on }),
    ...(fee &&
      fee.share > 0 && {
        fees: [
          {
            amount: -fee.share,
            application: applicationId,
            currency: charge.currency,
            description: 'local-stripe application fee',
            type: 'application_fee',
          },
        ],
      }),
  });
  const refund = ctx.table('refund').insert({
    id,
    object: 'refund',
    amount,
    balance_transaction: transaction.id,
    charge: charge.id,
    created: ctx.now,
    currency: charge.currency,
    customer: idOf(charge.customer),
    customer_account: null,
    destination_details: destination(charge),
    ...(params.instructions_email && { instructions_email: params.instructions_email }),
    metadata: mergeMetadata({}, params.metadata),
    payment_intent: idOf(charge.payment_intent),
    payment_method: charge.payment_method,
    ...(pending && { pending_reason: 'processing' as const }),
    reason: params.reason ?? null,
    receipt_number: null,
    source_transfer_reversal: null,
    status: pending ? 'pending' : 'succeeded',
    transfer_reversal: null,
  });
  ctx.emit('refund.created', refund);
  ctx.change(charge, 'charge.refunded', () => {
    charge.amount_refunded += amount;
    charge.refunded = charge.amount_refunded === charge.amount;
  });
  if (fee && fee.share > 0) refundFee(ctx.platform, fee.fee, fee.share);
  ctx.sandbox.hook('chargeRefunded', ctx, charge, refund);
  if (pending) ctx.schedule(ctx.now + (isCard ? pendingSeconds : debitRefundSeconds), 'refund.succeed', id);
  else {
    if (behaviour.refund === 'fails') ctx.schedule(ctx.now + failsAfterSeconds, 'refund.fail', id);
    ctx.schedule(ctx.sandbox.clock.unpinned() + (2 * ctx.sandbox.options.settleMs) / 1000, 'refund.reference', id);
  }
  return refund;
}

/** Stripe tells every change of a refund twice, once under the charge's name. */
function changeRefund(ctx: Context, refund: Stripe.Refund, work: () => void): Stripe.Refund {
  const before = JSON.parse(JSON.stringify(refund)) as object;
  work();
  const json = JSON.stringify(refund);
  if (json === JSON.stringify(before)) return refund;
  ctx.emit('refund.updated', refund, { before, json });
  ctx.emit('charge.refund.updated', refund, { before, json });
  return refund;
}

/** The money comes back to the account: the bank did not take it, or the refund was canceled. */
function takeBack(ctx: Context, refund: Stripe.Refund): void {
  const transaction = postBalanceTransaction(ctx, {
    type: 'refund_failure',
    amount: refund.amount,
    currency: refund.currency,
    source: refund.id,
    description: 'REFUND FAILURE',
    availableOn: ctx.now,
  });
  refund.failure_balance_transaction = transaction.id;
  delete refund.pending_reason;
  const charge = ctx.table('charge').require(idOf(refund.charge) ?? '');
  ctx.change(charge, 'charge.updated', () => {
    charge.amount_refunded -= refund.amount;
    charge.refunded = false;
  });
}

/** A refund that the bank sent back, possibly long after it had succeeded. {@link https://docs.stripe.com/refunds#failed-refunds} */
export function failRefund(ctx: Context, refund: Stripe.Refund, reason: string): void {
  if (refund.status === 'failed' || refund.status === 'canceled') return;
  changeRefund(ctx, refund, () => {
    refund.status = 'failed';
    refund.failure_reason = reason;
    takeBack(ctx, refund);
  });
  ctx.emit('refund.failed', refund);
}

function succeedRefund(ctx: Context, refund: Stripe.Refund): void {
  changeRefund(ctx, refund, () => {
    refund.status = 'succeeded';
    delete refund.pending_reason;
  });
}

function cancelRefund(ctx: Context, refund: Stripe.Refund): Stripe.Refund {
  if (refund.status !== 'requires_action') throw invalid('Canceling this refund is unsupported.');
  return changeRefund(ctx, refund, () => {
    refund.status = 'canceled';
    delete refund.next_action;
    takeBack(ctx, refund);
  });
}

const refundsPath = '/v1/refunds';

/** Refunds. {@link https://docs.stripe.com/api/refunds} */
export const refunds: Resource = {
  expandable: ['refund'],
  due: {
    'refund.succeed': (ctx, { ref }) => {
      const refund = ctx.table('refund').get(ref);
      if (refund?.status === 'pending') succeedRefund(ctx, refund);
    },
    'refund.fail': (ctx, { ref }) => {
      const refund = ctx.table('refund').get(ref);
      if (refund) failRefund(ctx, refund, 'expired_or_canceled_card');
    },
    'refund.reference': (ctx, { ref }) => {
      const refund = ctx.table('refund').get(ref);
      if (refund?.status !== 'succeeded') return;
      changeRefund(ctx, refund, () => {
        refund.destination_details!.card = {
          ...refund.destination_details!.card!,
          reference: `7${Array.from(randomText(22), (letter) => letter.charCodeAt(0) % 10).join('')}`,
          reference_status: 'available',
        };
      });
    },
  },
  routes: [
    route('POST', refundsPath, createParams, createRefund),
    route(
      'GET',
      refundsPath,
      { ...listParams, charge: p.string(), created: p.range(), payment_intent: p.string() },
      (ctx, { charge, created, payment_intent: intent, ...page }) =>
        listPage(
          charge === undefined ? ctx.table('refund') : ctx.table('refund').by('charge', charge).reverse(),
          refundsPath,
          page,
          (refund) => inRange(refund.created, created) && (intent === undefined || refund.payment_intent === intent),
        ),
    ),
    route('GET', '/v1/refunds/:id', {}, (ctx, _params, { id }) => ctx.table('refund').require(id, 'refund')),
    route('POST', '/v1/refunds/:id', { metadata: p.metadata() }, (ctx, { metadata }, { id }) => {
      const refund = ctx.table('refund').require(id, 'refund');
      return changeRefund(ctx, refund, () => {
        refund.metadata = mergeMetadata(refund.metadata ?? {}, metadata);
      });
    }),
    route('POST', '/v1/refunds/:id/cancel', {}, (ctx, _params, { id }) =>
      cancelRefund(ctx, ctx.table('refund').require(id, 'refund')),
    ),
    // Older names; the list is where `charge.refunds` points to.
    route('GET', '/v1/charges/:id/refunds', listParams, (ctx, page, { id }) => {
      ctx.table('charge').require(id, 'charge');
      return listPage(ctx.table('refund').by('charge', id).reverse(), `/v1/charges/${id}/refunds`, page);
    }),
    route('POST', '/v1/charges/:id/refunds', scoped, (ctx, params, { id }) =>
      createRefund(ctx, { ...params, charge: id }),
    ),
    route('POST', '/v1/charges/:id/refund', scoped, (ctx, params, { id }) => {
      createRefund(ctx, { ...params, charge: id });
      return ctx.table('charge').require(id);
    }),
    /** What the bank makes of a refund, at once. */
    route(
      'POST',
      '/_control/refunds/:id',
      {
        status: p.enum('succeeded', 'failed', 'requires_action').required(),
        failure_reason: p.string(),
      },
      (ctx, { status, failure_reason: reason }, { id }) => {
        for (const { account } of ctx.sandbox.store.all()) {
          const own = ctx.on(account);
          const refund = own.table('refund').get(id);
          if (!refund) continue;
          if (status === 'failed') failRefund(own, refund, reason ?? 'unknown');
          else if (refund.status !== 'pending')
            throw new StripeError(400, `The refund is ${refund.status}; only a pending one can become ${status}.`);
          else if (status === 'succeeded') succeedRefund(own, refund);
          else
            changeRefund(own, refund, () => {
              refund.status = 'requires_action';
              delete refund.pending_reason;
            });
          return refund;
        }
        throw missing('refund', id);
      },
      'public',
    ),
  ],
};
