import { type Server } from '../client.js';
import { RevenueDashboardDocument } from '../generated/graphql.js';

/** What is there, what is on its way, what was paid out lately; and how the months went: what came in, what recurs, what failed. */
export async function overview(server: Server, from: Date, to: Date): Promise<string[]> {
  const { balance, payouts, revenue, mrr, paymentFailures } = await server.ask(RevenueDashboardDocument, {
    first: 10,
    from: from.toISOString(),
    to: to.toISOString(),
    interval: 'MONTH',
  });
  return [
    ...balance.available.map(({ formatted }) => `${formatted} available`),
    ...balance.pending.map(({ formatted }) => `${formatted} on its way`),
    ...payouts.nodes.map(
      ({ amount, status, arrivalDate }) => `${amount.formatted} ${status.toLowerCase()}, ${arrivalDate}`,
    ),
    ...revenue.map(
      ({ start, gross, net, payments }) => `${start}: ${gross.formatted} of ${payments}, ${net.formatted} net`,
    ),
    ...mrr.map(({ month, closing, customers }) => `${month}: ${closing.formatted} a month of ${customers} customers`),
    ...paymentFailures.map(
      ({ start, failed, recovered }) => `${start}: ${recovered.formatted} of ${failed.formatted} recovered`,
    ),
  ];
}
