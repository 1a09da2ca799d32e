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

/** The kind of command that asks for money. */
export const createKind = 'payments.create';

/** A payment of an invoice of which nothing came in so far, and something may. */
export interface OpenPayment {
  readonly id: Uuid;
  /** Null until Stripe answered. */
  readonly intent: PaymentIntentId | null;
  readonly account: AccountId;
  /** Minor units. */
  readonly amount: number;
  /** Whether the money is held or on its way, or may be: Stripe was asked to take it, and what came of it is not known. */
  readonly isMoving: boolean;
  /** Whether, by what Stripe last said, its payer can still pay it. Alone this holds nothing. */
  readonly isWaiting: boolean;
}

/** What is open of an invoice, on the account that is connected: from another one nothing is heard any more. */
export async function openPayments(em: EntityManager, invoiceId: number): Promise<OpenPayment[]> {
  const rows = await em.execute<(Omit<OpenPayment, 'amount'> & { readonly amount: string | number })[]>(
    `select id, stripe_payment_intent_id as intent, stripe_account_id as account, amount,
       status in ('PENDING', 'ACTION_REQUIRED', 'FAILED') as "isWaiting",
       status in ('PROCESSING', 'AUTHORIZED') or exists (
         select from commands where state in ('PENDING', 'UNKNOWN') and kind = ? and subject_id = p.id::text
           and (params ->> 'confirm')::boolean) as "isMoving"
     from payments p where invoice_id = ? and status not in ('SUCCEEDED', 'CANCELED') and amount_received = 0
       and exists (select from stripe_config c where c.stripe_account_id = p.stripe_account_id and c.disconnected_at is null)`,
    [createKind, invoiceId],
  );
  return rows.map((row) => ({ ...row, amount: Number(row.amount) }));
}

/** Minor units that are held or on their way, or may be. An intent that waits for its payer holds nothing. */
export function underWay(open: readonly OpenPayment[]): number {
  return open.reduce((sum, { isMoving, amount }) => sum + (isMoving ? amount : 0), 0);
}

/**
 * Gives up whatever still waits for its payer and is more than what is due beside the money that is on its way: a payer who has another tab
 * open must not pay twice. Carried out by recovery; who is quicker than that has paid too much, and it shows. Money that is held or on its way
 * is left to people, and what came in is not open, also where its charge was heard of before its intent.
 * @param invoice what is due of it, in minor units
 */
export async function cancelSuperseded(
  em: EntityManager,
  { id: invoiceId, dueMinor }: { readonly id: number; readonly dueMinor: number },
  open: readonly OpenPayment[],
): Promise<void> {
  for (const { id, intent, account, amount, isWaiting, isMoving } of open) {
    const room = dueMinor - underWay(open) + (isMoving ? amount : 0);
    if (!isWaiting || intent === null || amount <= room) continue;
    const actor = 'system';
    const plan: CancelPlan = { stripePaymentIntentId: intent, reason: 'duplicate' };
    const key = systemKey('cancel-superseded', id);
    const isNew = await enqueue(em, { kind: cancelKind, key, plan, subjectId: id, stripeAccountId: account, actor });
    const details = { reason: plan.reason, invoiceId };
    if (isNew) audit(em, { actor, action: 'payment.cancel', subjectType: 'payment', subjectId: id, details });
  }
}
