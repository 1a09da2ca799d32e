import { type EntityManager } from '@mikro-orm/postgresql';
import { livemodeOf, tenantOf } from '../../db/tenant-entity.js';
import { failpoint } from '../../shared/failpoint.js';
import { type Uuid } from '../../shared/uuid.js';
import { payoutReport } from '../../stripe/bookings.js';
import { type PayoutId } from '../../stripe/types.js';
import { type Books, type BookkeepingStep } from '../ledger/bookkeeping.js';
import { LedgerAccount } from '../ledger/chart.js';
import { type Check } from '../ledger/ledger-check.js';
import { arrayOf, postOwn } from '../ledger/ledger-record.js';
import { recordPayout } from './payout-record.js';

/** So many payouts are looked at in one go; the rest follow with the next import. */
const batch = 100;

/** What the books need of payouts once all bookings are posted: the payouts themselves, what is in them, and what arrived at the bank. */
export const payoutStep: BookkeepingStep = async (books) => {
  await fetchPayouts(books);
  await explainPayouts(books);
  await postArrivals(books);
};

/** Reads payouts that are booked and not known here, and those that have not come to an end. */
async function fetchPayouts(books: Books): Promise<void> {
  const { db, stripe, accountId } = books;
  const open = await db.transaction((em) =>
    em.execute<{ id: PayoutId }[]>(
      `select distinct t.stripe_payout_id as id from ledger_transactions t
         left join payouts p on p.tenant_id = t.tenant_id and p.stripe_payout_id = t.stripe_payout_id
       where t.stripe_payout_id is not null and t.stripe_account_id = ? and t.stripe_balance_transaction_id is not null
         and (p.id is null or p.status in ('PENDING', 'IN_TRANSIT') or (p.automatic and p.explained_at is null and p.reconciliation <> 'completed'))
       limit ${batch}`,
      [accountId],
    ),
  );
  for (const { id } of open) {
    const [now] = await db.transaction((em) => em.execute<{ now: string }[]>('select clock_timestamp()::text as now'));
    const report = payoutReport(await stripe.retrievePayout(id));
    await books.write((em) => recordPayout(em, accountId, report, now!.now));
    failpoint('payout.after-record');
  }
}

/** Links the transactions that Stripe says an automatic payout contains. It is explained once they add up to what was paid out. */
async function explainPayouts(books: Books): Promise<void> {
  const { db, stripe, accountId } = books;
  const unexplained = await db.transaction((em) =>
    em.execute<{ id: Uuid; stripe_payout_id: PayoutId }[]>(
      `select id, stripe_payout_id from payouts where stripe_account_id = ? and automatic and explained_at is null
       order by stripe_created_at desc limit ${batch}`,
      [accountId],
    ),
  );
  for (const { id, stripe_payout_id: payoutId } of unexplained) {
    let page: string[] = [];
    let listed = 0;
    const link = async () => {
      const ids = page;
      listed += ids.length;
      page = [];
      await books.write((em) => linkContents(em, id, ids));
    };
    for await (const booking of stripe.listBalanceTransactions(payoutId)) {
      if (page.push(booking.id) === 500) await link();
    }
    if (page.length > 0) await link();
    await books.write((em) =>
      em.execute(
        `update payouts p set explained_at = now() where p.id = ? and p.explained_at is null
           and (select count(*) from payout_transactions c where c.tenant_id = p.tenant_id and c.payout_id = p.id) = ?
           and payout_part(p.tenant_id, p.id, 'total') = p.amount`,
        [id, listed],
      ),
    );
  }
}

function linkContents(em: EntityManager, payoutId: Uuid, ids: readonly string[]): Promise<unknown> {
  return em.execute(
    `insert into payout_transactions (tenant_id, livemode, payout_id, transaction_id)
     select ?, ?, ?, id from ledger_transactions where stripe_balance_transaction_id = any(?::text[])
     order by number on conflict do nothing`,
    [tenantOf(em), livemodeOf(em), payoutId, arrayOf(ids)],
  );
}

interface Arrival {
  readonly id: Uuid;
  readonly stripe_payout_id: PayoutId;
  readonly currency: string;
  readonly due: string;
  readonly entries: string;
  readonly at: string;
}

/** What the books say arrived with a payout, against what Stripe says: all of it when it is paid, nothing otherwise. */
const arrivals = `
  select p.id, p.stripe_payout_id, p.currency, case when p.status = 'PAID' then p.amount else 0 end as wanted, b.posted, b.entries,
    case when p.status = 'PAID' then p.arrival_date else p.updated_at end as at
  from payouts p cross join lateral (
    select coalesce(sum(l.amount), 0) as posted, count(l.id) as entries from ledger_transactions t
      join ledger_postings l on l.tenant_id = t.tenant_id and l.transaction_id = t.id and l.account = 'BANK'
    where t.tenant_id = p.tenant_id and t.stripe_payout_id = p.stripe_payout_id) b
  where p.stripe_account_id = ?`;

/** Moves what arrived from PAYOUTS to BANK, and back when the bank returned it. */
async function postArrivals(books: Books): Promise<void> {
  const { db, accountId } = books;
  const due = await db.transaction((em) =>
    em.execute<Arrival[]>(`select * from (${arrivals}) a where wanted <> posted order by at limit 1000`, [accountId]),
  );
  for (const { id } of due) {
    await books.write(async (em) => {
      await em.execute('select from payouts where id = ? for update', [id]);
      const [row] = await em.execute<Arrival[]>(
        `select *, wanted - posted as due from (${arrivals} and p.id = ?) a where wanted <> posted`,
        [accountId, id],
      );
      if (!row) return;
      const amount = Number(row.due);
      const payoutId = row.stripe_payout_id;
      failpoint('payout.before-arrival');
      await postOwn(em, accountId, {
        cause: `${payoutId}:bank:${Number(row.entries) + 1}`,
        ...{ type: 'payout_arrival', category: 'payout_arrival', currency: row.currency },
        ...{ sourceId: payoutId, payoutId, bookedAt: new Date(row.at) },
        description: amount > 0 ? 'Arrived at the bank' : 'Returned by the bank',
        postings: [
          { account: LedgerAccount.BANK, amount },
          { account: LedgerAccount.PAYOUTS, amount: -amount },
        ],
      });
    });
  }
}

/** The rules between payouts and books. */
export const payoutChecks: readonly Check[] = [
  {
    what: 'BANK',
    query: ({ settleSeconds, accountId }) => [
      `select a.stripe_payout_id as subject, a.currency, a.wanted as expected, a.posted as found from (${arrivals}) a
         join payouts p on p.id = a.id
       where a.wanted <> a.posted and p.updated_at < now() - ? * interval '1 second' limit 100`,
      [accountId, settleSeconds],
    ],
  },
  {
    what: 'PAYOUT_TOTAL',
    query: ({ accountId }) => [
      `select stripe_payout_id as subject, currency, amount as expected, total as found from payout_statements
       where stripe_account_id = ? and explained_at is not null and total <> amount limit 100`,
      [accountId],
    ],
  },
  {
    // Stripe knows all that it contains, and here something is missing.
    what: 'PAYOUT_NOT_EXPLAINED',
    query: ({ settleSeconds, accountId }) => [
      `select stripe_payout_id as subject, currency, amount as expected, payout_part(tenant_id, id, 'total') as found from payouts
       where stripe_account_id = ? and automatic and explained_at is null and reconciliation = 'completed'
         and updated_at < now() - ? * interval '1 second' limit 100`,
      [accountId, settleSeconds],
    ],
  },
];
