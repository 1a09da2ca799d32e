import { type Server } from '../client.js';
import {
  AttachPaymentMethodDocument,
  MakeDefaultDocument,
  type MethodFragment,
  OpenCustomerPortalDocument,
  PaymentMethodsScreenDocument,
  RemovePaymentMethodDocument,
  SavePaymentMethodDocument,
} from '../generated/graphql.js';

export function labelOf({ type, brand, bankName, last4, expMonth, expYear, status }: MethodFragment): string {
  const name = type === 'CARD' ? brand : bankName;
  const expiry = expMonth && expYear ? `, ${expMonth}/${expYear}` : '';
  return `${name ?? type} •••• ${last4 ?? ''}${expiry}${status === 'EXPIRED' ? ' (expired)' : ''}`;
}

export async function list(server: Server, customerId: number): Promise<MethodFragment[]> {
  return (await server.ask(PaymentMethodsScreenDocument, { customerId })).paymentMethods;
}

/** What Stripe.js needs to let the customer type a new one in: `stripe.confirmSetup`. */
export async function add(server: Server, customerId: number) {
  const input = { customerId, idempotencyKey: crypto.randomUUID() };
  return (await server.ask(SavePaymentMethodDocument, { input })).createSetupIntent;
}

export const attach = (server: Server, customerId: number, stripePaymentMethodId: string) =>
  server.ask(AttachPaymentMethodDocument, { input: { customerId, stripePaymentMethodId } });
export const makeDefault = (server: Server, paymentMethodId: string) =>
  server.ask(MakeDefaultDocument, { input: { paymentMethodId } });
export const remove = (server: Server, paymentMethodId: string) =>
  server.ask(RemovePaymentMethodDocument, { input: { paymentMethodId } });

export async function openPortal(server: Server, customerId: number): Promise<void> {
  const { createBillingPortalSession } = await server.ask(OpenCustomerPortalDocument, { input: { customerId } });
  location.assign(createBillingPortalSession.url);
}
