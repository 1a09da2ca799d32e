import { type DriftCheck } from '../../jobs/drift.js';
import { disputeDrift } from '../disputes/dispute.drift.js';
import { accountDrift } from '../onboarding/account.drift.js';
import { paymentMethodDrift } from '../payment-methods/payment-method.drift.js';
import { invoiceDrift } from '../payments/invoice.drift.js';
import { paymentDrift } from '../payments/payment.drift.js';
import { payoutDrift } from '../payouts/payout.drift.js';
import { refundDrift } from '../refunds/refund.drift.js';
import { subscriptionDrift } from '../subscriptions/subscription.drift.js';

/** Everything that is compared with Stripe: what others point to comes first, so that a repair finds it. */
export const driftChecks: readonly DriftCheck[] = [
  accountDrift,
  paymentMethodDrift,
  subscriptionDrift,
  invoiceDrift,
  paymentDrift,
  refundDrift,
  disputeDrift,
  payoutDrift,
];
