import { type Server } from '../client.js';
import { ReplayWebhookDocument, WebhookPayloadDocument, WebhookScreenDocument } from '../generated/graphql.js';

/** Events that need somebody: given up, or failed and to be tried again. */
export async function troubled(server: Server) {
  const { webhookEvents } = await server.ask(WebhookScreenDocument, {
    first: 50,
    filter: { status: ['DEAD', 'FAILED'] },
  });
  return webhookEvents.nodes;
}

export async function payload(server: Server, id: string): Promise<Record<string, unknown> | null> {
  return (await server.ask(WebhookPayloadDocument, { id })).webhookEvent?.payload ?? null;
}

export const replay = (server: Server, id: string) => server.ask(ReplayWebhookDocument, { input: { id } });
