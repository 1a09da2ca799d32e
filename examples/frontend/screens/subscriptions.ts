import { type Server } from '../client.js';
import {
  CancelSubscriptionDocument,
  ChangeSeatsDocument,
  PauseSubscriptionDocument,
  PreviewSeatsDocument,
  ResumeSubscriptionDocument,
  StartSubscriptionDocument,
  SubscriptionDashboardDocument,
  type SubscriptionRowFragment,
} from '../generated/graphql.js';

export async function active(server: Server): Promise<SubscriptionRowFragment[]> {
  const { subscriptions } = await server.ask(SubscriptionDashboardDocument, {
    first: 50,
    filter: { status: ['ACTIVE'] },
  });
  return subscriptions.nodes;
}

/** @returns the secret with which Stripe.js confirms the first payment; null when none is needed */
export async function start(server: Server, contractId: number, quantity: number): Promise<string | null> {
  const input = { contractId, quantity, idempotencyKey: crypto.randomUUID() };
  const { createSubscription } = await server.ask(StartSubscriptionDocument, { input });
  return createSubscription.clientSecret ?? null;
}

/** Shows what a change of seats costs before it is made. */
export async function changeSeats(
  server: Server,
  id: string,
  quantity: number,
  agreed: (total: string, lines: readonly string[]) => Promise<boolean>,
): Promise<void> {
  const input = { id, quantity, idempotencyKey: crypto.randomUUID() };
  const { subscriptionPreview: preview } = await server.ask(PreviewSeatsDocument, { input });
  const lines = preview.lines.map(({ description, amount }) => `${description ?? ''} ${amount.formatted}`);
  if (await agreed(preview.total.formatted, lines)) await server.ask(ChangeSeatsDocument, { input });
}

export const cancel = (server: Server, id: string, atPeriodEnd: boolean) =>
  server.ask(CancelSubscriptionDocument, { input: { id, atPeriodEnd } });
export const pause = (server: Server, id: string) => server.ask(PauseSubscriptionDocument, { input: { id } });
export const resume = (server: Server, id: string) => server.ask(ResumeSubscriptionDocument, { input: { id } });
