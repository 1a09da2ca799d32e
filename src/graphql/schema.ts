import 'reflect-metadata';
import { type GraphQLSchema } from 'graphql';
import { type AuthChecker, buildSchemaSync, type NonEmptyArray } from 'type-graphql';
import { attachReads } from '../db/reads/attach.js';
import { AuditResolver } from '../features/audit/audit.resolver.js';
import { ContractResolver } from '../features/contracts/contract.resolver.js';
import { CustomerResolver } from '../features/customers/customer.resolver.js';
import { InvoiceResolver } from '../features/invoices/invoice.resolver.js';
import { OnboardingResolver } from '../features/onboarding/onboarding.resolver.js';
import { PaymentMethodResolver } from '../features/payment-methods/payment-method.resolver.js';
import {
  InvoicePaymentsResolver,
  PaymentResolver,
  SubscriptionPaymentsResolver,
} from '../features/payments/payment.resolver.js';
import { PlatformResolver } from '../features/platform/platform.resolver.js';
import { ContractSubscriptionResolver, SubscriptionResolver } from '../features/subscriptions/subscription.resolver.js';
import { ViewerResolver } from '../features/tenants/viewer.resolver.js';
import { WebhookEventResolver } from '../features/webhook-events/webhook-event.resolver.js';
import { AppError } from '../shared/errors.js';
import { type Viewer } from '../shared/viewer.js';

/** Every resolver there is. */
const resolvers: NonEmptyArray<new () => object> = [
  PlatformResolver,
  WebhookEventResolver,
  PaymentResolver,
  InvoicePaymentsResolver,
  SubscriptionPaymentsResolver,
  PaymentMethodResolver,
  InvoiceResolver,
  SubscriptionResolver,
  ContractSubscriptionResolver,
  ContractResolver,
  OnboardingResolver,
  CustomerResolver,
  AuditResolver,
  ViewerResolver,
];

/** Who may use a field. Only root fields ask: what is below them was let through with them. */
const authChecker: AuthChecker<{ readonly viewer: Viewer | null }, string> = ({ context: { viewer } }, roles) => {
  if (!viewer) throw new AppError('UNAUTHENTICATED', 'A token is needed: `Authorization: Bearer …`.');
  if (roles.length && !roles.includes(viewer.role)) throw new AppError('FORBIDDEN', 'Your role may not do this.');
  return true;
};

/** The whole schema, ready to be executed. */
export function createSchema(): GraphQLSchema {
  return attachReads(
    // Inputs are checked by their scalars and by the services, which know what the values mean.
    buildSchemaSync({ resolvers, authChecker, validate: false, nullableByDefault: false }),
  );
}
