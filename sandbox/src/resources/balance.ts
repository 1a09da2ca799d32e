import type Stripe from 'stripe';
import { type Context } from '../context.js';
import { newId } from '../ids.js';
import { listPage } from '../list.js';
import { inRange, listParams, p } from '../params.js';
import { type Resource } from '../resource.js';
import { route } from '../router.js';
import { delayDays } from './payout-schedule.js';

/** The platform's Connect application, as objects made on its behalf name it. */
export const applicationId = 'ca_local';

const day = 86_400;

export interface Posting {
  type: Stripe.BalanceTransaction.Type;
  /** Gross, minor units; negative takes money out. */
  amount: number;
  currency: string;
  /** Id of the object it is about. */
  source: string | null;
  description?: string | null;
  /** What is deducted from the gross, positive; negative gives a fee back. */
  fees?: Stripe.BalanceTransaction.FeeDetail[];
  /** Unix seconds; by default at midnight UTC, as many days on as the account's payout schedule says. Money taken out is taken at once. */
  availableOn?: number;
  reportingCategory?: string;
  /** Set for what an automatic payout books for itself: it is not to go out with the next one. */
  outsidePayouts?: boolean;
}

const categories: Record<string, string> = {
  charge: 'charge',
  payment: 'charge',
  refund: 'refund',
  payment_refund: 'refund',
  refund_failure: 'refund_failure',
  adjustment: 'dispute',
  payout: 'payout',
  payout_cancel: 'payout_reversal',
  payout_failure: 'payout_reversal',
  application_fee: 'platform_earning',
  application_fee_refund: 'platform_earning_refund',
  stripe_fee: 'fee',
  transfer: 'transfer',
};

/** Sums by currency, kept as transactions are posted. */
interface BalanceState {
  pending: Record<string, number>;
  available: Record<string, number>;
  /** Days on which something becomes available and work is planned already. */
  planned: Record<string, true>;
  /** By currency, ids of what is available and has not gone out with an automatic payout. */
  unpaid: Record<string, string[]>;
}

function stateOf(ctx: Context): BalanceState {
  const state = ctx.secret<BalanceState>('balance');
  state.pending ??= {};
  state.available ??= {};
  state.planned ??= {};
  state.unpaid ??= {};
  return state as BalanceState;
}

function add(sums: Record<string, number>, currency: string, amount: number): void {
  sums[currency] = (sums[currency] ?? 0) + amount;
}

/**
 * The only way money moves: enters a transaction on the context's account and keeps the balance. {@link https://docs.stripe.com/reports/balance-transaction-types}
 *
 * ```ts
 * postBalanceTransaction(ctx, { type: 'refund', amount: -500, currency: 'usd', source: refund.id, description: 'REFUND FOR CHARGE' });
 * ```
 */
export function postBalanceTransaction(ctx: Context, posting: Posting): Stripe.BalanceTransaction {
  const { type, amount, currency, source, description = null, fees = [] } = posting;
  const fee = fees.reduce((sum, detail) => sum + detail.amount, 0);
  const net = amount - fee;
  const soon = (Math.floor(ctx.now / day) + delayDays(ctx.platform.table('account').get(ctx.account))) * day;
  const availableOn = posting.availableOn ?? (net < 0 ? ctx.now : soon);
  const available = availableOn <= ctx.now;
  const state = stateOf(ctx);
  add(available ? state.available : state.pending, currency, net);
  const transaction = ctx.table('balance_transaction').insert({
    id: newId('balance_transaction'),
    object: 'balance_transaction',
    amount,
    available_on: availableOn,
    balance_type: 'payments',
    created: ctx.now,
    currency,
    description,
    exchange_rate: null,
    fee,
    fee_details: fees,
    net,
    reporting_category: posting.reportingCategory ?? categories[type] ?? type,
    source,
    status: available ? 'available' : 'pending',
    type,
  });
  if (available && !posting.outsidePayouts) (state.unpaid[currency] ??= []).push(transaction.id);
  if (available && net > 0 && !posting.outsidePayouts) {
    // A payment that skips the wait (`pm_card_bypassPending`) is told at once; what comes back is no news.
    if (type === 'charge' || type === 'payment') ctx.emit('balance.available', balanceOf(ctx));
    ctx.sandbox.hook('balanceAvailable', ctx);
  }
  if (!available && !state.planned[availableOn]) {
    state.planned[availableOn] = true;
    ctx.schedule(availableOn, 'balance.available', String(availableOn));
  }
  return transaction;
}

