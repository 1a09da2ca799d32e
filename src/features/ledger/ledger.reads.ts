import {
  before,
  equals,
  extendReads,
  type Filter,
  from,
  integer,
  json,
  list,
  money,
  newestFirst,
  one,
  readModel,
  text,
  time,
  uuid,
} from '../../db/reads/model.js';
import { type Uuid } from '../../shared/uuid.js';
import { paymentReads } from '../payments/payment.reads.js';
import { LedgerCheck, LedgerEntry, LedgerTransaction } from './ledger.types.js';

/** What concerns a payment names its charge, also when it was booked before anybody here knew of the payment. */
const ofPayment: Filter = {
  sql: (of, value) => `${of('stripe_charge_id')} = (select p.stripe_charge_id from payments p where p.id = ${value})`,
  bind: (value) => value,
};

/** The columns of a transaction, wherever it is read from. */
export const transactionFields = {
  id: uuid<Uuid>(),
  number: integer<number>(),
  stripeBalanceTransactionId: text<string | null>(),
  type: text(),
  category: text(),
  amount: money('amount'),
  stripeFee: money('stripe_fee'),
  applicationFee: money('application_fee'),
  net: money('net'),
  sourceId: text<string | null>(),
  description: text<string | null>(),
  bookedAt: time(),
  availableOn: time<Date | null>(),
  payment: one(() => paymentReads, { stripe_charge_id: 'stripe_charge_id' }),
};

export const ledgerTransactionReads = readModel(LedgerTransaction, {
  table: 'ledger_transactions',
  fields: transactionFields,
  order: newestFirst('number'),
});

/** In the order of posting, which is Stripe's order of booking: so that each balance follows from the one below. */
export const ledgerEntryReads = readModel(LedgerEntry, {
  table: 'ledger_postings',
  fields: {
    id: uuid<Uuid>(),
    number: integer<number>(),
    account: text<LedgerEntry['account']>(),
    amount: money('amount'),
    balance: money('balance'),
    bookedAt: time(),
    transaction: one(() => ledgerTransactionReads, { transaction_id: 'id' }),
  },
  order: newestFirst('number'),
  filters: {
    account: equals('account'),
    currency: equals('currency'),
    from: from('booked_at'),
    to: before('booked_at'),
    paymentId: ofPayment,
  },
});

export const entriesField = { entries: list(() => ledgerEntryReads, { id: 'transaction_id' }, { limit: 10 }) };
extendReads(ledgerTransactionReads, entriesField);

export const ledgerCheckReads = readModel(LedgerCheck, {
  table: 'ledger_checks',
  fields: {
    id: uuid<Uuid>(),
    checkedAt: time(),
    transactions: integer<number>(),
    differences: json<LedgerCheck['differences']>(),
  },
  order: newestFirst('checkedAt', 'id'),
});
