import { type EntityManager } from '@mikro-orm/postgresql';
import { enqueue } from '../../jobs/commands/enqueue.js';
import { systemKey } from '../../jobs/commands/kind.js';
import { type Uuid } from '../../shared/uuid.js';
import { type AccountId, type PaymentIntentId } from '../../stripe/types.js';
import { audit } from '../audit/audit.js';

/** Stripe's words. https://docs.stripe.com/api/payment_intents/cancel */
export type CancellationReason = 'abandoned' | 'duplicate' | 'fraudulent' | 'requested_by_customer';

/** What is sent to give a payment up. */
export interface CancelPlan {
  readonly stripePaymentIntentId: PaymentIntentId;
  readonly reason: CancellationReason | null;
}

/** The kind of command that gives a payment up. */
export const cancelKind = 'payments.cancel';

/**
 * Gives up what is still open of an invoice that is paid: a payer who has another tab open must not pay it again. Carried out by recovery;
 * who is quicker than that has paid twice, and it shows. Money that is held or on its way is left to people, and what came in is not open, also
 * where its charge was heard of before its intent.
 */
export async function cancelSuperseded(em: EntityManager, invoiceId: number): Promise<void> {
  const open = await em.execute<{ id: Uuid; intent: PaymentIntentId; account: AccountId }[]>(
    `select id, stripe_payment_intent_id as intent, stripe_account_id as account from payments
     where invoice_id = ? and status in ('PENDING', 'ACTION_REQUIRED', 'FAILED') and amount_received = 0
       and stripe_payment_intent_id is not null`,
    [invoiceId],
  );
  for (const { id, intent, account } of open) {
    const actor = 'system';
    const plan: CancelPlan = { stripePaymentIntentId: intent, reason: 'duplicate' };
    const key = systemKey('cancel-superseded', id);
    const isNew = await enqueue(em, { kind: cancelKind, key, plan, subjectId: id, stripeAccountId: account, actor });
    const details = { reason: plan.reason, invoiceId };
    if (isNew) audit(em, { actor, action: 'payment.cancel', subjectType: 'payment', subjectId: id, details });
  }
}
