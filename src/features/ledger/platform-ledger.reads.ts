import { equals, money, newestFirst, one, readModel, text, time, uuid } from '../../db/reads/model.js';
import { type Uuid } from '../../shared/uuid.js';
import { livemodeSetting } from '../../db/tenant-entity.js';
import { PlatformLedgerEntry, PlatformLedgerTransaction } from './platform-ledger.types.js';

const platformTransactionReads = readModel(PlatformLedgerTransaction, {
  table: 'platform_ledger_transactions',
  fields: {
    id: uuid<Uuid>(),
    stripeBalanceTransactionId: text<string>('cause'),
    type: text(),
    category: text(),
    amount: money('amount'),
    stripeFee: money('stripe_fee'),
    net: money('net'),
    sourceId: text<string | null>(),
    bookedAt: time(),
    availableOn: time<Date | null>(),
  },
  order: newestFirst('id'),
});

/** In the order of posting: ids grow with it. */
export const platformEntryReads = readModel(PlatformLedgerEntry, {
  table: 'platform_ledger_postings',
  fields: {
    id: uuid<Uuid>(),
    account: text<PlatformLedgerEntry['account']>(),
    amount: money('amount'),
    transaction: one(() => platformTransactionReads, { transaction_id: 'id' }),
  },
  order: newestFirst('id'),
  filters: {
    account: equals('account'),
    currency: equals('currency'),
    // No policy holds the platform to one mode.
    isOfThisMode: {
      sql: (of, value) => `${of('livemode')} = (current_setting('${livemodeSetting}')::boolean = ${value}::boolean)`,
      bind: (value) => value,
    },
  },
});

/** What each account stands at. */
export const platformBalances = `
  select account, currency, sum(amount) from platform_ledger_postings
  where livemode = current_setting('${livemodeSetting}')::boolean group by 1, 2 order by 1, 2`;
