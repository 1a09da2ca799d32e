import { LockMode } from '@mikro-orm/core';
import { type EntityManager } from '@mikro-orm/postgresql';
import { type CommandKind } from '../../jobs/commands/kind.js';
import { type Command } from '../../jobs/commands/command.entity.js';
import { AppError, badInput, notFound } from '../../shared/errors.js';
import { applicationFee } from '../../shared/fee.js';
import { checkAmount, minorStep } from '../../shared/money.js';
import { type Uuid } from '../../shared/uuid.js';
import { type IntentReport, intentReport } from '../../stripe/reports.js';
import { type AccountId, type PaymentIntentId } from '../../stripe/types.js';
import { audit } from '../audit/audit.js';
import { connectedAccount } from '../onboarding/connected-account.js';
import { Payment } from './payment.entity.js';
import { paymentVersion, recordIntent, stampOf } from './payment-record.js';
import { PaymentStatus } from './payment-state.js';
import { type CancellationReason, cancelKind, type CancelPlan } from './superseded.js';

export interface CapturePayment {
  readonly paymentId: Uuid;
  /** Minor units; null for all that is held. */
  readonly amount: number | null;
}

interface CapturePlan {
  readonly stripePaymentIntentId: PaymentIntentId;
  readonly amount: number | null;
  readonly applicationFee: number | null;
}

/** Takes money that is held. */
export const capturePayment: CommandKind<CapturePayment, CapturePlan, IntentReport> = {
  name: 'payments.capture',

  async prepare(em, { paymentId, amount }, command) {
    const { payment, stripePaymentIntentId } = await lockForChange(em, paymentId, command);
    if (payment.status !== PaymentStatus.AUTHORIZED) throw wrongState(payment, 'captured');
    if (amount !== null) {
      checkAmount(amount, payment.currency, 'input.amount');
      if (amount > payment.amountMinor) throw badInput('input.amount', `At most ${payment.amountMinor} is held.`);
    }
    const details = { amount: amount ?? payment.amountMinor, currency: payment.currency };
    audit(em, {
      actor: command.actor,
      action: 'payment.capture',
      subjectType: 'payment',
      subjectId: paymentId,
      details,
    });
    return { stripePaymentIntentId, amount, applicationFee: amount === null ? null : feeOfPart(payment, amount) };
  },

  async send({ stripe, plan }, key) {
    const part = { amount: plan.amount ?? undefined, applicationFee: plan.applicationFee ?? undefined };
    return intentReport(await stripe.capturePaymentIntent(plan.stripePaymentIntentId, part, { key }));
  },

  find: async ({ stripe, plan }) => {
    const intent = await stripe.retrievePaymentIntent(plan.stripePaymentIntentId);
    return intent.status === 'requires_capture' ? null : intentReport(intent);
  },

  apply: (em, { command }, report, fetched) => settle(em, command, report, fetched, 'succeeded'),
  reject: async () => {},
  version: (em, { command }) => paymentVersion(em, { id: command.subjectId! }),
  details: ({ subjectId }) => ({ paymentId: subjectId! }),
};

export interface CancelPayment {
  readonly paymentId: Uuid;
  readonly reason: CancellationReason | null;
}

/** Gives a payment up before its money came in, and releases what is held. */
export const cancelPayment: CommandKind<CancelPayment, CancelPlan, IntentReport> = {
  name: cancelKind,
  // It is sent again only after a look that found it open.
  isRepeatable: true,

  async prepare(em, { paymentId, reason }, command) {
    const { payment, stripePaymentIntentId } = await lockForChange(em, paymentId, command);
    if (payment.isFinal) throw wrongState(payment, 'canceled');
    audit(em, {
      actor: command.actor,
      action: 'payment.cancel',
      subjectType: 'payment',
      subjectId: paymentId,
      details: { reason },
    });
    return { stripePaymentIntentId, reason };
  },

  async send({ stripe, plan }, key) {
    const reason = plan.reason ?? undefined;
    return intentReport(await stripe.cancelPaymentIntent(plan.stripePaymentIntentId, { reason }, { key }));
  },

  find: async ({ stripe, plan }) => {
    const intent = await stripe.retrievePaymentIntent(plan.stripePaymentIntentId);
    return intent.status === 'canceled' || intent.status === 'succeeded' ? intentReport(intent) : null;
  },

  apply: (em, { command }, report, fetched) => settle(em, command, report, fetched, 'canceled'),
  reject: async () => {},
  version: (em, { command }) => paymentVersion(em, { id: command.subjectId! }),
  details: ({ subjectId }) => ({ paymentId: subjectId! }),
};

async function lockForChange(
  em: EntityManager,
  id: Uuid,
  command: Command,
): Promise<{ payment: Payment; stripePaymentIntentId: PaymentIntentId }> {
  const payment = await em.findOne(Payment, { id }, { lockMode: LockMode.PESSIMISTIC_WRITE });
  if (!payment) throw notFound('payment', 'input.paymentId');
  const config = await connectedAccount(em);
  if (config.stripeAccountId !== payment.stripeAccountId)
    throw new AppError('ACCOUNT_DISCONNECTED', 'The payment is on an account that is disconnected.');
  command.subjectId = id;
  command.stripeAccountId = payment.stripeAccountId;
  const { stripePaymentIntentId } = payment;
  if (stripePaymentIntentId) return { payment, stripePaymentIntentId };
  if (payment.isFinal) throw wrongState(payment, 'changed');
  throw new AppError('CONFLICT', 'The payment is still being made.', { field: 'input.paymentId' });
}

/**
 * The fee for a part of what is held, by the rule of the time. Left out, Stripe would take the fee of the whole; and it takes no zero,
 * so where the part is too small for a fee the smallest step is taken.
 */
function feeOfPart({ requestedApplicationFee, feeRule, currency }: Payment, amount: number): number | null {
  if (requestedApplicationFee === null || !feeRule) return null;
  return applicationFee(amount, currency, feeRule) ?? minorStep(currency);
}

async function settle(
  em: EntityManager,
  { subjectId, stripeAccountId }: Command,
  report: IntentReport,
  fetched: boolean,
  wanted: IntentReport['status'],
) {
  const source = { accountId: stripeAccountId as AccountId, asOf: stampOf(report), fetched };
  if ((await recordIntent(em, report, source)) === 'unclear') return 'again' as const;
  if (report.status === wanted) return { paymentId: subjectId };
  const message = `The payment is ${report.status.replaceAll('_', ' ')}.`;
  return new AppError('INVALID_STATE', message, { paymentId: subjectId, field: 'input.paymentId' });
}

function wrongState({ status }: Payment, verb: string): AppError {
  const state = status.toLowerCase().replaceAll('_', ' ');
  return new AppError('INVALID_STATE', `The payment is ${state}: it cannot be ${verb}.`, { field: 'input.paymentId' });
}
