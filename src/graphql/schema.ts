import 'reflect-metadata';
import { type GraphQLSchema } from 'graphql';
import { type AuthChecker, buildSchemaSync, type NonEmptyArray } from 'type-graphql';
import { attachReads } from '../db/reads/attach.js';
import { AuditResolver } from '../features/audit/audit.resolver.js';
import { ContractResolver } from '../features/contracts/contract.resolver.js';
import { CustomerResolver } from '../features/customers/customer.resolver.js';
import { DisputeResolver, PaymentDisputeResolver } from '../features/disputes/dispute.resolver.js';
import { DriftResolver } from '../features/drift/drift.resolver.js';
import { DunningResolver, InvoiceDunningResolver } from '../features/dunning/dunning.resolver.js';
import { LiveResolver } from '../features/live/live.resolver.js';
import { FailureResolver } from '../features/insights/failure.resolver.js';
import { InsightsResolver } from '../features/insights/insights.resolver.js';
import { InvoiceLinesResolver, InvoiceResolver } from '../features/invoices/invoice.resolver.js';
import { LedgerResolver } from '../features/ledger/ledger.resolver.js';
import { MailResolver } from '../features/mail/mail.resolver.js';
import { OnboardingResolver } from '../features/onboarding/onboarding.resolver.js';
import { PaymentMethodResolver } from '../features/payment-methods/payment-method.resolver.js';
import { SubscriptionMethodResolver } from '../features/payment-methods/subscription-method.resolver.js';
import {
  InvoicePaymentsResolver,
  PaymentResolver,
  SubscriptionPaymentsResolver,
} from '../features/payments/payment.resolver.js';
import { PayPageResolver } from '../features/pay-page/pay-page.resolver.js';
import {
  PaymentPayoutResolver,
  PayoutContentsResolver,
  PayoutResolver,
  TransactionPayoutResolver,
} from '../features/payouts/payout.resolver.js';
import { PlatformResolver } from '../features/platform/platform.resolver.js';
import { PlatformLedgerResolver } from '../features/platform/platform-ledger.resolver.js';
import { PlatformRevenueResolver } from '../features/platform/platform-revenue.resolver.js';
import { PortalResolver } from '../features/portal/portal.resolver.js';
import { ScheduleResolver } from '../features/schedules/schedule.resolver.js';
import { SubscriptionChangesResolver } from '../features/subscriptions/subscription-changes.resolver.js';
import { PaymentRefundsResolver, RefundResolver } from '../features/refunds/refund.resolver.js';
import { ContractSubscriptionResolver, SubscriptionResolver } from '../features/subscriptions/subscription.resolver.js';
import { ViewerResolver } from '../features/tenants/viewer.resolver.js';
import { WebhookEndpointResolver } from '../features/webhook-endpoints/webhook-endpoint.resolver.js';
import { WebhookEventResolver } from '../features/webhook-events/webhook-event.resolver.js';
import { AppError } from '../shared/errors.js';
import { type Viewer } from '../shared/viewer.js';
import { plainFields } from './compiled/plain-fields.js';
import { recordable } from './compiled/recording.js';
import { refuseNul } from './plain-text.js';

/** Every resolver there is. */
const resolvers: NonEmptyArray<new () => object> = [
  PlatformResolver,
  ScheduleResolver,
  PlatformRevenueResolver,
  PlatformLedgerResolver,
  InsightsResolver,
  FailureResolver,
  LiveResolver,
  PayPageResolver,
  DriftResolver,
  WebhookEventResolver,
  WebhookEndpointResolver,
  DunningResolver,
  InvoiceDunningResolver,
  PayoutResolver,
  PayoutContentsResolver,
  PaymentPayoutResolver,
  TransactionPayoutResolver,
  LedgerResolver,
  DisputeResolver,
  PaymentDisputeResolver,
  RefundResolver,
  PaymentRefundsResolver,
  PaymentResolver,
  InvoicePaymentsResolver,
  SubscriptionPaymentsResolver,
  PaymentMethodResolver,
  SubscriptionMethodResolver,
  InvoiceResolver,
  InvoiceLinesResolver,
  SubscriptionResolver,
  SubscriptionChangesResolver,
  ContractSubscriptionResolver,
  ContractResolver,
  PortalResolver,
  OnboardingResolver,
  CustomerResolver,
  MailResolver,
  AuditResolver,
  ViewerResolver,
];

/** Who may use a field. Only root fields ask: what is below them was let through with them. */
const authChecker: AuthChecker<{ readonly viewer: Viewer | null }, string> = ({ context: { viewer } }, roles) => {
  if (!viewer) throw new AppError('UNAUTHENTICATED', 'A token is needed: `Authorization: Bearer …`.');
  if (roles.length && !roles.includes(viewer.role)) throw new AppError('FORBIDDEN', 'Your role may not do this.');
  return true;
};

/** Asked for by type-graphql. What is live comes from PostgreSQL, see features/live: every subscription brings its own source. */
const pubSub = {
  publish: () => undefined,
  subscribe: (): never => {
    throw new Error('There are no topics.');
  },
};

/** The whole schema, ready to be executed. */
export function createSchema(): GraphQLSchema {
  refuseNul();
  // Inputs are checked by their scalars and by the services, which know what the values mean.
  const schema = buildSchemaSync({
    ...{ resolvers, authChecker, pubSub, validate: false, nullableByDefault: false },
  });
  return recordable(attachReads(plainFields(schema)));
}
