import { type Database } from '../../db/database.js';
import { type ScheduledJob } from '../../jobs/schedules/scheduled-job.js';
import { type Clock } from '../../shared/clock.js';
import { type Logger } from '../../shared/logger.js';
import { awaitingAnswer } from '../disputes/dispute.entity.js';
import { enqueueAdminMail } from '../mail/outbox.js';
import { forEveryTenant } from './every-tenant.js';

export interface DisputeDeadlineSettings {
  readonly database: Database;
  readonly clock: Clock;
  readonly logger: Logger;
}

interface DueDispute {
  readonly key: string;
  readonly invoiceNumber: string | null;
  readonly amount: string;
  readonly currency: string;
  readonly reason: string;
  readonly stripeDisputeId: string;
  readonly answerBy: string;
}

/**
 * Tells a tenant's admins seven days, three days and one day before a dispute is lost that nobody has answered. After a time in which nobody
 * looked only the nearest of these is told.
 */
export class DisputeDeadlines implements ScheduledJob {
  readonly name = 'dispute-deadlines';
  readonly description = 'Tells tenants’ admins 7, 3 and 1 days before a dispute must be answered.';
  readonly cron = '27 * * * *';

  constructor(private readonly settings: DisputeDeadlineSettings) {}

  async run({ signal }: { readonly signal: AbortSignal }): Promise<void> {
    await forEveryTenant(this.settings, signal, (db) =>
      db.transaction(async (em) => {
        const now = this.settings.clock.now();
        const due = await em.execute<DueDispute[]>(
          `select 'dispute:' || d.id || ':' || to_char(d.evidence_due_by at time zone 'UTC', 'YYYY-MM-DD') || ':'
               || case when d.evidence_due_by <= n.now + interval '1 day' then 1
                    when d.evidence_due_by <= n.now + interval '3 days' then 3 else 7 end as key,
             i.number as "invoiceNumber", d.amount, d.currency, d.reason, d.stripe_dispute_id as "stripeDisputeId",
             d.evidence_due_by as "answerBy"
           from disputes d cross join (select ?::timestamptz as now) n
             join payments p on p.tenant_id = d.tenant_id and p.id = d.payment_id
             left join invoices i on i.tenant_id = p.tenant_id and i.id = p.invoice_id
           where d.status in (?) and d.submission_count = 0 and d.evidence_due_by > n.now and d.evidence_due_by <= n.now + interval '7 days'
           order by d.evidence_due_by limit 500`,
          [now, [...awaitingAnswer]],
        );
        for (const { key, answerBy, amount, currency, invoiceNumber, reason, stripeDisputeId } of due) {
          await enqueueAdminMail(em, {
            key,
            template: 'dispute-deadline',
            until: new Date(answerBy),
            data: {
              ...{ invoiceNumber, reason, stripeDisputeId },
              ...{ amount: { amount: Number(amount), currency }, answerBy: new Date(answerBy).toISOString() },
            },
          });
        }
      }),
    );
  }
}
