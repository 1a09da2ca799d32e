import { type Connection } from './connection.js';
import { pagesOf } from './paging.js';
import {
  type Balance,
  type BalanceTransaction,
  type Charge,
  type ChargeId,
  type Payout,
  type PayoutId,
} from './types.js';

/** The charge as it is now, with its booking once there is one: with asynchronous capture it comes seconds later. */
export function retrieveCharge(via: Connection, id: ChargeId): Promise<Charge> {
  return via.read({ object: 'charge', echo: { id } }, (options) =>
    via.sdk.charges.retrieve(id, { expand: ['balance_transaction'] }, options),
  );
}

/** What Stripe booked: the only source of fees. */
export function retrieveBalanceTransaction(via: Connection, id: string): Promise<BalanceTransaction> {
  return via.read({ object: 'balance_transaction', echo: { id } }, (options) =>
    via.sdk.balanceTransactions.retrieve(id, {}, options),
  );
}

/** The bookings that a payout carried to the bank, the payout's own among them. Only automatic payouts know theirs. */
export function listBalanceTransactions(via: Connection, payout: PayoutId): AsyncGenerator<BalanceTransaction> {
  return pagesOf<BalanceTransaction>(via, null, (page, options) =>
    via.sdk.balanceTransactions.list({ ...page, payout, expand: ['data.source'] }, options),
  );
}

/** What the account holds now, by currency: available, and still to come. */
export function retrieveBalance(via: Connection): Promise<Balance> {
  return via.read({ object: 'balance' }, (options) => via.sdk.balance.retrieve({}, options));
}

/** A payout as it is now. @throws AppError NOT_FOUND */
export function retrievePayout(via: Connection, id: PayoutId): Promise<Payout> {
  return via.read({ object: 'payout', echo: { id } }, (options) => via.sdk.payouts.retrieve(id, {}, options));
}

/** The account's payouts, newest first. */
export function listPayouts(via: Connection, since: Date | null): AsyncGenerator<Payout> {
  return pagesOf<Payout>(via, since, (page, options) => via.sdk.payouts.list(page, options));
}
