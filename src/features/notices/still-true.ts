import { type EntityManager } from '@mikro-orm/postgresql';
import { isUuid } from '../../shared/uuid.js';
import { awaitingAnswer } from '../disputes/dispute.entity.js';
import { type StillTrue } from '../mail/postman.js';

/** A day, as it stands third in a key. */
const dayOf = (column: string) => `to_char(${column} at time zone 'UTC', 'YYYY-MM-DD')`;

/** Asks for the row that a key names second, and whether it is still what the mail was about. */
const asks =
  (table: string, condition: string) =>
  async (em: EntityManager, key: string): Promise<boolean> => {
    const [, id, which = ''] = key.split(':');
    if (!isUuid(id)) return true;
    const rows = await em.execute<unknown[]>(
      `select 1 from ${table} t cross join (select ?::text as which) k where t.id = ? and ${condition}`,
      [which, id],
    );
    return rows.length > 0;
  };

/**
 * What reminders say, asked once more just before they go: between the reason and the mail a mail server may have been away for a day, and
 * nobody is to be asked for what was done meanwhile. Keys are those of `Reminders` and `DisputeDeadlines`.
 */
export const stillTrue: StillTrue = {
  'renewal-coming': asks(
    'stripe_subscriptions',
    `t.status = 'ACTIVE' and not t.cancel_at_period_end and not t.collection_paused and ${dayOf('t.next_charge_at')} = k.which`,
  ),
  'trial-ending': asks(
    'stripe_subscriptions',
    `t.status = 'TRIALING' and not t.cancel_at_period_end and ${dayOf('t.trial_end')} = k.which`,
  ),
  'card-expiring': asks('payment_methods', `t.status = 'ACTIVE' and t.exp_year || '-' || t.exp_month = k.which`),
  'action-needed': asks(
    'payments',
    `t.status = 'ACTION_REQUIRED'
       and exists (select from invoices i where i.tenant_id = t.tenant_id and i.id = t.invoice_id and i.status = 'OPEN')`,
  ),
  'dispute-deadline': asks(
    'disputes',
    `t.status in (${awaitingAnswer.map((state) => `'${state}'`).join(', ')}) and t.submission_count = 0
       and ${dayOf('t.evidence_due_by')} = k.which`,
  ),
};
