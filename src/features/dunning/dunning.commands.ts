import { type TenantDb } from '../../db/database.js';
import { type AnyCommandKind, type CommandKind } from '../../jobs/commands/kind.js';
import { AppError } from '../../shared/errors.js';
import { type Uuid } from '../../shared/uuid.js';
import { invoiceReport } from '../../stripe/billing-reports.js';
import { type InvoiceId } from '../../stripe/types.js';
import { audit } from '../audit/audit.js';
import { cancelSubscription, pauseSubscription } from '../subscriptions/change-subscription.js';
import { DunningState } from './dunning-case.entity.js';
import { type Facts, factsOf, holdCase } from './dunning-facts.js';

/** One try to collect. Two commands for one step cannot be: the key is made of the two. */
interface RetryInvoice {
  readonly caseId: Uuid;
  readonly number: number;
}

interface RetryPlan extends RetryInvoice {
  readonly stripeInvoiceId: InvoiceId;
  /** The latest charge of the invoice that was known: by another one an attempt is told whose answer Stripe has forgotten. */
  readonly knownCharge: string | null;
}

/** What Stripe says of the try. */
interface RetryReport {
  readonly result: 'PAID' | 'PROCESSING' | 'DECLINED';
  readonly declineCode: string | null;
}

/** After so many milliseconds Stripe may have forgotten the answer that it gave under a key. */
const keyLifeMs = 22 * 3_600_000;

/**
 * Tries again to collect the invoice of a cycle. Whether there is still reason for it is looked at under the lock of the invoice, when it is
 * prepared and again right before it is sent, however much later that is.
 */
export const retryInvoice: CommandKind<RetryInvoice, RetryPlan, RetryReport> = {
  name: 'dunning.retry',

  async prepare(em, { caseId, number }, command) {
    await holdCase(em, caseId, null);
    const facts = await factsOf(em, caseId);
    const { stripeInvoiceId, stripeAccountId } = facts;
    if (facts.state !== DunningState.OPEN || facts.reason !== null || !stripeInvoiceId) throw needless();
    const [charge] = await em.execute<{ id: string | null }[]>(
      'select stripe_charge_id as id from payments where invoice_id = ? order by created_at desc, id desc limit 1',
      [facts.invoiceId],
    );
    command.subjectId = caseId;
    command.stripeAccountId = stripeAccountId;
    const subject = { subjectType: 'dunning-case', subjectId: caseId };
    audit(em, { actor: command.actor, action: 'dunning.retry', ...subject, details: { step: number } });
    return { caseId, number, stripeInvoiceId, knownCharge: charge?.id ?? null };
  },

  isNeedless: ({ db, plan }) => isOver(db, plan.caseId).then(({ isOver }) => isOver),

  async send({ stripe, plan }, key) {
    const invoice = await stripe.payInvoice(plan.stripeInvoiceId, {}, { key });
    // A bank debit takes days: then the invoice is open still.
    return { result: invoice.status === 'paid' ? 'PAID' : 'PROCESSING', declineCode: null };
  },

  async find({ stripe, plan, command }) {
    const invoice = invoiceReport(await stripe.retrieveInvoice(plan.stripeInvoiceId));
    if (invoice.status === 'paid') return { result: 'PAID', declineCode: null };
    // While Stripe knows the key, sending again tells exactly what came of it, and does nothing twice.
    const isKnown = command.keySpentAt === null && Date.now() - +(command.sentAt ?? 0) < keyLifeMs;
    const [intentId] = invoice.paymentIntentIds ?? [];
    if (isKnown || !intentId) return null;
    const intent = await stripe.retrievePaymentIntent(intentId);
    const charge = typeof intent.latest_charge === 'string' ? intent.latest_charge : (intent.latest_charge?.id ?? null);
    if (intent.status === 'processing') return { result: 'PROCESSING', declineCode: null };
    if (charge === plan.knownCharge) return null;
    const { decline_code: declined, code } = intent.last_payment_error ?? {};
    return { result: 'DECLINED', declineCode: declined ?? code ?? null };
  },

  apply: (_em, _running, { result, declineCode }) => Promise.resolve({ result, declineCode }),
  reject: () => Promise.resolve(),
};

/** For which case a subscription is changed. */
interface ForCase {
  readonly caseId: Uuid;
}

/** An end that a tenant has chosen, as a command: not for a customer who has paid since it was written down, whoever sends it and whenever. */
function unlessPaid<Params extends object, Plan extends object, Report>(
  change: CommandKind<Params, Plan, Report>,
): CommandKind<Params & ForCase, Plan & ForCase, Report> {
  return {
    ...change,
    // It stays a change of the subscription: only one of those at a time.
    name: change.name.replace('subscriptions.', 'subscriptions.dunning-'),

    async prepare(em, { caseId, ...params }, command, facts) {
      return { ...(await change.prepare(em, params as unknown as Params, command, facts)), caseId };
    },

    async isNeedless({ db, stripe, plan }) {
      const { isOver: isKnown, stripeInvoiceId } = await isOver(db, plan.caseId);
      if (isKnown || !stripeInvoiceId) return isKnown;
      // After an outage of ours the news of a payment may still be on its way.
      return invoiceReport(await stripe.retrieveInvoice(stripeInvoiceId)).status === 'paid';
    },
  };
}

/** Ends the subscription, as a case's last step. */
export const cancelUnpaid = unlessPaid(cancelSubscription);

/** Stops collecting for the subscription, as a case's last step. */
export const pauseUnpaid = unlessPaid(pauseSubscription);

/** For the recovery of commands that were cut off. */
export const dunningCommands: AnyCommandKind[] = [retryInvoice, cancelUnpaid, pauseUnpaid];

function needless(): AppError {
  return new AppError('INVALID_STATE', 'There is no more reason to collect this.');
}

/** Whether nothing more is to be done about a case, by what is known here. */
async function isOver(db: TenantDb, caseId: Uuid): Promise<Pick<Facts, 'stripeInvoiceId'> & { isOver: boolean }> {
  const { state, reason, stripeInvoiceId } = await db.transaction(async (em) => {
    await holdCase(em, caseId, null);
    return factsOf(em, caseId);
  });
  return { isOver: state !== DunningState.OPEN || reason !== null, stripeInvoiceId };
}
