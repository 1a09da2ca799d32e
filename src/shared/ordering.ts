/** What is known of a Stripe object: Stripe's time of its state, and whether that state can still change. */
export interface KnownState {
  readonly asOf: Date | null;
  readonly isFinal: boolean;
}

/** `unclear` means: the stamps cannot tell, so the object must be fetched under a lock on its row. */
export type Order = 'newer' | 'stale' | 'unclear';

/**
 * The one rule by which reports about a Stripe object are ordered. Reports arrive twice, late and in any order, and their stamps
 * have one-second grain: two changes of one second cannot be told apart by them.
 *
 * @param asOf Stripe's stamp of the report (an event's `created`)
 * @param fetched whether the report was read from Stripe just now, and so is at least as new as anything that was reported
 */
export function orderOf(known: KnownState, asOf: Date, fetched: boolean): Order {
  if (known.isFinal) return 'stale';
  if (fetched || !known.asOf || asOf > known.asOf) return 'newer';
  return asOf < known.asOf ? 'stale' : 'unclear';
}
