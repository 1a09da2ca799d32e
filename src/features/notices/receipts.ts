import { type EntityManager } from '@mikro-orm/postgresql';
import { type Database } from '../../db/database.js';
import { type Clock } from '../../shared/clock.js';
import { type Logger } from '../../shared/logger.js';
import { Polling } from '../../shared/repeat.js';
import { type Uuid } from '../../shared/uuid.js';
import { enqueueMails, type NewMail } from '../mail/outbox.js';
import { methodOf } from './method.js';

export interface ReceiptSettings {
  readonly database: Database;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Milliseconds between two looks: 2,000. */
  readonly everyMs?: number;
}

const minute = 60_000;
/** So long after a payment succeeded a receipt is still worth something; Stripe repeats a webhook for as long. */
const windowMs = 3 * 24 * 60 * minute;
/** Stripe's stamps come to us in no order: a look begins so long before the newest that the last one saw. */
const overlapMs = 2 * minute;
/** What came later than that is found by looking at the whole window again. */
const wholeEveryMs = 10 * minute;
const batch = 200;

/**
 * Sees to it that every payment that succeeded has a receipt, once: also those that settle days after they were made, and those of which we
 * hear late. It looks for payments without one, rather than being told of each: so the events of payments, which come in crowds, know nothing
 * of mails. Any number of processes may look; the key of the receipt decides.
 */
export class Receipts {
  private readonly polling: Polling;
  /** The newest payment seen so far, and when the whole window was last looked at. */
  private seen: { readonly newest: number; readonly wholeAt: number } | null = null;
  /** Tenants whose receipts could not be taken down, and from where on they are looked at again. */
  private readonly behind = new Map<Uuid, Date>();

  constructor(private readonly settings: ReceiptSettings) {
    const { everyMs = 2_000, logger } = settings;
    // However many were found, the next look is not due sooner.
    const work = () => this.look().then(() => 0);
    this.polling = new Polling({ work, idleMs: everyMs, failure: 'Cannot look for payments without receipt', logger });
  }

  start(): void {
    this.polling.start();
  }

  stop(): Promise<void> {
    return this.polling.stop();
  }

  /** Takes down the receipts of payments that have none. @returns how many */
  async look(): Promise<number> {
    const { database, clock, logger } = this.settings;
    const now = clock.now().getTime();
    const since = await this.since(new Date(now));
    const isWhole = !this.seen || now - this.seen.wholeAt >= wholeEveryMs;
    const from = new Date(Math.max(since, now - windowMs, isWhole ? 0 : this.seen!.newest - overlapMs));
    const tenants = await database.platform((em) =>
      em.execute<{ tenantId: Uuid; newest: string }[]>(
        // One look into the index for each tenant, however many payments there are.
        `select t.tenant_id as "tenantId", p.succeeded_at as newest
         from (select distinct tenant_id from stripe_accounts where livemode = ?) t
           cross join lateral (select succeeded_at from payments where tenant_id = t.tenant_id and livemode = ? and succeeded_at is not null
             order by succeeded_at desc, id desc limit 1) p
         where p.succeeded_at > ?::timestamptz`,
        [database.livemode, database.livemode, from],
      ),
    );
    const due = new Map(tenants.map(({ tenantId }) => [tenantId, from]));
    for (const [tenantId, left] of this.behind) due.set(tenantId, left < from ? left : from);
    let taken = 0;
    for (const [tenantId, start] of due) {
      // One that fails keeps no other from its turn, and has no other looked at again.
      try {
        taken += await this.ofTenant(tenantId, start);
        this.behind.delete(tenantId);
      } catch (error) {
        this.behind.set(tenantId, start);
        logger.error({ err: error, tenantId }, 'The receipts of a tenant could not be taken down');
      }
    }
    const newest = Math.max(from.getTime(), ...tenants.map((tenant) => new Date(tenant.newest).getTime()));
    this.seen = { newest, wholeAt: isWhole ? now : this.seen!.wholeAt };
    return taken;
  }

