import type Stripe from 'stripe';
import { type Context } from '../context.js';
import { invalid } from '../errors.js';
import { newId, randomText } from '../ids.js';
import { listPage } from '../list.js';
import { checkCurrency } from '../money.js';
import { idOf } from '../objects.js';
import { inRange, listParams, type Metadata, mergeMetadata, type Params, p } from '../params.js';
import { type Resource } from '../resource.js';
import { route } from '../router.js';
import { availableBalance, availableCurrencies, postBalanceTransaction, takeUnpaid } from './balance.js';
import { banksOf, ensureBankAccount, markErrored, numberOf, payoutFailures } from './external-accounts.js';
import { nextPayoutDay } from './payout-schedule.js';

const day = 86_400;
const midnightAfter = (time: number): number => (Math.floor(time / day) + 1) * day;

/** Which of an account's transactions went out with an automatic payout. */
interface PayoutState {
  transactions: string[];
}

function destinationFor(ctx: Context, currency: string, id?: string): Stripe.BankAccount {
  const banks = banksOf(ctx);
  if (id !== undefined) {
    const bank = banks.find((candidate) => candidate.id === id);
    if (!bank) throw invalid(`No such external account: '${id}'`, 'destination', 'resource_missing');
    return bank;
  }
  const bank = banks.find((candidate) => candidate.currency === currency);
  if (!bank) throw invalid(`Sorry, you don't have any external accounts in that currency (${currency}).`);
  return bank;
}

interface Details {
  amount: number;
  currency: string;
  bank: Stripe.BankAccount;
  automatic?: boolean;
  description?: string;
  metadata?: Metadata;
  statementDescriptor?: string;
  /** Ids of the transactions that go out with it; only an automatic payout knows them. */
  transactions?: string[];
  original?: Stripe.Payout;
}

function insertPayout(ctx: Context, details: Details): Stripe.Payout {
  const { amount, currency, automatic = false, original } = details;
  const id = newId('payout');
  const transaction = postBalanceTransaction(ctx, {
    type: 'payout',
    amount: -amount,
    currency,
    source: id,
    description: details.description ?? 'STRIPE PAYOUT',
    ...(amount < 0 && { availableOn: ctx.now }),
    ...(automatic && { outsidePayouts: true }),
  });
  if (details.transactions) ctx.secret<PayoutState>(id).transactions = [...details.transactions, transaction.id];
  const payout = ctx.table('payout').insert({
    id,
    object: 'payout',
    amount,
    application_fee: null,
    application_fee_amount: null,
    // An automatic payout leaves at midnight; one by hand waits for the next.
    arrival_date: midnightAfter(ctx.now) + (automatic ? 0 : day),
    automatic,
    balance_transaction: transaction.id,
    created: ctx.now,
    currency,
    description: details.description ?? (automatic ? 'STRIPE PAYOUT' : null),
    destination: details.bank.id,
    failure_balance_transaction: null,
    failure_code: null,
    failure_message: null,
    livemode: false,
    metadata: details.metadata ?? {},
    method: 'standard',
    original_payout: original?.id ?? null,
    payout_method: null,
    reconciliation_status: automatic ? 'in_progress' : 'not_applicable',
    reversed_by: null,
    source_type: 'card',
    statement_descriptor: details.statementDescriptor ?? null,
    status: automatic ? 'in_transit' : 'pending',
    trace_id: automatic ? { status: 'pending', value: null } : null,
    type: 'bank_account',
  });
  ctx.emit('payout.created', payout);
  if (automatic) ctx.schedule(ctx.now + 600, 'payout.reconciled', id);
  else ctx.schedule(midnightAfter(ctx.now), 'payout.submit', id);
  ctx.schedule(payout.arrival_date, 'payout.arrive', id);
  return payout;
}

const create = {
  amount: p.int().required(),
  currency: p.string().required(),
  description: p.string(),
  destination: p.string(),
  metadata: p.metadata(),
  method: p.enum('standard', 'instant'),
  payout_method: p.string(),
  source_type: p.enum('bank_account', 'card', 'fpx'),
  statement_descriptor: p.string(),
};

