import { type Database } from '../db/database.js';
import { FailureDigests } from '../features/insights/failure-digests.js';
import { type Attachments } from '../features/mail/letter.js';
import { Mailer, type MailerSettings } from '../features/mail/mailer.js';
import { Postman } from '../features/mail/postman.js';
import { type ReceiptData } from '../features/mail/templates/receipt.js';
import { BalanceAlerts } from '../features/notices/balance-alerts.js';
import { DisputeDeadlines } from '../features/notices/dispute-deadlines.js';
import { MailRetention } from '../features/notices/mail-retention.js';
import { receiptPdf } from '../features/notices/receipt-pdf.js';
import { forgetMailing, Receipts } from '../features/notices/receipts.js';
import { Reminders } from '../features/notices/reminders.js';
import { stillTrue } from '../features/notices/still-true.js';
import { type PayLinks } from '../features/pay-page/pay-links.js';
import { type ScheduledJob } from '../jobs/schedules/scheduled-job.js';
import { type Clock } from '../shared/clock.js';
import { type Logger } from '../shared/logger.js';
import { Ticking } from '../shared/repeat.js';
import { type StripeService } from '../stripe/stripe.service.js';
import { type BackgroundPart } from './background.js';

export interface MailingParts {
  readonly database: Database;
  readonly stripe: StripeService;
  readonly payLinks: PayLinks;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Days that the contents of mails are kept, as those of events. */
  readonly eventRetentionDays: number;
  /** Null: nothing is mailed. */
  readonly mail: (MailerSettings & { readonly font: string | null }) | null;
}

/** What goes along with mails. @param font of PDFs; null: DejaVu Sans */
export function mailAttachments(font: string | null): Attachments {
  return { receipt: (data: ReceiptData, sender) => receiptPdf(data, sender, font) };
}

/** What sends mails, and what finds reasons for them. Without a mail server nothing does either. */
export function createMailing(parts: MailingParts): {
  readonly loops: BackgroundPart[];
  readonly jobs: ScheduledJob[];
} {
  const { database, logger, mail } = parts;
  const retention = new MailRetention({ ...parts, retentionDays: parts.eventRetentionDays });
  if (!mail) return { loops: [silence(parts)], jobs: [retention] };
  const postman = new Postman({
    ...{ database, logger, from: mail.from, mailer: new Mailer(mail) },
    attachments: mailAttachments(mail.font),
    stillTrue,
  });
  return {
    loops: [postman, new Receipts(parts)],
    jobs: [
      ...[new Reminders(parts), new DisputeDeadlines(parts), new BalanceAlerts(parts), new FailureDigests(parts)],
      retention,
    ],
  };
}

/** What happens while nothing is mailed, by nobody, is not made up for when it is. */
function silence({ database, logger }: MailingParts): BackgroundPart {
  const work = () => forgetMailing(database);
  return new Ticking({ work, everyMs: 600_000, failure: 'Cannot note that nothing is mailed', logger });
}
