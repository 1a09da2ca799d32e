import { type Business, eventId, type State, type Told } from './subscribers.js';

/** A state that Stripe reported, under an event of its own. */
export const told = (sub: string, at: string, state: State, before?: State): Told => ({ sub, at, eventId: eventId(), state, ...(before && { before }) }); // prettier-ignore
/** That it was paid for. */
export const paid = (sub: string, at: string): Told => ({ sub, at, eventId: eventId() });

export const amounts = [
  'opening',
  'new',
  'expansion',
  'contraction',
  'churn',
  'reactivation',
  'closing',
  'arr',
] as const;
const counts = ['customers', 'newCustomers', 'reactivatedCustomers', 'churnedCustomers'] as const;
const rates = ['customerChurnRate', 'revenueChurnRate', 'netRevenueChurnRate'] as const;

/** A month of one currency. */
export interface Month {
  readonly month: string;
  readonly currency: string;
  readonly values: Record<(typeof amounts)[number] | (typeof counts)[number], number>;
  readonly rates: (string | null)[];
}

/** The months that a range touches, as the API tells them. */
export async function mrr({ ask }: Pick<Business, 'ask'>, from: string, to: string): Promise<Month[]> {
  const fields = [...amounts.map((name) => `${name} { amount currency }`), ...counts, ...rates].join(' ');
  const { mrr: months } = await ask(`{ mrr(from: "${from}T12:00:00Z", to: "${to}T12:00:00Z") { month ${fields} } }`);
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- an answer
  return (months as Record<string, any>[]).map((row) => ({
    month: row.month,
    currency: row.opening.currency,
    values: Object.fromEntries([...amounts.map((name) => [name, row[name].amount]), ...counts.map((name) => [name, row[name]])]) as never, // prettier-ignore
    rates: rates.map((name) => row[name] as string | null),
  }));
}
