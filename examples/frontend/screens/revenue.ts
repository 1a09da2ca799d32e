import { type Server } from '../client.js';
import { RevenueDashboardDocument } from '../generated/graphql.js';

/** What is there, what is on its way, and what was paid out lately. */
export async function overview(server: Server): Promise<string[]> {
  const { balance, payouts } = await server.ask(RevenueDashboardDocument, { first: 10 });
  return [
    ...balance.available.map(({ formatted }) => `${formatted} available`),
    ...balance.pending.map(({ formatted }) => `${formatted} on its way`),
    ...payouts.nodes.map(
      ({ amount, status, arrivalDate }) => `${amount.formatted} ${status.toLowerCase()}, ${arrivalDate}`,
    ),
  ];
}
