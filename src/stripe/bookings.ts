import { stripeTime } from '../shared/clock.js';
import { type Connection } from './connection.js';
import { type BalanceReport, balanceReport } from './reports.js';
import { type BalanceTransaction, type ChargeId, idOf, type Payout, type PayoutId } from './types.js';

/** A balance transaction with what is needed to post it: what it is about, and under which heading Stripe itself counts it. */
export interface BookingReport extends BalanceReport {
  /** Stripe's reporting category. https://docs.stripe.com/reports/reporting-categories */
  readonly category: string;
  readonly description: string | null;
  /** The charge that it is about in the end: that of a refund, of a dispute, of a fee. */
  readonly chargeId: ChargeId | null;
  readonly payoutId: PayoutId | null;
}

/** A payout as it is. */
export interface PayoutReport {
  readonly id: PayoutId;
  /** Minor units; negative when the bank is debited. */
  readonly amount: number;
  readonly currency: string;
  readonly status: 'paid' | 'pending' | 'in_transit' | 'canceled' | 'failed';
  readonly method: string;
  readonly automatic: boolean;
  /** `completed` once Stripe knows all that it contains; `not_applicable` for payouts by hand. */
  readonly reconciliation: string;
  readonly arrivalDate: Date;
  readonly failureCode: string | null;
  readonly failureMessage: string | null;
  readonly statementDescriptor: string | null;
  readonly created: Date;
}

const limit = 100;

/**
 * The account's balance transactions in the order in which they were booked, page by page, oldest first.
 * @param after the id of one; those booked later follow. Null begins with the first there is, for which all pages have to be turned once
 */
export async function* bookingsAfter(via: Connection, after: string | null): AsyncGenerator<BookingReport[]> {
  const list = (cursor: { starting_after?: string; ending_before?: string }) =>
    via.read({ object: 'list' }, (options) =>
      via.sdk.balanceTransactions.list({ limit, ...cursor, expand: ['data.source'] }, options),
    );
  let cursor = after;
  if (cursor === null) {
    let oldest = await list({});
    for (let last = oldest.data.at(-1); oldest.has_more && last; last = oldest.data.at(-1))
      oldest = await list({ starting_after: last.id });
    if (oldest.data.length === 0) return;
    cursor = oldest.data[0]!.id;
    yield oldest.data.toReversed().map(bookingReport);
  }
  for (;;) {
    const page = await list({ ending_before: cursor });
    if (page.data.length === 0) return;
    cursor = page.data[0]!.id;
    yield page.data.toReversed().map(bookingReport);
    if (!page.has_more) return;
  }
}

/** @throws Error when Stripe's own numbers do not add up */
function bookingReport(booking: BalanceTransaction): BookingReport {
  const source = booking.source as { id: string; object?: string; charge?: unknown } | string | null;
  const sourceId = idOf(source);
  const isA = (...prefixes: string[]) => prefixes.some((prefix) => sourceId?.startsWith(`${prefix}_`));
  const inner = typeof source === 'object' ? (source?.charge as string | { id: string } | null | undefined) : null;
  return {
    ...balanceReport(booking),
    category: booking.reporting_category,
    description: booking.description,
    chargeId: isA('ch', 'py') ? (sourceId as ChargeId) : idOf<ChargeId>(inner ?? null),
    payoutId: isA('po') ? (sourceId as PayoutId) : null,
  };
}

/** @throws Error on a status that this version does not know */
export function payoutReport(payout: Payout): PayoutReport {
  const statuses = ['paid', 'pending', 'in_transit', 'canceled', 'failed'] as const;
  const status = statuses.find((known) => known === payout.status);
  if (!status) throw new Error(`Unknown status of a payout: ${payout.status}`);
  return {
    id: payout.id as PayoutId,
    amount: payout.amount,
    currency: payout.currency,
    status,
    method: payout.method,
    automatic: payout.automatic,
    reconciliation: payout.reconciliation_status,
    arrivalDate: stripeTime(payout.arrival_date),
    failureCode: payout.failure_code,
    failureMessage: payout.failure_message,
    statementDescriptor: payout.statement_descriptor,
    created: stripeTime(payout.created),
  };
}
