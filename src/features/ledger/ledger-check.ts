import { type EntityManager } from '@mikro-orm/postgresql';
import { livemodeOf, tenantOf } from '../../db/tenant-entity.js';
import { type Uuid } from '../../shared/uuid.js';
import { type Balance, type AccountId } from '../../stripe/types.js';
import { type Books, importBookings } from './bookkeeping.js';
import { LedgerAccount } from './chart.js';
import { type LedgerCheck } from './ledger.types.js';

/** One thing that is not as it must be. Amounts are minor units. */
export interface Difference {
  /** Which rule is broken: the name of the {@link Check}. */
  readonly what: string;
  /** What it is about: a transaction, a payment, a payout, an account of the books. */
  readonly subject: string;
  readonly currency: string;
  readonly expected: number;
  readonly found: number;
}

/** What a check of one account's books came to. */
export interface CheckedBooks {
  readonly accountId: AccountId;
  readonly transactions: number;
  /** At most a hundred of each kind. */
  readonly differences: readonly Difference[];
}

interface Given {
  readonly accountId: AccountId;
  /** What changed within so many seconds is not looked at: half of it may still be on its way. */
  readonly settleSeconds: number;
}

/** A rule that holds within the database. */
export interface Check {
  readonly what: string;
  /** A query that returns what breaks it: subject, currency, expected, found. Row-level security leaves one tenant's rows. */
  readonly query: (given: Given) => readonly [sql: string, values: readonly unknown[]];
}

/** The rules that the books keep by themselves, and those between them and the payments. */
export const ledgerChecks: readonly Check[] = [
  {
    what: 'ZERO_SUM',
    query: () => [
      `select t.cause as subject, t.currency, 0 as expected, sum(p.amount) as found
       from ledger_postings p join ledger_transactions t on t.tenant_id = p.tenant_id and t.id = p.transaction_id
       group by t.id, t.cause, t.currency having sum(p.amount) <> 0 limit 100`,
      [],
    ],
  },
  {
    // Together with the sum of zero: every amount of every posting is as Stripe booked it.
    what: 'POSTINGS',
    query: () => [
      `select t.cause || ' ' || e.account as subject, t.currency, e.expected, coalesce(p.found, 0) as found
       from ledger_transactions t
         cross join lateral (values ('STRIPE_BALANCE', t.net), ('STRIPE_FEES', t.stripe_fee), ('APPLICATION_FEES', t.application_fee))
           as e (account, expected)
         left join lateral (
           select sum(amount) as found from ledger_postings p
           where p.tenant_id = t.tenant_id and p.transaction_id = t.id and p.account = e.account) p on true
       where coalesce(p.found, 0) <> e.expected
         and (e.account = 'STRIPE_BALANCE' or t.category in ('charge', 'refund', 'refund_failure', 'dispute', 'dispute_reversal', 'payout'))
       limit 100`,
      [],
    ],
  },
  {
    what: 'RUNNING_BALANCE',
    query: () => [
      `select account || ' #' || number as subject, currency, expected, balance as found from (
         select account, currency, number, balance,
           sum(amount) over (partition by account, currency order by number) as expected from ledger_postings) as run
       where balance <> expected order by number limit 100`,
      [],
    ],
  },
  {
    what: 'NUMBERS',
    query: () => [
      `select 'postings' as subject, '' as currency, coalesce(max(number), 0) as expected, count(*) as found from ledger_postings
         having coalesce(max(number), 0) <> count(*)
       union all select 'transactions', '', coalesce(max(number), 0), count(*) from ledger_transactions
         having coalesce(max(number), 0) <> count(*)`,
      [],
    ],
  },
  {
    what: 'SUSPENSE',
    query: () => [
      `select t.cause || ' ' || t.category as subject, p.currency, 0 as expected, p.amount as found from ledger_postings p
         join ledger_transactions t on t.tenant_id = p.tenant_id and t.id = p.transaction_id
       where p.account = 'SUSPENSE' limit 100`,
      [],
    ],
  },
  ...(['gross', 'stripe_fee', 'application_fee', 'net'] as const).map((part): Check => ({
    what: `PAYMENT_${part.toUpperCase()}`,
    query: ({ settleSeconds }) => [
      `select p.id::text as subject, p.booked_currency as currency, ${part === 'gross' ? 't.amount' : `t.${part}`} as expected,
         ${part === 'gross' ? 'p.booked_gross' : `p.${part}`} as found
       from payments p join ledger_transactions t
         on t.tenant_id = p.tenant_id and t.livemode = p.livemode and t.stripe_balance_transaction_id = p.stripe_balance_transaction_id
       where p.net is not null and p.updated_at < now() - ? * interval '1 second'
         and ${part === 'gross' ? 'p.booked_gross <> t.amount' : `p.${part} <> t.${part}`} limit 100`,
      [settleSeconds],
    ],
  })),
  {
    what: 'PAYMENT_NOT_POSTED',
    query: ({ settleSeconds, accountId }) => [
      `select p.id::text as subject, p.booked_currency as currency, p.booked_gross as expected, 0 as found from payments p
       where p.net is not null and p.stripe_account_id = ? and p.updated_at < now() - ? * interval '1 second' and not exists (
         select from ledger_transactions t where t.tenant_id = p.tenant_id and t.livemode = p.livemode
           and t.stripe_balance_transaction_id = p.stripe_balance_transaction_id) limit 100`,
      [accountId, settleSeconds],
    ],
  },
  {
    what: 'PAYMENT_NOT_KNOWN',
    query: ({ settleSeconds }) => [
      `select t.cause as subject, t.currency, t.amount as expected, 0 as found from ledger_transactions t
       where t.category = 'charge' and t.stripe_charge_id is not null and t.created_at < now() - ? * interval '1 second' and not exists (
         select from payments p where p.tenant_id = t.tenant_id and p.stripe_charge_id = t.stripe_charge_id) limit 100`,
      [settleSeconds],
    ],
  },
  {
    what: 'REFUNDED',
    query: ({ settleSeconds }) => [
      `select p.id::text as subject, p.currency, r.refunded as expected, p.amount_refunded as found
       from payments p join lateral (
         select - coalesce(sum(t.amount), 0) as refunded, max(t.created_at) as at from ledger_transactions t
         where t.tenant_id = p.tenant_id and t.stripe_charge_id = p.stripe_charge_id and t.category in ('refund', 'refund_failure')) r on true
       where p.net is not null and p.booked_currency = p.currency and p.updated_at < now() - ? * interval '1 second'
         and coalesce(r.at < now() - ? * interval '1 second', true) and r.refunded <> p.amount_refunded limit 100`,
      [settleSeconds, settleSeconds],
    ],
  },
];

