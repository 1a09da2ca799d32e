// Every type of event that this server is meant for, and what becomes of it. What is not named here is stored and ignored.

/** What is done about a type: the feature that handles it, or why nothing is to be done. */
interface Disposition {
  /** Which feature's table takes it. Until it does, events of the type are stored and wait for it. */
  readonly feature?: string;
  /** Stored and otherwise left alone, on purpose. */
  readonly ignored?: string;
}

const by = (feature: string): Disposition => ({ feature });

/** By type; `npm run events:replay -- --types` prints it with what this version handles. */
export const eventTypes: Readonly<Record<string, Disposition>> = {
  'payment_intent.succeeded': by('payments'),
  'payment_intent.payment_failed': by('payments'),
  'payment_intent.processing': by('payments'),
  'payment_intent.canceled': by('payments'),
  'payment_intent.requires_action': by('payments'),
  'charge.succeeded': by('payments'),
  'charge.failed': by('payments'),
  'charge.updated': by('payments'),
  'charge.refunded': by('payments'),

  'customer.subscription.created': by('subscriptions'),
  'customer.subscription.updated': by('subscriptions'),
  'customer.subscription.deleted': by('subscriptions'),
  'customer.subscription.trial_will_end': by('subscriptions'),
  'customer.subscription.paused': by('subscriptions'),
  'customer.subscription.resumed': by('subscriptions'),
  'customer.discount.created': by('subscriptions'),
  'customer.discount.updated': by('subscriptions'),
  'customer.discount.deleted': by('subscriptions'),
  'invoice.created': by('subscriptions'),
  'invoice.finalized': by('subscriptions'),
  'invoice.paid': by('subscriptions'),
  'invoice.payment_succeeded': by('subscriptions'),
  'invoice.payment_failed': by('subscriptions'),
  'invoice.payment_action_required': by('subscriptions'),
  'invoice.voided': by('subscriptions'),
  'invoice.upcoming': by('subscriptions'),

  'account.updated': by('onboarding'),
  'account.application.deauthorized': by('onboarding'),
  'capability.updated': by('onboarding'),
  'v2.core.account.updated': by('onboarding'),
  'v2.core.account.closed': by('onboarding'),
  'v2.core.account[requirements].updated': by('onboarding'),
  'v2.core.account[future_requirements].updated': by('onboarding'),
  'v2.core.account[identity].updated': by('onboarding'),
  'v2.core.account[defaults].updated': by('onboarding'),
  'v2.core.account[configuration.merchant].updated': by('onboarding'),
  'v2.core.account[configuration.merchant].capability_status_updated': by('onboarding'),
  'v2.core.account.created': { ignored: 'the account is known from the answer that made it' },

  'payment_method.attached': by('payment-methods'),
  'payment_method.detached': by('payment-methods'),
  'payment_method.updated': by('payment-methods'),
  'payment_method.automatically_updated': by('payment-methods'),
  'setup_intent.succeeded': by('payment-methods'),
  'mandate.updated': by('payment-methods'),
  'customer.deleted': by('payment-methods'),
  'setup_intent.setup_failed': { ignored: 'nothing was saved; the payer’s browser was told' },

  'refund.created': by('refunds'),
  'refund.updated': by('refunds'),
  'refund.failed': by('refunds'),
  'charge.dispute.created': by('disputes'),
  'charge.dispute.updated': by('disputes'),
  'charge.dispute.closed': by('disputes'),
  'charge.dispute.funds_withdrawn': by('disputes'),
  'charge.dispute.funds_reinstated': by('disputes'),

  'payout.created': by('payouts'),
  'payout.updated': by('payouts'),
  'payout.paid': by('payouts'),
  'payout.failed': by('payouts'),
  'payout.canceled': by('payouts'),
  'payout.reconciliation_completed': by('payouts'),
  'application_fee.created': by('ledger'),
  'application_fee.refunded': by('ledger'),

  'coupon.created': { ignored: 'what it takes off is known once it is redeemed' },
  'coupon.updated': { ignored: 'only its name can change' },
  'coupon.deleted': { ignored: 'the discounts that were made of it go on' },

  'checkout.session.completed': { ignored: 'its intent and its charge say the same in events of their own' },
};

/** Whether events of a type that nothing handles are to be kept in mind until something does. */
export function isExpected(type: string): boolean {
  return eventTypes[type]?.feature !== undefined;
}
