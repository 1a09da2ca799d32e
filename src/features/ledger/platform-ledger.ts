import { type EntityManager } from '@mikro-orm/postgresql';
import { type Database } from '../../db/database.js';
import { newUuid } from '../../shared/uuid.js';
import { type BookingReport } from '../../stripe/bookings.js';
import { type StripeService } from '../../stripe/stripe.service.js';
import { postingsOf } from './chart.js';
import { type Difference, totalsOf } from './ledger-check.js';
import { arrayOf } from './ledger-record.js';

/**
 * The books of the platform's own balance: the application fees that it earned. They stand in tables of their own, because they are no tenant's.
 * @param stripe the platform's own view of Stripe
 * @returns how many transactions were new
 */
export async function importPlatformBookings(
  database: Database,
  stripe: Pick<StripeService, 'bookingsAfter'>,
  fromStart = false,
): Promise<number> {
  const { livemode } = database;
  const cursor = fromStart
    ? null
    : await database.worker(async (em) => {
        // As with a tenant's account: what is booked within one second may appear before what is known already.
        const [row] = await em.execute<{ cause: string }[]>(
          `select cause from platform_ledger_transactions where livemode = ? and created_at < now() - interval '1 minute'
           order by number desc limit 1`,
          [livemode],
        );
        return row?.cause ?? null;
      });
  let posted = 0;
  for await (const page of stripe.bookingsAfter(cursor)) {
    posted += await database.worker((em) => postPage(em, livemode, page));
  }
  return posted;
}

async function postPage(em: EntityManager, livemode: boolean, page: readonly BookingReport[]): Promise<number> {
  const known = await em.execute<{ cause: string }[]>(
    'select cause from platform_ledger_transactions where livemode = ? and cause = any(?::text[])',
    [livemode, arrayOf(page.map(({ id }) => id))],
  );
  const causes = new Set(known.map(({ cause }) => cause));
  let posted = 0;
  for (const booking of page.filter(({ id }) => !causes.has(id))) {
    const id = newUuid();
    const inserted = await em.execute<unknown[]>(
      `insert into platform_ledger_transactions (id, livemode, cause, type, category, currency, amount, stripe_fee, application_fee, net,
         source_id, description, booked_at, available_on)
       values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) on conflict do nothing returning 1`,
      [
        ...[id, livemode, booking.id, booking.type, booking.category, booking.currency, booking.amount],
        ...[booking.stripeFee, booking.applicationFee, booking.net, booking.sourceId, booking.description],
        ...[booking.created, booking.availableOn],
      ],
    );
    if (inserted.length === 0) continue;
    posted += 1;
    const postings = postingsOf(booking);
    if (postings.length === 0) continue;
    await em.execute(
      `insert into platform_ledger_postings (livemode, transaction_id, currency, account, amount)
       values ${postings.map(() => '(?, ?, ?, ?, ?)').join(', ')}`,
      postings.flatMap(({ account, amount }) => [livemode, id, booking.currency, account, amount]),
    );
  }
  return posted;
}

/**
 * Compares the platform's books with its balance at Stripe, and with themselves.
 * @returns what differs, after everything that Stripe has booked was posted
 */
export async function checkPlatformBooks(
  database: Database,
  stripe: Pick<StripeService, 'bookingsAfter' | 'retrieveBalance'>,
): Promise<Difference[]> {
  await importPlatformBookings(database, stripe);
  for (let tries = 1; ; tries += 1) {
    const atStripe = totalsOf(await stripe.retrieveBalance());
    const rows = await database.worker((em) =>
      em.execute<{ currency: string; at_stripe: string; total: string }[]>(
        `select currency, coalesce(sum(amount) filter (where account = 'STRIPE_BALANCE'), 0) as at_stripe, sum(amount) as total
         from platform_ledger_postings where livemode = ? group by 1`,
        [database.livemode],
      ),
    );
    const ours = new Map(rows.map(({ currency, at_stripe }) => [currency, Number(at_stripe)]));
    const differences = [...new Set([...atStripe.keys(), ...ours.keys()])].map((currency) => ({
      ...{ what: 'STRIPE_BALANCE', subject: 'platform', currency },
      expected: atStripe.get(currency) ?? 0,
      found: ours.get(currency) ?? 0,
    }));
    const sums = rows.map(({ currency, total }) => ({
      ...{ what: 'ZERO_SUM', subject: 'platform', currency },
      expected: 0,
      found: Number(total),
    }));
    const broken = [...sums, ...differences].filter(({ expected, found }) => expected !== found);
    if (broken.length === 0) return [];
    const posted = await importPlatformBookings(database, stripe, tries === 2);
    if ((tries >= 3 && posted === 0) || tries >= 10) return broken;
  }
}
