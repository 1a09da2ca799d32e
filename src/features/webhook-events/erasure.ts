import { type TenantDb } from '../../db/database.js';
import { notFound } from '../../shared/errors.js';
import { type Uuid } from '../../shared/uuid.js';
import { audit } from '../audit/audit.js';
import { eraseMailsOf } from '../mail/mail.service.js';

/** Fields of Stripe's objects that say who somebody is, or lead to a page that does. Ids, amounts, states and stamps are none of them. */
const personal = new Set([
  'account_holder_name',
  'address',
  'billing_details',
  'customer_address',
  'customer_email',
  'customer_name',
  'customer_phone',
  'customer_shipping',
  'customer_tax_ids',
  'customer_details',
  'email',
  'fingerprint',
  'hosted_invoice_url',
  'individual_name',
  'invoice_pdf',
  'ip',
  'ip_address',
  'name',
  'phone',
  'receipt_email',
  'receipt_url',
  'shipping',
  'shipping_address',
  'shipping_details',
  'verified_email',
  'verified_name',
]);

/** The same value without anything personal in it, at any depth: what was there becomes null. */
export function withoutPersonalData(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutPersonalData);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [key, personal.has(key) ? null : withoutPersonalData(inner)]),
  );
}

const pageSize = 200;

/**
 * Erases a customer's personal data from the stored events of the tenant: names, addresses of all kinds, telephone numbers; and from its mails
 * all of what they said, and to whom. What was paid, when and how remains. What comes later is stored as it comes, so erase at Stripe first.
 * @param actor who asks, for the audit log
 * @param onProgress events looked at so far
 * @returns how many events were changed
 * @throws AppError NOT_FOUND
 */
export async function eraseCustomer(
  db: TenantDb,
  customerId: number,
  actor: string,
  onProgress: (looked: number) => void = () => undefined,
): Promise<number> {
  const ids = await db.transaction(async (em) => {
    const [customer] = await em.execute<unknown[]>('select from customers where id = ?', [customerId]);
    if (!customer) throw notFound('customer', 'customerId');
    const rows = await em.execute<{ id: string | null }[]>(
      `select stripe_customer_id as id from stripe_customers where customer_id = ?
       union select stripe_payment_method_id from payment_methods where customer_id = ?
       union select stripe_payment_intent_id from payments where customer_id = ?
       union select stripe_charge_id from payments where customer_id = ?
       union select stripe_payment_method_id from payments where customer_id = ?
       union select stripe_subscription_id from stripe_subscriptions where customer_id = ?`,
      Array.from({ length: 6 }, () => customerId),
    );
    return rows.flatMap(({ id }) => (id ? [id] : []));
  });
  let after = '00000000-0000-0000-0000-000000000000' as Uuid;
  let looked = 0;
  let changed = 0;
  for (;;) {
    const page = await db.transaction(async (em) => {
      const events = await em.execute<EventRow[]>(
        `select id, stripe_created_at, payload::text as payload from stripe_webhook_events
         where stripe_account_id in (select stripe_account_id from stripe_accounts) and id > ? order by id limit ${pageSize}`,
        [after],
      );
      const theirs = events.filter(({ payload }) => ids.some((id) => payload.includes(`"${id}"`)));
      // The tenant may see them; to change them is for the workers.
      await em.execute('set local role app_worker');
      for (const { id, stripe_created_at, payload } of theirs) {
        const erased = JSON.stringify(withoutPersonalData(JSON.parse(payload)));
        await em.execute(
          'update stripe_webhook_events set payload = ?::jsonb where id = ? and stripe_created_at = ?::timestamptz',
          [erased, id, stripe_created_at],
        );
      }
      return { events, changed: theirs.length };
    });
    if (page.events.length === 0) break;
    after = page.events.at(-1)!.id;
    looked += page.events.length;
    changed += page.changed;
    onProgress(looked);
  }
  await db.transaction(async (em) => {
    const subject = { subjectType: 'customer', subjectId: String(customerId) };
    const mails = await eraseMailsOf(em, customerId);
    audit(em, { actor, action: 'customer.erase', ...subject, details: { events: changed, mails } });
    await em.flush();
  });
  return changed;
}

interface EventRow {
  readonly id: Uuid;
  readonly stripe_created_at: string | Date;
  readonly payload: string;
}
