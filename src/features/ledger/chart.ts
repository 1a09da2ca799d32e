import { registerEnumType } from 'type-graphql';
import { type BookingReport } from '../../stripe/bookings.js';

/** The accounts that every tenant's books have, once per currency. */
export enum LedgerAccount {
  CUSTOMER_RECEIVABLE = 'CUSTOMER_RECEIVABLE',
  STRIPE_BALANCE = 'STRIPE_BALANCE',
  STRIPE_FEES = 'STRIPE_FEES',
  APPLICATION_FEES = 'APPLICATION_FEES',
  REFUNDS = 'REFUNDS',
  DISPUTES = 'DISPUTES',
  PAYOUTS = 'PAYOUTS',
  BANK = 'BANK',
  SUSPENSE = 'SUSPENSE',
}
registerEnumType(LedgerAccount, {
  name: 'LedgerAccount',
  description: 'An account of the books; there is one of each per currency.',
  valuesConfig: {
    CUSTOMER_RECEIVABLE: {
      description: "What customers paid, as a credit: it settles what the PSA's own books say they owe.",
    },
    STRIPE_BALANCE: { description: 'What lies at Stripe. Always the balance that Stripe itself states.' },
    STRIPE_FEES: { description: 'What Stripe took.' },
    APPLICATION_FEES: { description: 'What the platform took.' },
    REFUNDS: { description: 'What customers were given back.' },
    DISPUTES: { description: 'What banks took back for disputes, less what they returned.' },
    PAYOUTS: { description: 'What has left Stripe and has not arrived at the bank.' },
    BANK: { description: 'What arrived at the bank.' },
    SUSPENSE: { description: 'What Stripe booked under a heading that is not known here. Each needs a person.' },
  },
});

/** One line of a transaction: positive is a debit, negative a credit. Minor units. */
export interface Posting {
  readonly account: LedgerAccount;
  readonly amount: number;
}

/** What stands against the money at Stripe, by Stripe's reporting category. https://docs.stripe.com/reports/reporting-categories */
const counterAccounts: Readonly<Record<string, LedgerAccount>> = {
  charge: LedgerAccount.CUSTOMER_RECEIVABLE,
  charge_failure: LedgerAccount.CUSTOMER_RECEIVABLE,
  partial_capture_reversal: LedgerAccount.CUSTOMER_RECEIVABLE,
  refund: LedgerAccount.REFUNDS,
  refund_failure: LedgerAccount.REFUNDS,
  dispute: LedgerAccount.DISPUTES,
  dispute_reversal: LedgerAccount.DISPUTES,
  payout: LedgerAccount.PAYOUTS,
  payout_reversal: LedgerAccount.PAYOUTS,
  fee: LedgerAccount.STRIPE_FEES,
  tax: LedgerAccount.STRIPE_FEES,
  platform_earning: LedgerAccount.APPLICATION_FEES,
  platform_earning_refund: LedgerAccount.APPLICATION_FEES,
};

/**
 * How a balance transaction is posted. What it changed at Stripe goes to STRIPE_BALANCE, the fees in it to theirs, and the gross stands against
 * them; so the postings always sum to zero, and STRIPE_BALANCE is what Stripe says, whatever the type.
 * @example a charge of 100.00 with fees of 3.20 and 2.50: STRIPE_BALANCE 94.30, STRIPE_FEES 3.20, APPLICATION_FEES 2.50, CUSTOMER_RECEIVABLE −100.00
 */
export function postingsOf(booking: BookingReport): Posting[] {
  const { net, stripeFee, applicationFee, amount } = booking;
  const sums = new Map<LedgerAccount, number>();
  const add = (account: LedgerAccount, change: number) => sums.set(account, (sums.get(account) ?? 0) + change);
  add(LedgerAccount.STRIPE_BALANCE, net);
  add(LedgerAccount.STRIPE_FEES, stripeFee);
  add(LedgerAccount.APPLICATION_FEES, applicationFee);
  add(counterAccountOf(booking), -amount);
  return [...sums].flatMap(([account, change]) => (change === 0 ? [] : [{ account, amount: change }]));
}

function counterAccountOf({ type, category, chargeId }: BookingReport): LedgerAccount {
  // The platform gives its fee back without a refund: Stripe counts that among fees, and names the charge.
  if (type === 'adjustment' && category === 'fee' && chargeId) return LedgerAccount.APPLICATION_FEES;
  return counterAccounts[category] ?? LedgerAccount.SUSPENSE;
}
