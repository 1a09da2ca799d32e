import { type Database } from '../db/database.js';
import { type ReadDatabase, type Reads } from '../db/reads/reads.js';
import { type AuditContext } from '../features/audit/audit.resolver.js';
import { type ContractContext } from '../features/contracts/contract.resolver.js';
import { type CustomerContext } from '../features/customers/customer.resolver.js';
import { type DisputeContext } from '../features/disputes/dispute.resolver.js';
import { DisputeService } from '../features/disputes/dispute.service.js';
import { type DriftContext } from '../features/drift/drift.resolver.js';
import { DriftService } from '../features/drift/drift.service.js';
import { type DunningContext } from '../features/dunning/dunning.resolver.js';
import { DunningService } from '../features/dunning/dunning.service.js';
import { type LiveFeed } from '../features/live/live-feed.js';
import { type LiveContext } from '../features/live/live.resolver.js';
import { type LiveConnection, LiveService } from '../features/live/live.service.js';
import { type FailureContext } from '../features/insights/failure.resolver.js';
import { Failures } from '../features/insights/failures.js';
import { type InsightsContext } from '../features/insights/insights.resolver.js';
import { Mrr } from '../features/insights/mrr.js';
import { Revenue } from '../features/insights/revenue.js';
import { type InvoiceContext } from '../features/invoices/invoice.resolver.js';
import { type LedgerContext } from '../features/ledger/ledger.resolver.js';
import { type MailContext } from '../features/mail/mail.resolver.js';
import { MailService } from '../features/mail/mail.service.js';
import { ApplicationFees } from '../features/onboarding/application-fees.js';
import { type OnboardingLinks } from '../features/onboarding/onboarding-links.js';
import { type OnboardingContext } from '../features/onboarding/onboarding.resolver.js';
import { OnboardingService } from '../features/onboarding/onboarding.service.js';
import { type PayLinks } from '../features/pay-page/pay-links.js';
import { type PayPageContext } from '../features/pay-page/pay-page.resolver.js';
import { PayPageService } from '../features/pay-page/pay-page.service.js';
import { type PaymentMethodContext } from '../features/payment-methods/payment-method.resolver.js';
import { PaymentMethodService } from '../features/payment-methods/payment-method.service.js';
import { type PaymentContext } from '../features/payments/payment.resolver.js';
import { PaymentService } from '../features/payments/payment.service.js';
import { type RefundContext } from '../features/refunds/refund.resolver.js';
import { RefundService } from '../features/refunds/refund.service.js';
import { BalanceService } from '../features/payouts/balance.js';
import { type PayoutContext } from '../features/payouts/payout.resolver.js';
import { type PlatformContext } from '../features/platform/platform.resolver.js';
import { type PlatformLedgerContext } from '../features/platform/platform-ledger.resolver.js';
import { type PlatformRevenueContext } from '../features/platform/platform-revenue.resolver.js';
import { PlatformService } from '../features/platform/platform.service.js';
import { type PortalContext } from '../features/portal/portal.resolver.js';
import { PortalService } from '../features/portal/portal.service.js';
import { type SubscriptionChangesContext } from '../features/subscriptions/subscription-changes.resolver.js';
import { type ScheduleContext } from '../features/schedules/schedule.resolver.js';
import { ScheduleService } from '../features/schedules/schedule.service.js';
import { SubscriptionService } from '../features/subscriptions/subscription.service.js';
import { type ViewerContext } from '../features/tenants/viewer.resolver.js';
import { type AddressGuard } from '../features/webhook-endpoints/endpoint-address.js';
import { type EndpointSecrets } from '../features/webhook-endpoints/endpoint-secret.js';
import { type WebhookEndpointContext } from '../features/webhook-endpoints/webhook-endpoint.resolver.js';
import { WebhookEndpointService } from '../features/webhook-endpoints/webhook-endpoint.service.js';
import { type WebhookEventContext } from '../features/webhook-events/webhook-event.resolver.js';
import { type Rehearse, WebhookEventService } from '../features/webhook-events/webhook-event.service.js';
import { Commands } from '../jobs/commands/commands.js';
import { type Clock } from '../shared/clock.js';
import { AppError } from '../shared/errors.js';
import { type Logger } from '../shared/logger.js';
import { type Viewer } from '../shared/viewer.js';
import { type StripeService } from '../stripe/stripe.service.js';

/** The long-lived parts that requests are served with. */
export interface ServerParts {
  readonly database: Database;
  readonly reads: ReadDatabase;
  readonly stripe: StripeService;
  readonly links: OnboardingLinks;
  readonly payLinks: PayLinks;
  readonly live: LiveFeed;
  readonly rehearse: Rehearse;
  /** What tenants' endpoints are told with, and where they may be. */
  readonly endpointSecrets: EndpointSecrets;
  readonly addressGuard: AddressGuard;
  readonly clock: Clock;
  readonly logger: Logger;
}

interface Slices
  extends
    PlatformContext,
    ScheduleContext,
    PlatformRevenueContext,
    PlatformLedgerContext,
    InsightsContext,
    FailureContext,
    LiveContext,
    PayPageContext,
    DriftContext,
    WebhookEventContext,
    WebhookEndpointContext,
    DunningContext,
    PayoutContext,
    LedgerContext,
    DisputeContext,
    RefundContext,
    PaymentContext,
    PaymentMethodContext,
    InvoiceContext,
    SubscriptionChangesContext,
    ContractContext,
    PortalContext,
    OnboardingContext,
    CustomerContext,
    MailContext,
    AuditContext,
    ViewerContext {}

