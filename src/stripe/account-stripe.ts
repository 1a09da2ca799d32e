import { AccountBilling } from './account-billing.js';
import * as bookings from './bookings.js';
import * as charges from './charges.js';
import * as customers from './customers.js';
import * as events from './events.js';
import * as intents from './payment-intents.js';
import * as mandates from './mandates.js';
import * as methods from './payment-methods.js';
import * as setups from './setup-intents.js';
import type * as ids from './types.js';
import { type Keyed, type Lookup } from './types.js';

/**
 * Stripe as one tenant's account sees it: every call carries that account. What changes something takes Stripe's idempotency key.
 * The functions behind the methods say more about each.
 */
export class AccountStripe extends AccountBilling {
  /** {@link intents.createPaymentIntent} */
  createPaymentIntent(input: intents.CreatePaymentIntent, keyed: Keyed): Promise<ids.PaymentIntent> {
    return intents.createPaymentIntent(this.via, input, keyed);
  }

  /** {@link intents.retrievePaymentIntent} */
  retrievePaymentIntent(id: ids.PaymentIntentId): Promise<ids.PaymentIntent> {
    return intents.retrievePaymentIntent(this.via, id);
  }

  /** {@link intents.confirmPaymentIntent} */
  confirmPaymentIntent(
    id: ids.PaymentIntentId,
    input: intents.ConfirmPaymentIntent,
    keyed: Keyed,
  ): Promise<ids.PaymentIntent> {
    return intents.confirmPaymentIntent(this.via, id, input, keyed);
  }

  /** {@link intents.capturePaymentIntent} */
  capturePaymentIntent(
    id: ids.PaymentIntentId,
    input: intents.CapturePaymentIntent,
    keyed: Keyed,
  ): Promise<ids.PaymentIntent> {
    return intents.capturePaymentIntent(this.via, id, input, keyed);
  }

  /** {@link intents.cancelPaymentIntent} */
  cancelPaymentIntent(
    id: ids.PaymentIntentId,
    input: { readonly reason?: intents.CancellationReason },
    keyed: Keyed,
  ): Promise<ids.PaymentIntent> {
    return intents.cancelPaymentIntent(this.via, id, input, keyed);
  }

  /** {@link intents.findPaymentIntent} */
  findPaymentIntent(lookup: Lookup & { readonly customerId?: ids.CustomerId }): Promise<ids.PaymentIntent | null> {
    return intents.findPaymentIntent(this.via, lookup);
  }

  /** {@link intents.listPaymentIntents} */
  listPaymentIntents(since: Date): AsyncGenerator<ids.PaymentIntent> {
    return intents.listPaymentIntents(this.via, since);
  }

  /** {@link customers.createCustomer} */
  createCustomer(input: customers.CreateCustomer, keyed: Keyed): Promise<ids.Customer> {
    return customers.createCustomer(this.via, input, keyed);
  }

  /** {@link customers.updateCustomer} */
  updateCustomer(id: ids.CustomerId, input: Partial<customers.CreateCustomer>, keyed: Keyed): Promise<ids.Customer> {
    return customers.updateCustomer(this.via, id, input, keyed);
  }

  /** {@link customers.retrieveCustomer} */
  retrieveCustomer(id: ids.CustomerId): Promise<ids.Customer | null> {
    return customers.retrieveCustomer(this.via, id);
  }

  /** {@link customers.findCustomer} */
  findCustomer(lookup: Lookup & { readonly email?: string }): Promise<ids.Customer | null> {
    return customers.findCustomer(this.via, lookup);
  }

  /** {@link methods.attachPaymentMethod} */
  attachPaymentMethod(
    id: ids.PaymentMethodId,
    input: { readonly customerId: ids.CustomerId; readonly asDefault?: boolean },
    keyed: Keyed,
  ): Promise<ids.PaymentMethod> {
    return methods.attachPaymentMethod(this.via, id, input, keyed);
  }

