import { type Commands } from '../../jobs/commands/commands.js';
import { AppError } from '../../shared/errors.js';
import { type Uuid } from '../../shared/uuid.js';
import { createPayment } from '../payments/create-payment.js';
import { SubscriptionPauseBehavior } from '../subscriptions/subscription-state.js';
import { stepKey } from './dunning-cases.js';
import { DunningEnd, DunningRetries } from './dunning-settings.entity.js';
import { type Facts } from './dunning-facts.js';
import { type DunningOutcome } from './dunning-step.entity.js';
import { cancelUnpaid, pauseUnpaid, retryInvoice } from './dunning.commands.js';

/** What came of what was tried at Stripe. `AGAIN`: not known yet, or not possible now; the same is asked again later, and done once. */
export interface Result {
  readonly outcome: Exclude<`${DunningOutcome}`, 'PLANNED' | 'RUNNING'> | 'AGAIN';
  readonly declineCode: string | null;
}

/** Under whose name the audit log and the commands show what is done by the clock. */
const dunningActor = 'dunning';

const notNow = new Set([
  'CONFLICT',
  'OUTCOME_UNKNOWN',
  'STRIPE_UNAVAILABLE',
  'RATE_LIMITED',
  'TENANT_NOT_READY',
  'INTERNAL',
]);

/** Whether an error says that the same may be asked for again, and that nothing is known yet. */
export function isForLater(code: string): boolean {
  return notNow.has(code);
}

/** The key of what ends a case. Not `end`: former versions used that for commands of other kinds, which did not look whether it was paid. */
export function endKey(caseId: Uuid): string {
  return `dunning:${caseId}:ending`;
}

/** Tries to collect, once for the step. */
export async function attempt(commands: Commands, facts: Facts, number: number): Promise<Result> {
  try {
    return facts.stripeInvoiceId
      ? await attemptCycle(commands, facts, number)
      : await attemptPayment(commands, facts, number);
  } catch (error) {
    return resultOf(error);
  }
}

async function attemptCycle(commands: Commands, { id }: Facts, number: number): Promise<Result> {
  const { outcome } = await commands.run(retryInvoice, {
    idempotencyKey: stepKey(id, number),
    params: { caseId: id, number },
    actor: dunningActor,
  });
  return { outcome: outcome.result as Result['outcome'], declineCode: outcome.declineCode ?? null };
}

/** An invoice that no subscription made is Stripe's only as a payment: another one is made, with the method that the customer has saved. */
async function attemptPayment(commands: Commands, facts: Facts, number: number): Promise<Result> {
  const { id, invoiceId } = facts;
  const methodId = (await askedWith(commands, stepKey(id, number))) ?? facts.methodId;
  if (methodId === null) return { outcome: 'REFUSED', declineCode: null };
  const { outcome } = await commands.run(createPayment, {
    idempotencyKey: stepKey(id, number),
    params: {
      ...{ invoiceId, paymentMethodId: methodId, confirm: true, offSession: true },
      ...{ customerId: null, amount: null, currency: null, savePaymentMethod: false, captureLater: false },
      ...{ description: null, metadata: {} },
    },
    actor: dunningActor,
  });
  const [payment] = await commands.db.transaction((em) =>
    em.execute<{ status: string; code: string | null }[]>(
      'select status, coalesce(failure_decline_code, failure_code) as code from payments where id = ?',
      [outcome.paymentId],
    ),
  );
  switch (payment?.status) {
    case 'SUCCEEDED':
      return { outcome: 'PAID', declineCode: null };
    case 'ACTION_REQUIRED':
      return { outcome: 'ACTION_REQUIRED', declineCode: 'authentication_required' };
    case 'FAILED':
    case 'CANCELED':
      return { outcome: 'DECLINED', declineCode: payment.code };
    default:
      return { outcome: 'PROCESSING', declineCode: null };
  }
}

/** The method of a payment that a worker asked for before it died: the customer may have another one by now, and that would be another payment. */
async function askedWith({ db }: Commands, key: string): Promise<Uuid | null> {
  const [asked] = await db.transaction((em) =>
    em.execute<{ id: Uuid }[]>(
      `select m.id from commands c join payment_methods m on m.tenant_id = c.tenant_id
         and m.stripe_payment_method_id = c.params ->> 'stripePaymentMethodId' where c.idempotency_key = ?`,
      [key],
    ),
  );
  return asked?.id ?? null;
}

/**
 * Brings about the chosen end, once. What Stripe does by itself is left to it.
 * @returns `SKIPPED` when the invoice was paid meanwhile, or there is no more reason otherwise
 */
export async function bringAboutEnd(commands: Commands, facts: Facts): Promise<Result> {
  const { id, end, retries, subscriptionId } = facts;
  const done: Result = { outcome: 'DONE', declineCode: null };
  if (subscriptionId === null || retries === DunningRetries.STRIPE || end === DunningEnd.LEAVE) return done;
  const common = { idempotencyKey: endKey(id), actor: dunningActor };
  try {
    if (end === DunningEnd.CANCEL) {
      const params = { caseId: id, id: subscriptionId, atPeriodEnd: false, undo: false, prorate: false };
      await commands.run(cancelUnpaid, { ...common, params });
    } else {
      const behavior = SubscriptionPauseBehavior.KEEP_AS_DRAFT;
      const params = { caseId: id, id: subscriptionId, behavior, resumesAt: null };
      await commands.run(pauseUnpaid, { ...common, params });
    }
    return done;
  } catch (error) {
    if (error instanceof AppError && error.details.isNeedless) return { outcome: 'SKIPPED', declineCode: null };
    const { outcome, declineCode } = resultOf(error);
    // It has ended already: somebody was quicker.
    return { outcome: outcome === 'SKIPPED' ? 'DONE' : outcome === 'REFUSED' ? 'FAILED' : outcome, declineCode };
  }
}

/** What an error means for a step. */
function resultOf(error: unknown): Result {
  if (!(error instanceof AppError)) throw error;
  const { code, details } = error;
  const stripeCode = textOf(details.stripeCode);
  const declineCode = textOf(details.declineCode) ?? stripeCode;
  if (code === 'PAYMENT_ACTION_REQUIRED' || stripeCode === 'invoice_payment_intent_requires_action')
    return { outcome: 'ACTION_REQUIRED', declineCode: 'authentication_required' };
  if (code === 'CARD_DECLINED') return { outcome: 'DECLINED', declineCode };
  if (isForLater(code)) return { outcome: 'AGAIN', declineCode: null };
  // It was removed, or its mandate has ended: the invoice is still to be paid.
  if (code === 'INVALID_STATE' && details.field === 'input.paymentMethodId')
    return { outcome: 'REFUSED', declineCode: 'debit_not_authorized' };
  const isNeedless =
    code === 'INVALID_STATE' || code === 'ACCOUNT_DISCONNECTED' || stripeCode === 'invoice_already_paid';
  return { outcome: isNeedless ? 'SKIPPED' : 'REFUSED', declineCode: isNeedless ? null : declineCode };
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}