/** @throws StripeError 400 `balance_insufficient` | `payouts_not_allowed` | `instant_payouts_unsupported`, or without a code when there is no bank account */
function createPayout(ctx: Context, params: Params<typeof create>): Stripe.Payout {
  const currency = checkCurrency(params.currency);
  const { amount } = params;
  if (amount < 1)
    throw invalid('This value must be greater than or equal to 1.', 'amount', 'parameter_invalid_integer');
  const bank = destinationFor(ctx, currency, params.destination);
  if (params.method === 'instant')
    throw invalid(
      'The destination bank account is not eligible for instant payouts.',
      'method',
      'instant_payouts_unsupported',
    );
  if (!mayPayOut(ctx)) throw invalid('Payouts are not enabled on this account.', undefined, 'payouts_not_allowed');
  if (bank.status === 'errored')
    throw invalid(
      'The last payout to this external account failed. Update the external account before you create another payout.',
      'destination',
      'payouts_not_allowed',
    );
  if (amount > availableBalance(ctx, currency))
    throw invalid(
      'You have insufficient funds in your Stripe account for this transfer. Your card balance is too low. You can use the the /v1/balance endpoint to view your Stripe balance (for more details, see stripe.com/docs/api#balance).',
      'amount',
      'balance_insufficient',
    );
  return insertPayout(ctx, {
    amount,
    currency,
    bank,
    ...(params.description !== undefined && { description: params.description }),
    ...(params.statement_descriptor !== undefined && { statementDescriptor: params.statement_descriptor }),
    metadata: mergeMetadata({}, params.metadata),
  });
}

function mayPayOut(ctx: Context): boolean {
  return ctx.platform.table('account').get(ctx.account)?.payouts_enabled === true;
}

/** The payouts that the schedule asks for, one per currency with something to pay out. {@link https://docs.stripe.com/payouts#payout-schedule} */
function runAutomatic(ctx: Context): void {
  if (!mayPayOut(ctx)) return;
  for (const currency of availableCurrencies(ctx)) {
    // Banks take forints and new Taiwan dollars only in hundreds.
    const unit = currency === 'huf' || currency === 'twd' ? 100 : 1;
    const amount = Math.floor(availableBalance(ctx, currency) / unit) * unit;
    const bank = banksOf(ctx).find((candidate) => candidate.currency === currency && candidate.status !== 'errored');
    if (amount < 1 || !bank) continue;
    insertPayout(ctx, { amount, currency, bank, automatic: true, transactions: takeUnpaid(ctx, currency) });
  }
}

/** The money comes back into the balance. */
function takeBack(ctx: Context, payout: Stripe.Payout, type: 'payout_cancel' | 'payout_failure'): void {
  payout.failure_balance_transaction = postBalanceTransaction(ctx, {
    type,
    amount: payout.amount,
    currency: payout.currency,
    source: payout.id,
    description: type === 'payout_cancel' ? 'STRIPE PAYOUT CANCEL' : 'STRIPE PAYOUT FAILURE',
    availableOn: ctx.now,
  }).id;
}

function arrive(ctx: Context, payout: Stripe.Payout): void {
  if (payout.status !== 'pending' && payout.status !== 'in_transit') return;
  const bank = idOf(payout.destination) ?? '';
  const failure = payout.amount > 0 ? payoutFailures[numberOf(ctx, bank)] : undefined;
  if (!failure) {
    const before = JSON.parse(JSON.stringify(payout)) as object;
    payout.status = 'paid';
    payout.trace_id = { status: 'supported', value: randomText(15).toUpperCase() };
    ctx.emit('payout.updated', payout, { before });
    ctx.emit('payout.paid', payout);
    return;
  }
  payout.status = 'failed';
  payout.failure_code = failure.code;
  payout.failure_message = failure.message;
  payout.trace_id = { status: 'unsupported', value: null };
  takeBack(ctx, payout, 'payout_failure');
  ctx.emit('payout.failed', payout);
  markErrored(ctx, bank);
}

function cancel(ctx: Context, id: string): Stripe.Payout {
  const payout = ctx.table('payout').require(id, 'payout');
  if (payout.automatic || payout.status !== 'pending')
    throw invalid(
      `Payouts can only be canceled while they are pending and were not created automatically; this payout's status is ${payout.status}.`,
      'payout',
    );
  payout.status = 'canceled';
  takeBack(ctx, payout, 'payout_cancel');
  ctx.emit('payout.canceled', payout);
  return payout;
}

