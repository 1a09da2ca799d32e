import { type EntityManager } from '@mikro-orm/postgresql';
import { type CommandKind, systemKey } from '../../jobs/commands/kind.js';
import { type Commands } from '../../jobs/commands/commands.js';
import { AppError } from '../../shared/errors.js';
import { applicationFee, type FeeRule } from '../../shared/fee.js';
import { type AccountId, type InvoiceId } from '../../stripe/types.js';
import { stripeConfigOf } from '../onboarding/connected-account.js';
import { StripeSubscription } from '../subscriptions/subscription.entity.js';
import { type CycleInvoice, lockCycle } from './invoice-record.js';

// A subscription takes a percentage only. What else the platform takes is set on each invoice while it is a draft, which it is for about
// an hour; Stripe charges it as it stands when the invoice is finalized. https://docs.stripe.com/connect/subscriptions

interface DraftFee {
  readonly stripeInvoiceId: InvoiceId;
  readonly accountId: AccountId;
  /** Minor units. */
  readonly fee: number;
}

/** Sets the platform's fee on a draft. */
export const setDraftFee: CommandKind<DraftFee, DraftFee, { readonly fee: number }> = {
  name: 'invoices.set-fee',
  // The same value again is the same fee.
  isRepeatable: true,

  prepare(_em, params, command) {
    command.subjectId = params.stripeInvoiceId;
    command.stripeAccountId = params.accountId;
    return Promise.resolve(params);
  },

  async send({ stripe, plan: { stripeInvoiceId, fee } }, key) {
    await stripe.setInvoiceFee(stripeInvoiceId, { applicationFee: fee }, { key });
    return { fee };
  },

  // An invoice does not show the fee that was set on it.
  find: () => Promise.resolve(null),

  async apply(em, { plan }, { fee }) {
    const known = await lockCycle(em, plan.stripeInvoiceId, plan.accountId);
    if (known) known.cycle.applicationFee = fee;
    return { stripeInvoiceId: plan.stripeInvoiceId };
  },

  reject: () => Promise.resolve(),
};

/**
 * What is to be set on a draft for the platform, in minor units; null when the subscription's own percentage comes to the same, when it is
 * set already, or when nothing is due. The tenant's rule of today counts, also where the subscription was made under an older one.
 */
export async function missingFee(
  em: EntityManager,
  { invoice, cycle }: CycleInvoice,
  amountDue: number,
): Promise<number | null> {
  if (invoice.stripeStatus !== 'draft' || amountDue <= 0 || cycle.subscriptionId === null) return null;
  // The first invoice is finalized as it is made: nobody ever gets at its draft.
  if (cycle.billingReason === 'subscription_create') return null;
  const config = await stripeConfigOf(em);
  if (!config || config.disconnectedAt || config.stripeAccountId !== cycle.stripeAccountId) return null;
  const subscription = await em.findOneOrFail(StripeSubscription, { id: cycle.subscriptionId });
  if (cycle.applicationFee === null && isPercentage(config.feeRule, subscription.applicationFeePercent)) return null;
  const fee = applicationFee(amountDue, invoice.currency, config.feeRule) ?? 0;
  // Stripe takes no more than the total, although what is due may be more.
  const capped = Math.min(fee, invoice.totalMinor);
  return capped > 0 && capped !== cycle.applicationFee ? capped : null;
}

function isPercentage({ percent, fixed }: FeeRule, known: string | null): boolean {
  return fixed === 0 && Number(percent) === Number(known ?? 0);
}

/**
 * Sets the platform's fee on a draft, once, whatever happens in between.
 * @throws AppError STRIPE_UNAVAILABLE · RATE_LIMITED · OUTCOME_UNKNOWN: ask again
 */
export async function ensureDraftFee(commands: Commands, params: DraftFee): Promise<void> {
  const { accountId, stripeInvoiceId, fee } = params;
  try {
    await commands.run(setDraftFee, {
      idempotencyKey: systemKey('invoice-fee', accountId, stripeInvoiceId, String(fee)),
      params,
      actor: 'system',
    });
  } catch (error) {
    // Finalized meanwhile: the percentage alone was taken, and no later try changes that.
    if (!(error instanceof AppError && ['INVALID_STATE', 'STRIPE_REJECTED', 'NOT_FOUND'].includes(error.code)))
      throw error;
  }
}
