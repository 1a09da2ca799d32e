import { registerEnumType } from 'type-graphql';
import { type RefundReport } from '../../stripe/refunds.js';

/** https://docs.stripe.com/refunds#refund-object */
export enum RefundStatus {
  PENDING = 'PENDING',
  REQUIRES_ACTION = 'REQUIRES_ACTION',
  SUCCEEDED = 'SUCCEEDED',
  FAILED = 'FAILED',
  CANCELED = 'CANCELED',
}
registerEnumType(RefundStatus, {
  name: 'RefundStatus',
  description: 'Where a refund stands.',
  valuesConfig: {
    PENDING: { description: 'On its way.' },
    REQUIRES_ACTION: { description: 'Waiting for the payer, who must say where the money is to go.' },
    SUCCEEDED: { description: 'Sent to the payer. The bank may still send it back, even weeks later.' },
    FAILED: { description: 'The money did not reach the payer and is back with the tenant. Final.' },
    CANCELED: { description: 'Given up before it was sent. Final.' },
  },
});

/** The values are Stripe's. https://docs.stripe.com/api/refunds/create#create_refund-reason */
export enum RefundReason {
  DUPLICATE = 'duplicate',
  FRAUDULENT = 'fraudulent',
  REQUESTED_BY_CUSTOMER = 'requested_by_customer',
  EXPIRED_UNCAPTURED_CHARGE = 'expired_uncaptured_charge',
}
registerEnumType(RefundReason, {
  name: 'RefundReason',
  description: 'Why money is given back.',
  valuesConfig: {
    DUPLICATE: { description: 'It was paid twice.' },
    FRAUDULENT: { description: 'Somebody else paid with it. Stripe blocks the card from then on.' },
    REQUESTED_BY_CUSTOMER: { description: 'The customer wants it so.' },
    EXPIRED_UNCAPTURED_CHARGE: { description: "Stripe's own: money that was held was not taken in time." },
  },
});

/** Stripe's word → ours. */
export function refundStatusOf(status: RefundReport['status']): RefundStatus {
  return RefundStatus[status.toUpperCase() as keyof typeof RefundStatus];
}

/** How far along a status is. It never goes back, so most reports are ordered by this alone. */
export function progressOf(status: RefundStatus): number {
  if (status === RefundStatus.FAILED || status === RefundStatus.CANCELED) return 2;
  return status === RefundStatus.SUCCEEDED ? 1 : 0;
}
