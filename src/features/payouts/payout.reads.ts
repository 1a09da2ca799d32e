import {
  boolean,
  computed,
  connection,
  extendReads,
  first,
  money,
  newestFirst,
  one,
  readModel,
  text,
  time,
  uuid,
} from '../../db/reads/model.js';
import { type Uuid } from '../../shared/uuid.js';
import { entriesField, ledgerTransactionReads, transactionFields } from '../ledger/ledger.reads.js';
import { LedgerTransaction } from '../ledger/ledger.types.js';
import { paymentReads } from '../payments/payment.reads.js';
import { Payout, type PayoutFailure } from './payout.entity.js';

const payoutFields = {
  id: uuid<Uuid>(),
  stripePayoutId: text(),
  amount: money('amount'),
  status: text<Payout['status']>(),
  arrivalDate: time(),
  method: text(),
  automatic: boolean<boolean>(),
  failure: computed(
    { failureCode: text<string | null>(), failureMessage: text<string | null>() },
    ({ failureCode, failureMessage }): PayoutFailure | null =>
      failureCode === null ? null : { code: failureCode, message: failureMessage },
  ),
  statementDescriptor: text<string | null>(),
  payments: money('payments'),
  refunds: money('refunds'),
  disputes: money('disputes'),
  fees: money('fees'),
  adjustments: money('adjustments'),
  total: money('total'),
  createdAt: time('stripe_created_at'),
};

export const payoutReads = readModel(Payout, {
  table: 'payout_statements',
  fields: payoutFields,
  order: newestFirst('createdAt', 'id'),
});

/** A transaction, found by the payout that contains it. */
const contentReads = readModel(LedgerTransaction, {
  name: 'PayoutContent',
  table: 'payout_contents',
  fields: transactionFields,
  order: newestFirst('number'),
});

/** A payout, found by the charge of a payment that it contains. */
const payoutOfPaymentReads = readModel(Payout, {
  name: 'PayoutOfPayment',
  table: 'payment_payouts',
  fields: payoutFields,
  order: newestFirst('createdAt', 'id'),
});

/** A payout, found by any transaction that it contains. */
const payoutOfTransactionReads = readModel(Payout, {
  name: 'PayoutOfTransaction',
  table: 'transaction_payouts',
  fields: payoutFields,
  order: newestFirst('createdAt', 'id'),
});

const contents = { transactions: connection(() => contentReads, { id: 'payout_id' }) };
for (const reads of [payoutReads, payoutOfPaymentReads, payoutOfTransactionReads]) extendReads(reads, contents);
extendReads(contentReads, { ...entriesField, payout: one(() => payoutReads, { payout_id: 'id' }) });
extendReads(paymentReads, { payout: first(() => payoutOfPaymentReads, { stripe_charge_id: 'of_charge_id' }) });
extendReads(ledgerTransactionReads, { payout: first(() => payoutOfTransactionReads, { id: 'of_transaction_id' }) });
