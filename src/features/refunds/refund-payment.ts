import { LockMode } from '@mikro-orm/core';
import { type CommandKind } from '../../jobs/commands/kind.js';
import { AppError, badInput, notFound } from '../../shared/errors.js';
import { checkAmount } from '../../shared/money.js';
import { type Uuid } from '../../shared/uuid.js';
import { refundReport, type RefundReport } from '../../stripe/refunds.js';
import { type AccountId, type ChargeId, type RefundId } from '../../stripe/types.js';
import { audit } from '../audit/audit.js';
import { connectedAccount } from '../onboarding/connected-account.js';
import { Payment } from '../payments/payment.entity.js';
import { Refund } from './refund.entity.js';
import {
  isFeeTaken,
  noteRefundsUnderWay,
  recordRefund,
  refundableOf,
  refundKey,
  refundVersion,
} from './refund-record.js';
import { type RefundReason } from './refund-state.js';

/** What a client can give as a reason; the other one is Stripe's own. */
type ClientRefundReason = Exclude<RefundReason, RefundReason.EXPIRED_UNCAPTURED_CHARGE>;

export interface RefundPayment {
  readonly paymentId: Uuid;
  /** Minor units; null for all that is left. */
  readonly amount: number | null;
  readonly reason: ClientRefundReason | null;
  /** Whether the platform's fee goes back, too, in proportion. */
  readonly refundApplicationFee: boolean;
}

interface RefundPlan {
  readonly refundId: Uuid;
  readonly paymentId: Uuid;
  readonly stripeChargeId: ChargeId;
  readonly amount: number;
  readonly reason: ClientRefundReason | null;
  readonly refundApplicationFee: boolean;
}

/** Gives money back: the whole of a payment, or a part. */
export const refundPayment: CommandKind<RefundPayment, RefundPlan, RefundReport> = {
  name: 'refunds.create',

  async prepare(em, { paymentId, amount, reason, refundApplicationFee }, command) {
    // Locked until the row below is committed: two refunds at once must not give back the same money.
    const payment = await em.findOne(Payment, { id: paymentId }, { lockMode: LockMode.PESSIMISTIC_WRITE });
    const field = 'input.paymentId';
    if (!payment) throw notFound('payment', field);
    const { stripeAccountId, stripeChargeId, currency } = payment;
    if ((await connectedAccount(em)).stripeAccountId !== stripeAccountId)
      throw new AppError('ACCOUNT_DISCONNECTED', 'The payment is on an account that is disconnected.', { field });
    if (payment.amountReceived === 0 || !stripeChargeId)
      throw new AppError('INVALID_STATE', 'Nothing has come in that could be given back.', { field });
    if (amount !== null) checkAmount(amount, currency, 'input.amount');
    const left = await refundableOf(em, payment);
    if (left === 0) throw new AppError('INVALID_STATE', 'All of it is given back already, or about to be.', { field });
    if (amount !== null && amount > left) throw badInput('input.amount', `At most ${left} can be given back.`);

    const refund = Object.assign(new Refund(), {
      ...{ paymentId, stripeAccountId, stripeChargeId, amountMinor: amount ?? left, currency, reason },
      // Stripe refuses to give back a fee that was not taken.
      withApplicationFee: refundApplicationFee && isFeeTaken(payment),
    });
    em.persist(refund);
    payment.refundPending = true;
    command.subjectId = refund.id;
    command.stripeAccountId = stripeAccountId;
    const { amountMinor, withApplicationFee } = refund;
    audit(em, {
      actor: command.actor,
      action: 'payment.refund',
      subjectType: 'payment',
      subjectId: paymentId,
      details: { refundId: refund.id, amount: amountMinor, currency, reason, applicationFee: withApplicationFee },
    });
    return {
      ...{ refundId: refund.id, paymentId, stripeChargeId, reason },
      // Said even when it is all: what is left may be more by the time that this is sent again.
      amount: amountMinor,
      refundApplicationFee: withApplicationFee,
    };
  },

  async send({ stripe, plan }, key) {
    const input = {
      chargeId: plan.stripeChargeId,
      amount: plan.amount,
      reason: plan.reason ?? undefined,
      refundApplicationFee: plan.refundApplicationFee,
      metadata: { [refundKey]: plan.refundId },
    };
    return refundReport(await stripe.createRefund(input, { key }));
  },

  async find({ stripe, plan, command }) {
    const since = command.sentAt ?? command.createdAt;
    const metadata = { [refundKey]: plan.refundId };
    const refund = await stripe.findRefund({ metadata, since, chargeId: plan.stripeChargeId });
    return refund && refundReport(await stripe.retrieveRefund(refund.id as RefundId));
  },

  async apply(em, { command, plan }, report, fetched) {
    const source = { accountId: command.stripeAccountId as AccountId, asOf: report.created, fetched };
    if ((await recordRefund(em, report, source)) === 'unclear') return 'again';
    return { refundId: plan.refundId, paymentId: plan.paymentId, stripeRefundId: report.id };
  },

  async reject(em, { command, plan }, { code, facts }, isSettledAtOnce) {
    const { paymentId, refundId } = plan;
    await refundVersion(em, { id: paymentId }, { id: refundId });
    const payment = await em.findOneOrFail(Payment, { id: paymentId });
    const refund = await em.findOneOrFail(Refund, { id: refundId });
    if (isSettledAtOnce) {
      // Nobody has heard of it yet, and Stripe has nothing of it: it never was a refund.
      em.remove(refund);
      const { actor } = command;
      audit(em, { actor, action: 'refund.refused', subjectType: 'payment', subjectId: paymentId, details: { code } });
    } else refund.giveUp(facts.stripeCode ?? code.toLowerCase());
    await noteRefundsUnderWay(em, payment);
    return { paymentId, ...(!isSettledAtOnce && { refundId }) };
  },

  version: (em, { plan }) => refundVersion(em, { id: plan.paymentId }, { id: plan.refundId }),
  details: ({ subjectId, params }) => ({
    refundId: subjectId!,
    paymentId: (params as unknown as RefundPlan).paymentId,
  }),
};
