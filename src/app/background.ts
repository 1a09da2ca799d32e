import { type Database } from '../db/database.js';
import { DisputeAlarm } from '../features/disputes/dispute-alarm.js';
import { disputeCommands } from '../features/disputes/dispute.commands.js';
import { DriftJob } from '../features/drift/drift-job.js';
import { FailureAlarm } from '../features/insights/failure-alarm.js';
import { MrrJob } from '../features/insights/mrr-job.js';
import { dunningCommands } from '../features/dunning/dunning.commands.js';
import { DunningGauges } from '../features/dunning/dunning-gauges.js';
import { DunningRounds } from '../features/dunning/dunning-rounds.js';
import { DunningSearch } from '../features/dunning/dunning-search.js';
import { DunningStuck } from '../features/dunning/dunning-stuck.js';
import { invoiceCommands } from '../features/invoices/invoice.commands.js';
import { Bookkeeper } from '../features/ledger/bookkeeper.js';
import { ledgerChecks } from '../features/ledger/ledger-check.js';
import { LedgerVerification } from '../features/ledger/ledger-verification.js';
import { onboardingCommands } from '../features/onboarding/onboarding.commands.js';
import { paymentMethodCommands } from '../features/payment-methods/payment-method.commands.js';
import { paymentCommands } from '../features/payments/payment.service.js';
import { type PayLinks } from '../features/pay-page/pay-links.js';
import { payoutChecks, payoutStep } from '../features/payouts/payout-books.js';
import { portalCommands } from '../features/portal/portal.service.js';
import { refundCommands } from '../features/refunds/refund.service.js';
import { subscriptionCommands } from '../features/subscriptions/subscription.service.js';
import { DeliveryRetention } from '../features/webhook-endpoints/delivery-retention.js';
import { type AddressGuard } from '../features/webhook-endpoints/endpoint-address.js';
import { type EndpointSecrets } from '../features/webhook-endpoints/endpoint-secret.js';
import { WebhookSender } from '../features/webhook-endpoints/webhook-sender.js';
import { type AnyCommandKind } from '../jobs/commands/kind.js';
import { CommandRecovery } from '../jobs/commands/recovery.js';
import { type ScheduledJob } from '../jobs/schedules/scheduled-job.js';
import { Schedules } from '../jobs/schedules/schedules.js';
import { type Clock } from '../shared/clock.js';
import { type Logger } from '../shared/logger.js';
import { type StripeService } from '../stripe/stripe.service.js';
import { EventRetention } from '../webhooks/event-retention.js';
import { createWebhookWorker, type WebhookSettings } from '../webhooks/webhooks.js';
import { createMailing, type MailingParts } from './mailing.js';

/** What works beside the requests, in processes that work. */
export interface BackgroundPart {
  /** Returns at once. */
  start(): void;
  /** Takes nothing new, and ends what is under way. */
  stop(): Promise<void>;
}

export interface BackgroundParts {
  readonly database: Database;
  readonly stripe: StripeService;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly webhooks: WebhookSettings;
  readonly endpointSecrets: EndpointSecrets;
  readonly addressGuard: AddressGuard;
  /** Null: nothing is mailed. */
  readonly mail: MailingParts['mail'];
  readonly payLinks: PayLinks;
  /** Days that events are kept. */
  readonly eventRetentionDays: number;
  /** Milliseconds that what is under way has to end when the process stops. */
  readonly shutdownTimeoutMs: number;
  /** Whether jobs run by the clock. Tests run the jobs that they are about themselves. */
  readonly runsSchedules: boolean;
}

/** Every kind of command that may have been left unfinished. */
const commandKinds: AnyCommandKind[] = [
  ...onboardingCommands,
  ...portalCommands,
  ...subscriptionCommands,
  ...invoiceCommands,
  ...paymentMethodCommands,
  ...paymentCommands,
  ...refundCommands,
  ...disputeCommands,
  ...dunningCommands,
];

/** What is done by the clock: at most once at a time over all processes, see docs/operating.md. A job is one line here. */
function scheduledJobs(parts: BackgroundParts): ScheduledJob[] {
  return [
    new DriftJob(parts),
    new LedgerVerification({ ...parts, checks: [...ledgerChecks, ...payoutChecks] }),
    new MrrJob(parts),
    new DunningRounds(parts),
    new DunningSearch(parts),
    new DunningStuck(parts),
    new EventRetention({ ...parts, retentionDays: parts.eventRetentionDays }),
    new DeliveryRetention(parts),
  ];
}

/** What goes on all the time, in every process that works: it waits for something, or shows what it measured on the process's own metrics. */
function loops(parts: BackgroundParts): BackgroundPart[] {
  const { database, stripe, clock, logger } = parts;
  return [
    createWebhookWorker(parts.webhooks),
    new CommandRecovery(database, stripe, commandKinds, { clock, logger }),
    new Bookkeeper(database, stripe, [payoutStep], [...ledgerChecks, ...payoutChecks], { logger }),
    new DisputeAlarm(parts),
    new DunningGauges(parts),
    new FailureAlarm(parts),
    new WebhookSender({ ...parts, secrets: parts.endpointSecrets, guard: parts.addressGuard }),
  ];
}

/** Everything that works beside the requests, as one thing. */
export function createBackground(parts: BackgroundParts): BackgroundPart {
  const mailing = createMailing(parts);
  const all = [...loops(parts), ...mailing.loops];
  if (parts.runsSchedules) all.push(new Schedules({ ...parts, jobs: [...scheduledJobs(parts), ...mailing.jobs] }));
  return {
    start: () => all.forEach((part) => part.start()),
    stop: async () => void (await Promise.all(all.map((part) => part.stop()))),
  };
}
