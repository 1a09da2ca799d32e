import { type TenantDb } from '../../db/database.js';
import { AppError, notFound } from '../../shared/errors.js';
import { type AccountStripe } from '../../stripe/account-stripe.js';
import { invoiceReport } from '../../stripe/billing-reports.js';
import { type StripeService } from '../../stripe/stripe.service.js';
import { type AccountId, type InvoiceId } from '../../stripe/types.js';
import { StripeInvoice } from '../invoices/stripe-invoice.entity.js';
import { lockCycle } from '../invoices/invoice-record.js';
import { chargeableAccount } from '../onboarding/connected-account.js';
import { Payment } from './payment.entity.js';
import { linkToInvoice } from './payment-record.js';

// Stripe collects the invoice of a cycle by an intent of its own. A payer who is there confirms that same intent: whoever comes second, the
// payer or Stripe's next try, finds it paid. https://docs.stripe.com/api/invoices/object#invoice_object-confirmation_secret

/** An intent that a payer's browser can confirm. */
export interface CycleIntent {
  readonly clientSecret: string;
  readonly stripeAccountId: AccountId;
}

interface CycleToPay {
  readonly invoiceId: number;
  /** What the payer was shown, in minor units: nobody pays another amount. */
  readonly amount: number;
  /** Kept with the payment, here and not at Stripe. */
  readonly metadata: Readonly<Record<string, unknown>>;
}

/**
 * The intent by which Stripe collects the invoice of a cycle; its payment is known here from now on.
 * @throws AppError NOT_FOUND · TENANT_NOT_READY · ACCOUNT_DISCONNECTED · INVALID_STATE when another amount is due by now, or nothing; and what
 *   {@link AccountStripe.retrieveInvoice} throws
 */
export async function cycleIntent(
  db: TenantDb,
  stripe: StripeService,
  { invoiceId, amount, metadata }: CycleToPay,
): Promise<CycleIntent> {
  const { stripeInvoiceId, stripeAccountId } = await db.transaction(async (em) => {
    const config = await chargeableAccount(em);
    const cycle = await em.findOne(StripeInvoice, { invoiceId });
    if (!cycle) throw notFound('invoice');
    if (cycle.stripeAccountId !== config.stripeAccountId)
      throw new AppError('ACCOUNT_DISCONNECTED', 'The invoice is on an account that is disconnected.');
    return cycle;
  });
  const { intentIds, clientSecret } = await payable(stripe.forAccount(stripeAccountId), stripeInvoiceId, amount);
  const intentId = intentIds.find((id) => clientSecret.startsWith(`${id}_secret_`));
  if (intentId)
    await db.transaction(async (em) => {
      const known = await lockCycle(em, stripeInvoiceId, stripeAccountId);
      if (!known) return;
      // Whether it fails is then seen here, although it may never be paid.
      await linkToInvoice(em, known, { id: intentId, amount });
      const payment = await em.findOneOrFail(Payment, { stripePaymentIntentId: intentId, stripeAccountId });
      payment.metadata = { ...payment.metadata, ...metadata };
    });
  return { clientSecret, stripeAccountId };
}

async function payable(stripe: AccountStripe, id: InvoiceId, amount: number) {
  const invoice = await stripe.retrieveInvoice(id);
  const { status, amountRemaining, paymentIntentIds } = invoiceReport(invoice);
  if (status !== 'open' || amountRemaining !== amount)
    throw new AppError('INVALID_STATE', 'Something else is due by now.');
  const clientSecret = invoice.confirmation_secret?.client_secret;
  if (!clientSecret) throw new AppError('INVALID_STATE', 'Stripe has no payment of this invoice to confirm.');
  return { clientSecret, intentIds: paymentIntentIds ?? [] };
}
