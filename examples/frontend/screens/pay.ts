import { type Server } from '../client.js';
import {
  InvoiceToPayDocument,
  PayInvoiceDocument,
  PaymentChangesDocument,
  SharePayLinkDocument,
} from '../generated/graphql.js';

/** The link to send to a customer: a page without a login. */
export async function payLink(server: Server, invoiceId: number): Promise<string> {
  return (await server.ask(SharePayLinkDocument, { input: { invoiceId } })).createInvoicePayLink.url;
}

/** What an own payment form gives to Stripe.js, and the news of what became of it. */
export async function payHere(server: Server, invoiceId: number, decided: (paid: boolean) => void) {
  const { invoice } = await server.ask(InvoiceToPayDocument, { id: invoiceId });
  if (!invoice || invoice.amountDue.amount === 0) return null;
  const input = { invoiceId, idempotencyKey: crypto.randomUUID() };
  const { createPaymentIntent } = await server.ask(PayInvoiceDocument, { input });
  const paymentId = createPaymentIntent.payment.id;
  const stop = server.follow(PaymentChangesDocument, { paymentId }, ({ paymentUpdated: { status } }) => {
    if (status === 'SUCCEEDED' || status === 'CANCELED') {
      stop();
      decided(status === 'SUCCEEDED');
    }
  });
  return createPaymentIntent;
}
