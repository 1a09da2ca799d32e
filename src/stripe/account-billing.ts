import * as portal from './billing-portal.js';
import { type Connection } from './connection.js';
import * as discounts from './discounts.js';
import * as disputes from './disputes.js';
import * as files from './files.js';
import * as invoices from './invoices.js';
import * as refunds from './refunds.js';
import * as subscriptions from './subscriptions.js';
import type * as ids from './types.js';
import { type Keyed, type Lookup } from './types.js';

/** The half of {@link AccountStripe} that comes after a payment or repeats it: refunds, disputes, subscriptions, their invoices. */
export class AccountBilling {
  constructor(protected readonly via: Connection) {}

  /** {@link refunds.createRefund} */
  createRefund(input: refunds.CreateRefund, keyed: Keyed): Promise<ids.Refund> {
    return refunds.createRefund(this.via, input, keyed);
  }

  /** {@link refunds.retrieveRefund} */
  retrieveRefund(id: ids.RefundId): Promise<ids.Refund> {
    return refunds.retrieveRefund(this.via, id);
  }

  /** {@link refunds.listRefunds} */
  listRefunds(charge: ids.ChargeId): AsyncGenerator<ids.Refund> {
    return refunds.listRefunds(this.via, charge);
  }

  /** {@link refunds.listRecentRefunds} */
  listRecentRefunds(since: Date): AsyncGenerator<ids.Refund> {
    return refunds.listRecentRefunds(this.via, since);
  }

  /** {@link refunds.findRefund} */
  findRefund(lookup: Lookup & { readonly chargeId?: ids.ChargeId }): Promise<ids.Refund | null> {
    return refunds.findRefund(this.via, lookup);
  }

  /** {@link disputes.retrieveDispute} */
  retrieveDispute(id: ids.DisputeId): Promise<ids.Dispute> {
    return disputes.retrieveDispute(this.via, id);
  }

  /** {@link disputes.listDisputes} */
  listDisputes(since: Date | null): AsyncGenerator<ids.Dispute> {
    return disputes.listDisputes(this.via, since);
  }

  /** {@link disputes.updateDispute} */
  updateDispute(
    id: ids.DisputeId,
    input: Parameters<typeof disputes.updateDispute>[2],
    keyed: Keyed,
  ): Promise<ids.Dispute> {
    return disputes.updateDispute(this.via, id, input, keyed);
  }

  /** {@link disputes.closeDispute} */
  closeDispute(id: ids.DisputeId, keyed: Keyed): Promise<ids.Dispute> {
    return disputes.closeDispute(this.via, id, keyed);
  }

  /** {@link files.uploadEvidenceFile} */
  uploadEvidenceFile(file: files.UploadFile, keyed: Keyed): Promise<ids.FileId> {
    return files.uploadEvidenceFile(this.via, file, keyed);
  }

  /** {@link subscriptions.createPrice} */
  createPrice(input: subscriptions.CreatePrice, keyed: Keyed): Promise<ids.Price> {
    return subscriptions.createPrice(this.via, input, keyed);
  }

  /** {@link subscriptions.createSubscription} */
  createSubscription(input: subscriptions.CreateSubscription, keyed: Keyed): Promise<ids.Subscription> {
    return subscriptions.createSubscription(this.via, input, keyed);
  }

  /** {@link subscriptions.retrieveSubscription} */
  retrieveSubscription(id: ids.SubscriptionId): Promise<ids.Subscription> {
    return subscriptions.retrieveSubscription(this.via, id);
  }

  /** {@link discounts.retrieveCoupon} */
  retrieveCoupon(id: string): Promise<ids.Coupon> {
    return discounts.retrieveCoupon(this.via, id);
  }

  /** {@link discounts.listDiscounts} */
  listDiscounts(subscription: ids.SubscriptionId): Promise<discounts.DiscountReport[]> {
    return discounts.listDiscounts(this.via, subscription);
  }

  /** {@link subscriptions.listSubscriptions} */
  listSubscriptions(since: Date): AsyncGenerator<ids.Subscription> {
    return subscriptions.listSubscriptions(this.via, since);
  }