  /** {@link methods.setDefaultPaymentMethod} */
  setDefaultPaymentMethod(customerId: ids.CustomerId, id: ids.PaymentMethodId | null, keyed: Keyed): Promise<void> {
    return methods.setDefaultPaymentMethod(this.via, customerId, id, keyed);
  }

  /** {@link methods.detachPaymentMethod} */
  detachPaymentMethod(id: ids.PaymentMethodId, keyed: Keyed): Promise<ids.PaymentMethod> {
    return methods.detachPaymentMethod(this.via, id, keyed);
  }

  /** {@link methods.retrievePaymentMethod} */
  retrievePaymentMethod(id: ids.PaymentMethodId): Promise<ids.PaymentMethod> {
    return methods.retrievePaymentMethod(this.via, id);
  }

  /** {@link mandates.retrieveMandate} */
  retrieveMandate(id: ids.MandateId): Promise<ids.Mandate> {
    return mandates.retrieveMandate(this.via, id);
  }

  /** {@link methods.listPaymentMethods} */
  listPaymentMethods(customerId: ids.CustomerId): Promise<ids.PaymentMethod[]> {
    return methods.listPaymentMethods(this.via, customerId);
  }

  /** {@link setups.createSetupIntent} */
  createSetupIntent(input: setups.CreateSetupIntent, keyed: Keyed): Promise<ids.SetupIntent> {
    return setups.createSetupIntent(this.via, input, keyed);
  }

  /** {@link setups.retrieveSetupIntent} */
  retrieveSetupIntent(id: ids.SetupIntentId): Promise<ids.SetupIntent> {
    return setups.retrieveSetupIntent(this.via, id);
  }

  /** {@link setups.cancelSetupIntent} */
  cancelSetupIntent(id: ids.SetupIntentId, keyed: Keyed): Promise<ids.SetupIntent> {
    return setups.cancelSetupIntent(this.via, id, keyed);
  }

  /** {@link setups.findSetupIntent} */
  findSetupIntent(lookup: Lookup & { readonly customerId?: ids.CustomerId }): Promise<ids.SetupIntent | null> {
    return setups.findSetupIntent(this.via, lookup);
  }

  /** {@link charges.retrieveCharge} */
  retrieveCharge(id: ids.ChargeId): Promise<ids.Charge> {
    return charges.retrieveCharge(this.via, id);
  }

  /** {@link charges.retrieveBalanceTransaction} */
  retrieveBalanceTransaction(id: string): Promise<ids.BalanceTransaction> {
    return charges.retrieveBalanceTransaction(this.via, id);
  }

  /** {@link charges.listBalanceTransactions} */
  listBalanceTransactions(payout: ids.PayoutId): AsyncGenerator<ids.BalanceTransaction> {
    return charges.listBalanceTransactions(this.via, payout);
  }

  /** {@link bookings.bookingsAfter} */
  bookingsAfter(after: string | null): AsyncGenerator<bookings.BookingReport[]> {
    return bookings.bookingsAfter(this.via, after);
  }

  /** {@link charges.retrieveBalance} */
  retrieveBalance(): Promise<ids.Balance> {
    return charges.retrieveBalance(this.via);
  }

  /** {@link charges.retrievePayout} */
  retrievePayout(id: ids.PayoutId): Promise<ids.Payout> {
    return charges.retrievePayout(this.via, id);
  }

  /** {@link charges.listPayouts} */
  listPayouts(since: Date | null): AsyncGenerator<ids.Payout> {
    return charges.listPayouts(this.via, since);
  }

  /** {@link events.listEvents} */
  listEvents(filter: { readonly since: Date; readonly types?: readonly string[] }): AsyncGenerator<ids.StripeEvent> {
    return events.listEvents(this.via, filter);
  }

  /** {@link events.retrieveEvent} */
  retrieveEvent(id: ids.EventId): Promise<ids.StripeEvent> {
    return events.retrieveEvent(this.via, id);
  }
}