  /** When mails began to go out: payments of before that are history, not news. */
  private async since(now: Date): Promise<number> {
    const { database } = this.settings;
    const rows = await database.worker(async (em) => {
      await em.execute(
        `insert into notice_marks (livemode, since) values (?, ?::timestamptz)
         on conflict (livemode) do update set seen_at = now() where notice_marks.seen_at < now() - interval '5 minutes'`,
        [database.livemode, now],
      );
      return em.execute<{ since: string }[]>('select since from notice_marks where livemode = ?', [database.livemode]);
    });
    return new Date(rows[0]?.since ?? now).getTime();
  }

  private async ofTenant(tenantId: Uuid, from: Date): Promise<number> {
    const db = this.settings.database.tenant(tenantId);
    let taken = 0;
    let after: Place = { paidAt: from.toISOString(), id: lastId };
    for (;;) {
      const page = await db.transaction(async (em) => {
        const rows = await withoutReceipt(em, after);
        return { rows, taken: await enqueueMails(em, rows.map(receiptOf)) };
      });
      taken += page.taken;
      if (page.rows.length < batch) return taken;
      after = page.rows.at(-1)!;
    }
  }
}

/** Where a page of payments ends. */
type Place = Pick<PaidRow, 'paidAt' | 'id'>;

/** After all payments of that moment. */
const lastId = 'ffffffff-ffff-ffff-ffff-ffffffffffff' as Uuid;

/**
 * Where mails are not sent any more, the time of this does not count when they are again. Said by a process without a mail server: another one
 * may have one, and have been away for a while. So it is only believed when nobody has looked for receipts for a day.
 */
export async function forgetMailing(database: Database): Promise<void> {
  await database.worker((em) =>
    em.execute(`delete from notice_marks where livemode = ? and seen_at < now() - interval '1 day'`, [
      database.livemode,
    ]),
  );
}

interface PaidRow {
  readonly id: Uuid;
  readonly amount: string;
  readonly currency: string;
  readonly paidAt: string;
  readonly description: string | null;
  readonly receiptUrl: string | null;
  readonly invoiceNumber: string | null;
  readonly customerId: number;
  readonly customerName: string;
  readonly email: string;
  readonly type: string | null;
  readonly brand: string | null;
  readonly last4: string | null;
}

/** Succeeded, for a customer with an address, and not given back meanwhile. */
function withoutReceipt(em: EntityManager, after: Place): Promise<PaidRow[]> {
  return em.execute<PaidRow[]>(
    `select p.id, p.amount_received as amount, p.currency, p.succeeded_at as "paidAt", p.description, p.receipt_url as "receiptUrl",
       i.number as "invoiceNumber", c.id as "customerId", c.name as "customerName", c.email, m.type, m.brand, m.last4
     from payments p
       join customers c on c.tenant_id = p.tenant_id and c.id = p.customer_id
       left join invoices i on i.tenant_id = p.tenant_id and i.id = p.invoice_id
       left join payment_methods m on m.tenant_id = p.tenant_id and m.stripe_payment_method_id = p.stripe_payment_method_id
     where (p.succeeded_at, p.id) > (?::timestamptz, ?::uuid) and p.status = 'SUCCEEDED'
       and p.succeeded_at > coalesce((select unmuted_at from mail_settings), '-infinity')
       and p.amount_refunded < p.amount_received and c.email <> ''
       and not exists (select from mail_settings where 'RECEIPTS' = any (muted))
       and not exists (select from mails r where r.tenant_id = p.tenant_id and r.livemode = p.livemode and r.key = 'receipt:' || p.id)
     order by p.succeeded_at, p.id limit ${batch}`,
    [after.paidAt, after.id],
  );
}

function receiptOf(row: PaidRow): NewMail<'receipt'> {
  return {
    key: `receipt:${row.id}`,
    template: 'receipt',
    to: row.email,
    customerId: row.customerId,
    data: {
      customerName: row.customerName,
      receiptNumber: `R-${row.id.replaceAll('-', '').slice(-12).toUpperCase()}`,
      amount: { amount: Number(row.amount), currency: row.currency },
      paidAt: new Date(row.paidAt).toISOString(),
      invoiceNumber: row.invoiceNumber,
      description: row.description,
      method: methodOf(row),
      receiptUrl: row.receiptUrl,
    },
  };
}