  /** {@link subscriptions.findSubscription} */
  findSubscription(lookup: Lookup & { readonly customerId?: ids.CustomerId }): Promise<ids.Subscription | null> {
    return subscriptions.findSubscription(this.via, lookup);
  }

  /** {@link subscriptions.updateSubscription} */
  updateSubscription(
    id: ids.SubscriptionId,
    input: subscriptions.UpdateSubscription,
    keyed: Keyed,
  ): Promise<ids.Subscription> {
    return subscriptions.updateSubscription(this.via, id, input, keyed);
  }

  /** {@link subscriptions.scheduleCancellation} */
  scheduleCancellation(
    id: ids.SubscriptionId,
    at: subscriptions.CancellationDate,
    keyed: Keyed & { readonly metadata?: ids.Metadata },
  ): Promise<ids.Subscription> {
    return subscriptions.scheduleCancellation(this.via, id, at, keyed);
  }

  /** {@link subscriptions.pauseCollection} */
  pauseCollection(
    id: ids.SubscriptionId,
    pause: subscriptions.CollectionPause | null,
    keyed: Keyed & { readonly metadata?: ids.Metadata },
  ): Promise<ids.Subscription> {
    return subscriptions.pauseCollection(this.via, id, pause, keyed);
  }

  /** {@link subscriptions.cancelSubscription} */
  cancelSubscription(
    id: ids.SubscriptionId,
    input: { readonly prorate: boolean },
    keyed: Keyed,
  ): Promise<ids.Subscription> {
    return subscriptions.cancelSubscription(this.via, id, input, keyed);
  }

  /** {@link subscriptions.pauseSubscription} */
  pauseSubscription(id: ids.SubscriptionId, keyed: Keyed): Promise<ids.Subscription> {
    return subscriptions.pauseSubscription(this.via, id, keyed);
  }

  /** {@link subscriptions.resumeSubscription} */
  resumeSubscription(id: ids.SubscriptionId, keyed: Keyed): Promise<ids.Subscription> {
    return subscriptions.resumeSubscription(this.via, id, keyed);
  }

  /** {@link invoices.retrieveInvoice} */
  retrieveInvoice(id: ids.InvoiceId): Promise<ids.Invoice> {
    return invoices.retrieveInvoice(this.via, id);
  }

  /** {@link invoices.listInvoices} */
  listInvoices(filter: {
    readonly subscriptionId?: ids.SubscriptionId;
    readonly since: Date | null;
  }): AsyncGenerator<ids.Invoice> {
    return invoices.listInvoices(this.via, filter);
  }

  /** {@link invoices.listInvoiceLines} */
  listInvoiceLines(id: ids.InvoiceId): Promise<ids.InvoiceLineItem[]> {
    return invoices.listInvoiceLines(this.via, id);
  }

  /** {@link invoices.setInvoiceFee} */
  setInvoiceFee(id: ids.InvoiceId, input: { readonly applicationFee: number }, keyed: Keyed): Promise<ids.Invoice> {
    return invoices.setInvoiceFee(this.via, id, input, keyed);
  }

  /** {@link invoices.previewInvoice} */
  previewInvoice(input: invoices.PreviewChange): Promise<ids.Invoice> {
    return invoices.previewInvoice(this.via, input);
  }

  /** {@link invoices.payInvoice} */
  payInvoice(
    id: ids.InvoiceId,
    input: { readonly paymentMethodId?: ids.PaymentMethodId },
    keyed: Keyed,
  ): Promise<ids.Invoice> {
    return invoices.payInvoice(this.via, id, input, keyed);
  }

  /** {@link invoices.voidInvoice} */
  voidInvoice(id: ids.InvoiceId, keyed: Keyed): Promise<ids.Invoice> {
    return invoices.voidInvoice(this.via, id, keyed);
  }

  /** {@link portal.createBillingPortalSession} */
  createBillingPortalSession(
    input: { readonly customerId: ids.CustomerId; readonly returnUrl: string },
    keyed: Keyed,
  ): Promise<{ url: string }> {
    return portal.createBillingPortalSession(this.via, input, keyed);
  }
}
