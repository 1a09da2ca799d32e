import { type Connection } from './connection.js';
import { idOf, type Mandate, type MandateId, type PaymentMethodId } from './types.js';

// A customer's permission to debit a bank account. https://docs.stripe.com/api/mandates

const statuses = ['active', 'inactive', 'pending'] as const;

/** What Stripe says of a mandate. */
export interface MandateReport {
  readonly id: MandateId;
  readonly paymentMethodId: PaymentMethodId;
  readonly status: (typeof statuses)[number];
  /** Whether it is for one payment, which is over when it is heard of. */
  readonly isSingleUse: boolean;
}

/** The mandate as it is now. @throws AppError NOT_FOUND */
export function retrieveMandate(via: Connection, id: MandateId): Promise<Mandate> {
  return via.read({ object: 'mandate', prefix: 'mandate_', echo: { id } }, (options) =>
    via.sdk.mandates.retrieve(id, {}, options),
  );
}

/** @throws Error on a status that this version does not know: whether an account may be debited is nothing to guess */
export function mandateReport(mandate: Mandate): MandateReport {
  const status = statuses.find((known) => known === mandate.status);
  if (!status) throw new Error(`Unknown status of a mandate: ${mandate.status}`);
  return {
    id: mandate.id as MandateId,
    paymentMethodId: idOf<PaymentMethodId>(mandate.payment_method)!,
    status,
    isSingleUse: mandate.type === 'single_use',
  };
}
