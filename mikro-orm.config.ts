import { type EntityClass } from '@mikro-orm/core';
import { ormOptions } from './src/db/orm.js';
import { AuditEntry } from './src/features/audit/audit-entry.entity.js';
import { Contract } from './src/features/contracts/contract.entity.js';
import { Customer, StripeCustomer } from './src/features/customers/customer.entity.js';
import { Dispute } from './src/features/disputes/dispute.entity.js';
import { DunningCase } from './src/features/dunning/dunning-case.entity.js';
import { DunningSettings } from './src/features/dunning/dunning-settings.entity.js';
import { DunningStep } from './src/features/dunning/dunning-step.entity.js';
import { Invoice } from './src/features/invoices/invoice.entity.js';
import { InvoiceLine } from './src/features/invoices/invoice-line.entity.js';
import { StripeInvoice } from './src/features/invoices/stripe-invoice.entity.js';
import { Mail } from './src/features/mail/mail.entity.js';
import { MailSettings } from './src/features/mail/mail-settings.entity.js';
import { StripeAccount, StripeConfig } from './src/features/onboarding/stripe-config.entity.js';
import { PaymentMethod } from './src/features/payment-methods/payment-method.entity.js';
import { Payment } from './src/features/payments/payment.entity.js';
import { Refund } from './src/features/refunds/refund.entity.js';
import { StripeDiscount } from './src/features/subscriptions/discount.entity.js';
import { StripePrice } from './src/features/subscriptions/stripe-price.entity.js';
import { StripeSubscription } from './src/features/subscriptions/subscription.entity.js';
import { Tenant, User } from './src/features/tenants/tenant.entity.js';
import { WebhookDelivery } from './src/features/webhook-endpoints/webhook-delivery.entity.js';
import { WebhookEndpoint } from './src/features/webhook-endpoints/webhook-endpoint.entity.js';
import { WebhookEvent } from './src/features/webhook-events/webhook-event.entity.js';
import { Command } from './src/jobs/commands/command.entity.js';

/** Every entity there is. They stand here, above the features, so that no feature needs to know all others. */
export const entities: EntityClass<object>[] = [
  Tenant,
  User,
  Customer,
  StripeCustomer,
  Contract,
  Invoice,
  StripeConfig,
  StripeAccount,
  PaymentMethod,
  StripeSubscription,
  StripePrice,
  StripeDiscount,
  StripeInvoice,
  InvoiceLine,
  Payment,
  Refund,
  Dispute,
  DunningSettings,
  DunningCase,
  DunningStep,
  WebhookEvent,
  WebhookEndpoint,
  WebhookDelivery,
  Command,
  Mail,
  MailSettings,
  AuditEntry,
];

/** For MikroORM's own command line. */
export default ormOptions({ url: process.env.DATABASE_URL ?? 'postgres://127.0.0.1/psa_payments', entities });