/** Debits the bank account that a payout went to. {@link https://docs.stripe.com/api/payouts/reverse} */
function reverse(ctx: Context, id: string, metadata: Metadata | null | undefined): Stripe.Payout {
  const payout = ctx.table('payout').require(id, 'payout');
  if (payout.status !== 'paid' || payout.amount < 0)
    throw invalid(`Only payouts that are paid can be reversed; this payout's status is ${payout.status}.`, 'payout');
  if (payout.reversed_by !== null) throw invalid('This payout has already been reversed.', 'payout');
  const reversal = insertPayout(ctx, {
    amount: -payout.amount,
    currency: payout.currency,
    bank: destinationFor(ctx, payout.currency, idOf(payout.destination) ?? undefined),
    original: payout,
    metadata: mergeMetadata({}, metadata),
  });
  ctx.change(payout, 'payout.updated', () => (payout.reversed_by = reversal.id));
  return reversal;
}

const path = '/v1/payouts';

/** Payouts. {@link https://docs.stripe.com/api/payouts} */
export const payouts: Resource = {
  expandable: ['payout', 'original_payout', 'reversed_by'],
  accountCreated: (ctx) => {
    if (ctx.isPlatform) ensureBankAccount(ctx);
  },
  hooks: {
    // Money that is there: it goes out on the next day that the schedule names.
    balanceAvailable: (ctx) => {
      const schedule = ctx.platform.table('account').get(ctx.account)?.settings?.payouts?.schedule;
      const at = schedule ? nextPayoutDay(schedule, ctx.now) : null;
      const state = ctx.secret<{ planned: number }>('payouts');
      if (at === null || state.planned === at) return;
      state.planned = at;
      ctx.schedule(at, 'payout.automatic', String(at));
    },
  },
  due: {
    'payout.automatic': (ctx, { ref }) => {
      const state = ctx.secret<{ planned: number }>('payouts');
      if (state.planned === Number(ref)) delete state.planned;
      // The schedule may have been changed meanwhile.
      const schedule = ctx.platform.table('account').get(ctx.account)?.settings?.payouts?.schedule;
      if (schedule && nextPayoutDay(schedule, Number(ref)) === Number(ref)) runAutomatic(ctx);
    },
    'payout.submit': (ctx, { ref }) => {
      const payout = ctx.table('payout').get(ref);
      if (payout?.status !== 'pending') return;
      ctx.change(payout, 'payout.updated', () => {
        payout.status = 'in_transit';
        payout.trace_id = { status: 'pending', value: null };
      });
    },
    'payout.arrive': (ctx, { ref }) => arrive(ctx, ctx.table('payout').require(ref)),
    'payout.reconciled': (ctx, { ref }) => {
      const payout = ctx.table('payout').require(ref);
      payout.reconciliation_status = 'completed';
      ctx.emit('payout.reconciliation_completed', payout);
    },
  },
  routes: [
    route('POST', path, create, createPayout),
    route(
      'GET',
      path,
      {
        ...listParams,
        arrival_date: p.range(),
        created: p.range(),
        destination: p.string(),
        status: p.string(),
      },
      (ctx, { arrival_date: arrival, created, destination, status, ...page }) =>
        listPage(
          ctx.table('payout'),
          path,
          page,
          (payout) =>
            inRange(payout.created, created) &&
            inRange(payout.arrival_date, arrival) &&
            (destination === undefined || payout.destination === destination) &&
            (status === undefined || payout.status === status),
        ),
    ),
    route('GET', '/v1/payouts/:id', {}, (ctx, _params, { id }) => ctx.table('payout').require(id, 'payout')),
    route('POST', '/v1/payouts/:id', { metadata: p.metadata() }, (ctx, { metadata }, { id }) =>
      ctx.change(ctx.table('payout').require(id, 'payout'), 'payout.updated', (payout) => {
        payout.metadata = mergeMetadata(payout.metadata ?? {}, metadata);
      }),
    ),
    route('POST', '/v1/payouts/:id/cancel', {}, (ctx, _params, { id }) => cancel(ctx, id)),
    route('POST', '/v1/payouts/:id/reverse', { metadata: p.metadata() }, (ctx, { metadata }, { id }) =>
      reverse(ctx, id, metadata),
    ),
  ],
};
