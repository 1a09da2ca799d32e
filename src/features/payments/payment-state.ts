import { registerEnumType } from 'type-graphql';
import { assertUnreachable } from '../../shared/errors.js';
import { type IntentReport } from '../../stripe/reports.js';

export enum PaymentStatus {
  PENDING = 'PENDING',
  ACTION_REQUIRED = 'ACTION_REQUIRED',
  PROCESSING = 'PROCESSING',
  AUTHORIZED = 'AUTHORIZED',
  SUCCEEDED = 'SUCCEEDED',
  CANCELED = 'CANCELED',
  FAILED = 'FAILED',
}
registerEnumType(PaymentStatus, {
  name: 'PaymentStatus',
  description: 'Where a payment stands. Refunds and disputes do not show here.',
  valuesConfig: {
    PENDING: { description: 'Waiting for the payer to give a payment method.' },
    ACTION_REQUIRED: { description: 'Waiting for the payer to confirm, for instance with 3D Secure.' },
    PROCESSING: { description: 'On its way; a bank debit takes days and may still fail.' },
    AUTHORIZED: { description: 'The money is held, and waits to be captured.' },
    SUCCEEDED: { description: 'The money came in. Final.' },
    CANCELED: { description: 'Given up; nothing was taken. Final.' },
    FAILED: { description: 'The last attempt failed. The payer may try again.' },
  },
});

export enum RefundState {
  NONE = 'NONE',
  PARTIAL = 'PARTIAL',
  FULL = 'FULL',
  PENDING = 'PENDING',
}
registerEnumType(RefundState, {
  name: 'RefundState',
  description: 'How much of a payment was given back.',
  valuesConfig: {
    NONE: { description: 'Nothing.' },
    PARTIAL: { description: 'A part.' },
    FULL: { description: 'All of it.' },
    PENDING: { description: 'A refund is on its way.' },
  },
});

/** What a payment's refunds amount to, in minor units. */
export interface RefundFacts {
  readonly refundPending: boolean;
  readonly amountRefunded: number;
  readonly amountReceived: number;
}

/** How much was given back, as a row of the table or the entity tells it. */
export function refundStateOf({ refundPending, amountRefunded, amountReceived }: RefundFacts): RefundState {
  if (refundPending) return RefundState.PENDING;
  if (amountRefunded === 0) return RefundState.NONE;
  return amountRefunded >= amountReceived ? RefundState.FULL : RefundState.PARTIAL;
}

/** https://docs.stripe.com/api/disputes/object#dispute_object-status */
export enum DisputeState {
  NONE = 'NONE',
  WARNING_NEEDS_RESPONSE = 'WARNING_NEEDS_RESPONSE',
  WARNING_UNDER_REVIEW = 'WARNING_UNDER_REVIEW',
  WARNING_CLOSED = 'WARNING_CLOSED',
  NEEDS_RESPONSE = 'NEEDS_RESPONSE',
  UNDER_REVIEW = 'UNDER_REVIEW',
  WON = 'WON',
  LOST = 'LOST',
  PREVENTED = 'PREVENTED',
  APPEAL_NEEDS_RESPONSE = 'APPEAL_NEEDS_RESPONSE',
  APPEAL_UNDER_REVIEW = 'APPEAL_UNDER_REVIEW',
}
registerEnumType(DisputeState, {
  name: 'DisputeState',
  description: 'Where a dispute of a payment stands, as Stripe has it.',
  valuesConfig: {
    NONE: { description: 'It was never disputed.' },
    WARNING_NEEDS_RESPONSE: { description: 'An inquiry came in and waits for an answer.' },
    WARNING_UNDER_REVIEW: { description: 'The answer to an inquiry is being looked at.' },
    WARNING_CLOSED: { description: 'The inquiry ended without a dispute.' },
    NEEDS_RESPONSE: { description: 'Disputed; evidence is due.' },
    UNDER_REVIEW: { description: 'The evidence is being looked at.' },
    WON: { description: 'Decided for the tenant; the money is back.' },
    LOST: { description: 'Decided for the payer.' },
    PREVENTED: { description: 'Settled before it became a dispute.' },
    APPEAL_NEEDS_RESPONSE: { description: 'An appeal waits for an answer.' },
    APPEAL_UNDER_REVIEW: { description: 'An appeal is being looked at.' },
  },
});

/** https://docs.stripe.com/payments/paymentintents/lifecycle */
export function paymentStatusOf({ status, lastError }: Pick<IntentReport, 'status' | 'lastError'>): PaymentStatus {
  switch (status) {
    case 'requires_payment_method':
      return lastError ? PaymentStatus.FAILED : PaymentStatus.PENDING;
    case 'requires_confirmation':
    case 'requires_action':
      return PaymentStatus.ACTION_REQUIRED;
    case 'processing':
      return PaymentStatus.PROCESSING;
    case 'requires_capture':
      return PaymentStatus.AUTHORIZED;
    case 'succeeded':
      return PaymentStatus.SUCCEEDED;
    case 'canceled':
      return PaymentStatus.CANCELED;
    default:
      return assertUnreachable(status);
  }
}

/** A final status is never left: a late failure of an old attempt undoes nothing. */
export function isFinalStatus(status: PaymentStatus): boolean {
  return status === PaymentStatus.SUCCEEDED || status === PaymentStatus.CANCELED;
}