/** The balance as the API shows it. {@link https://docs.stripe.com/api/balance} */
export function balanceOf(ctx: Context): Stripe.Balance {
  const state = stateOf(ctx);
  const own = ctx.platform.table('account').get(ctx.account)?.default_currency ?? 'usd';
  const currencies = [...new Set([own, ...Object.keys(state.available), ...Object.keys(state.pending)])];
  const part = (sums: Record<string, number>) =>
    currencies.map((currency) => ({
      amount: sums[currency] ?? 0,
      currency,
      source_types: { card: sums[currency] ?? 0 },
    }));
  return {
    object: 'balance',
    available: part(state.available),
    ...(ctx.isPlatform && { connect_reserved: currencies.map((currency) => ({ amount: 0, currency })) }),
    livemode: false,
    pending: part(state.pending),
    refund_and_dispute_prefunding: {
      available: currencies.map((currency) => ({ amount: 0, currency })),
      pending: currencies.map((currency) => ({ amount: 0, currency })),
    },
  };
}

/** The part that can be paid out now, minor units. */
export function availableBalance(ctx: Context, currency: string): number {
  return stateOf(ctx).available[currency] ?? 0;
}

/** Currencies in which the account has held anything. */
export function availableCurrencies(ctx: Context): string[] {
  return Object.keys(stateOf(ctx).available);
}

/** Ids of what has become available since the last automatic payout; they go out with the next, which is now. */
export function takeUnpaid(ctx: Context, currency: string): string[] {
  const state = stateOf(ctx);
  const taken = state.unpaid[currency] ?? [];
  state.unpaid[currency] = [];
  return taken;
}

/** Balance and balance transactions. {@link https://docs.stripe.com/api/balance_transactions} */
export const balance: Resource = {
  expandable: ['balance_transaction', 'failure_balance_transaction', 'source'],
  due: {
    'balance.available': (ctx, { ref }) => {
      const state = stateOf(ctx);
      for (const transaction of ctx.table('balance_transaction').by('available_on', Number(ref))) {
        if (transaction.status !== 'pending') continue;
        transaction.status = 'available';
        add(state.pending, transaction.currency, -transaction.net);
        add(state.available, transaction.currency, transaction.net);
        (state.unpaid[transaction.currency] ??= []).push(transaction.id);
      }
      delete state.planned[ref];
      ctx.emit('balance.available', balanceOf(ctx));
      ctx.sandbox.hook('balanceAvailable', ctx);
    },
  },
  routes: [
    route('GET', '/v1/balance', {}, (ctx) => balanceOf(ctx)),
    ...(['/v1/balance_transactions', '/v1/balance/history'] as const).flatMap((path) => [
      route(
        'GET',
        path,
        {
          ...listParams,
          created: p.range(),
          currency: p.string(),
          payout: p.string(),
          source: p.string(),
          type: p.string(),
        },
        (ctx, { created, currency, payout, source, type, ...page }) => {
          const inPayout =
            payout === undefined ? null : new Set(ctx.secret<{ transactions: string[] }>(payout).transactions ?? []);
          return listPage(
            ctx.table('balance_transaction'),
            path,
            page,
            (row) =>
              inRange(row.created, created) &&
              (currency === undefined || row.currency === currency) &&
              // Stripe does not find a dispute's entries by the dispute, although they name it.
              (source === undefined || (row.source === source && !source.startsWith('du_'))) &&
              (type === undefined || row.type === type) &&
              (inPayout === null || inPayout.has(row.id)),
          );
        },
      ),
      route('GET', `${path}/:id`, {}, (ctx, _params, ids: Record<string, string>) =>
        ctx.table('balance_transaction').require(ids['id']!),
      ),
    ]),
  ],
};