/** What Stripe says lies on the account, available or not yet, by currency. Minor units. */
export function totalsOf({ available, pending }: Pick<Balance, 'available' | 'pending'>): Map<string, number> {
  const totals = new Map<string, number>();
  for (const { currency, amount } of [...available, ...pending])
    totals.set(currency, (totals.get(currency) ?? 0) + amount);
  return totals;
}

/**
 * Compares the books with themselves, with the payments and with Stripe. Money moves while it looks: a balance that differs counts only when
 * nothing new was booked around the asking.
 */
export async function checkBooks(
  books: Books,
  checks: readonly Check[],
  { settleSeconds }: Pick<Given, 'settleSeconds'>,
): Promise<CheckedBooks> {
  const { accountId } = books;
  const ofBalance = await compareBalance(books);
  const [found, transactions] = await books.db.transaction(async (em) => {
    const [row] = await em.execute<{ n: string }[]>('select count(*) as n from ledger_transactions');
    return [await runChecks(em, checks, { accountId, settleSeconds }), Number(row!.n)] as const;
  });
  return { accountId, transactions, differences: [...found, ...ofBalance] };
}

async function runChecks(em: EntityManager, checks: readonly Check[], given: Given): Promise<Difference[]> {
  const differences: Difference[] = [];
  for (const { what, query } of checks) {
    const [sql, values] = query(given);
    const rows = await em.execute<{ subject: string; currency: string; expected: string; found: string }[]>(sql, [
      ...values,
    ]);
    differences.push(
      ...rows.map(({ subject, currency, expected, found }) => ({
        ...{ what, subject, currency },
        expected: Number(expected),
        found: Number(found),
      })),
    );
  }
  return differences;
}

async function compareBalance(books: Books): Promise<Difference[]> {
  for (let tries = 1; ; tries += 1) {
    const stripe = totalsOf(await books.stripe.retrieveBalance());
    const ours = await books.db.transaction((em) => sumsOf(em, books.accountId));
    const differences = [...new Set([...stripe.keys(), ...ours.keys()])].flatMap((currency): Difference[] => {
      const [expected, found] = [stripe.get(currency) ?? 0, ours.get(currency) ?? 0];
      if (expected === found) return [];
      return [{ what: 'STRIPE_BALANCE', subject: LedgerAccount.STRIPE_BALANCE, currency, expected, found }];
    });
    if (differences.length === 0) return [];
    // With something new to post, the comparison was of two different moments.
    const posted = await importBookings(books, tries === 2);
    if (tries >= 3 && posted === 0) return differences;
    if (tries >= 10) return differences;
  }
}

/** Of one account at Stripe: a tenant that moved to another has both in its books. */
async function sumsOf(em: EntityManager, accountId: AccountId): Promise<Map<string, number>> {
  const rows = await em.execute<{ currency: string; total: string }[]>(
    `select p.currency, sum(p.amount) as total from ledger_postings p
       join ledger_transactions t on t.tenant_id = p.tenant_id and t.id = p.transaction_id
     where p.account = 'STRIPE_BALANCE' and t.stripe_account_id = ? group by 1`,
    [accountId],
  );
  return new Map(rows.map(({ currency, total }) => [currency, Number(total)]));
}

/** Keeps what a check found, as evidence. */
export async function storeCheck(em: EntityManager, accountId: AccountId, checked: CheckedBooks): Promise<void> {
  await em.execute(
    `insert into ledger_checks (tenant_id, livemode, stripe_account_id, transactions, differences) values (?, ?, ?, ?, ?::jsonb)`,
    [tenantOf(em), livemodeOf(em), accountId, checked.transactions, JSON.stringify(checked.differences)],
  );
}

/** What the last check of the tenant's books found; null before the first. */
export async function lastCheck(em: EntityManager): Promise<LedgerCheck | null> {
  const [row] = await em.execute<{ id: Uuid; at: string; transactions: string; differences: Difference[] | string }[]>(
    `select id, checked_at as at, transactions, differences from ledger_checks order by checked_at desc, id desc limit 1`,
  );
  if (!row) return null;
  const { id, at, transactions, differences } = row;
  return {
    id,
    checkedAt: new Date(at),
    transactions: Number(transactions),
    differences: typeof differences === 'string' ? (JSON.parse(differences) as Difference[]) : differences,
  };
}