/**
 * What resolvers are given: the sum of the slices that each feature asks for, made when somebody looks. Everything of a tenant is made for
 * the tenant of the token; there is no other way to one.
 */
export class RequestContext implements Slices {
  private readonly made = new Map<string, unknown>();

  constructor(
    private readonly parts: ServerParts,
    private readonly token: Viewer | null,
    /** The one that the request came over, if it stays. */
    private readonly connection: LiveConnection | null = null,
  ) {}

  get viewer(): Viewer {
    // The authorization of root fields looks here first, and takes null for nobody.
    return this.token as Viewer;
  }

  get reads(): Reads {
    return this.once('reads', () => {
      const { tenantId } = this.somebody;
      return tenantId ? this.parts.reads.tenant(tenantId) : this.parts.reads.platform();
    });
  }

  get onboarding(): OnboardingService {
    return this.once('onboarding', () => {
      const { stripe, links, clock } = this.parts;
      const { commands } = this;
      return new OnboardingService({ db: commands.db, stripe, commands, links, clock, actor: this.somebody.subject });
    });
  }

  get applicationFees(): ApplicationFees {
    return this.once('applicationFees', () => new ApplicationFees(this.parts.database, this.somebody.subject));
  }

  get payments(): PaymentService {
    const { commands, parts, somebody } = this;
    return this.once('payments', () => new PaymentService(commands, parts.stripe, somebody.subject));
  }

  get disputes(): DisputeService {
    const { commands, somebody } = this;
    return this.once('disputes', () => new DisputeService(commands, somebody.subject));
  }

  get live(): LiveService {
    const { parts, connection, tenantId } = this;
    return this.once('live', () => new LiveService(parts.live, parts.database.tenant(tenantId), connection));
  }

  get payPage(): PayPageService {
    const { commands, parts, somebody, payments } = this;
    return this.once('payPage', () => new PayPageService(commands.db, payments, parts.payLinks, somebody.subject));
  }

  get refunds(): RefundService {
    const { commands, somebody } = this;
    return this.once('refunds', () => new RefundService(commands, somebody.subject));
  }

  get balances(): BalanceService {
    const { database, stripe } = this.parts;
    return this.once('balances', () => new BalanceService(database.tenant(this.tenantId), stripe));
  }

  get paymentMethods(): PaymentMethodService {
    const { commands, parts, somebody } = this;
    return this.once('paymentMethods', () => new PaymentMethodService(commands, parts.stripe, somebody.subject));
  }

  get subscriptions(): SubscriptionService {
    const { commands, parts, somebody } = this;
    return this.once('subscriptions', () => new SubscriptionService(commands, parts.stripe, somebody.subject));
  }

  get portal(): PortalService {
    const { commands, parts, somebody } = this;
    return this.once('portal', () => new PortalService(commands, parts.links.returnUrls, somebody.subject));
  }

  get webhookEvents(): WebhookEventService {
    const { parts, somebody, tenantId } = this;
    return this.once(
      'webhookEvents',
      () => new WebhookEventService(parts.database.tenant(tenantId), somebody.subject, parts.rehearse),
    );
  }

  get webhookEndpoints(): WebhookEndpointService {
    const { parts, somebody, tenantId } = this;
    const { clock, endpointSecrets: secrets, addressGuard: guard } = parts;
    const db = parts.database.tenant(tenantId);
    return this.once(
      'webhookEndpoints',
      () => new WebhookEndpointService({ db, secrets, guard, clock, actor: somebody.subject }),
    );
  }

  get drift(): DriftService {
    const { parts, somebody, tenantId } = this;
    return this.once(
      'drift',
      () => new DriftService({ ...parts, db: parts.database.tenant(tenantId), actor: somebody.subject }),
    );
  }

  get dunning(): DunningService {
    const { parts, somebody, tenantId } = this;
    return this.once(
      'dunning',
      () => new DunningService(parts.database.tenant(tenantId), parts.clock, somebody.subject),
    );
  }

  get revenue(): Revenue {
    const { reads, somebody } = this;
    return this.once('revenue', () => new Revenue(reads, somebody.tenantId === null));
  }

  get mail(): MailService {
    const { parts, somebody, tenantId } = this;
    return this.once('mail', () => new MailService(parts.database.tenant(tenantId), somebody.subject, parts.clock));
  }

  get failures(): Failures {
    return this.once('failures', () => new Failures(this.reads));
  }

  get mrr(): Mrr {
    const { reads, parts, tenantId } = this;
    return this.once('mrr', () => new Mrr(reads, parts.database.tenant(tenantId)));
  }

  get platform(): PlatformService {
    return this.once('platform', () => new PlatformService(this.parts.database));
  }

  get schedules(): ScheduleService {
    const { parts, somebody } = this;
    return this.once('schedules', () => new ScheduleService(parts.database, somebody.subject));
  }

  private get commands(): Commands {
    const { database, stripe, clock, logger } = this.parts;
    return this.once('commands', () => new Commands(database.tenant(this.tenantId), stripe, { clock, logger }));
  }

  private get somebody(): Viewer {
    if (!this.token) throw new AppError('UNAUTHENTICATED', 'A token is needed: `Authorization: Bearer …`.');
    return this.token;
  }

  private get tenantId(): string {
    const { tenantId } = this.somebody;
    if (!tenantId) throw new AppError('FORBIDDEN', 'This is for the people of a tenant.');
    return tenantId;
  }

  private once<T>(name: string, make: () => T): T {
    if (!this.made.has(name)) this.made.set(name, make());
    return this.made.get(name) as T;
  }
}
