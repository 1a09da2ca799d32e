import { type EntityManager } from '@mikro-orm/postgresql';
import { type EventHandler, type EventHandlers, type EventOf } from '../../jobs/events.js';
import { mandateReport, type MandateReport } from '../../stripe/mandates.js';
import { paymentMethodReport, type PaymentMethodReport } from '../../stripe/reports.js';
import { type CustomerId, idOf, type MandateId, type PaymentMethodId } from '../../stripe/types.js';
import { forgetStripeCustomer } from '../customers/stripe-customer.js';
import { PaymentMethod } from './payment-method.entity.js';
import { lockDefaults, lockMethod, type MethodSource, recordMethod } from './payment-method-record.js';

type MethodEvent = EventOf<
  'payment_method.attached' | 'payment_method.updated' | 'payment_method.automatically_updated'
>;

const methodChanged: EventHandler<MethodEvent, PaymentMethodReport> = {
  async apply(em, { data }, { accountId, created }, fetched) {
    const report = fetched ?? paymentMethodReport(data.object);
    const recorded = await recordMethod(em, report, { accountId, asOf: created, fetched: fetched !== null });
    // Taken away meanwhile; the event that says so may be lost.
    if (fetched && fetched.customerId === null) recorded?.method.detach(created);
    return recorded?.order === 'unclear' ? 'fetch' : 'done';
  },

  version: (em, { data }) => versionOf(em, data.object.id),
  load: async ({ data }, { stripe }) =>
    paymentMethodReport(await stripe.retrievePaymentMethod(data.object.id as PaymentMethodId)),
};

/** The payload knows no customer any more, only who it was: a method that is seen here first is kept as removed. */
const methodDetached: EventHandler<EventOf<'payment_method.detached'>> = {
  async apply(em, { data }, { accountId, created }) {
    const report = paymentMethodReport(data.object);
    const before = (data.previous_attributes ?? {}) as { customer?: string | null };
    const customerId = report.customerId ?? (before.customer as CustomerId | null | undefined) ?? null;
    const recorded = await recordMethod(em, { ...report, customerId }, { accountId, asOf: created, fetched: true });
    recorded?.method.detach(created);
    return 'done';
  },
};

/** Deleted in the dashboard: its methods are gone with it, and the next payment makes it anew. */
const customerDeleted: EventHandler<EventOf<'customer.deleted'>> = {
  async apply(em, { data }, { accountId, created }) {
    const customerId = await forgetStripeCustomer(em, data.object.id as CustomerId, accountId);
    if (customerId === null) return 'done';
    await lockDefaults(em, customerId);
    const methods = await em.find(PaymentMethod, { customerId, stripeAccountId: accountId });
    for (const method of methods) method.detach(created);
    return 'done';
  },
};

/** A method, and the mandate that it is debited by. */
interface Saved {
  readonly method: PaymentMethodReport;
  readonly mandate: MandateReport | null;
}

/** Says that a method was saved, but not what it is. Its own event says that as well, and may come first. */
const setupSucceeded: EventHandler<EventOf<'setup_intent.succeeded'>, Saved> = {
  object: ({ data }) => idOf(data.object.payment_method) ?? data.object.id,

  async apply(em, { data }, { accountId, created }, fetched) {
    const id = idOf<PaymentMethodId>(data.object.payment_method);
    if (id === null || data.object.customer === null) return 'done';
    if (!fetched) {
      const known = await lockMethod(em, id);
      const isWhole = known && [null, known.stripeMandateId].includes(idOf<MandateId>(data.object.mandate));
      return isWhole ? 'done' : 'fetch';
    }
    return recordSaved(em, fetched, { accountId, asOf: created, fetched: true });
  },

  version: (em, { data }) => versionOf(em, idOf(data.object.payment_method)),
  async load({ data }, { stripe }) {
    const mandate = idOf<MandateId>(data.object.mandate);
    const method = await stripe.retrievePaymentMethod(idOf<PaymentMethodId>(data.object.payment_method)!);
    return {
      method: paymentMethodReport(method),
      mandate: mandate && mandateReport(await stripe.retrieveMandate(mandate)),
    };
  },
};

/** The permission to debit a bank account began or ended. */
const mandateChanged: EventHandler<EventOf<'mandate.updated'>, Saved> = {
  // In order with the events of the method.
  object: ({ data }) => idOf(data.object.payment_method),

  async apply(em, { data }, { accountId, created }, fetched) {
    const report = mandateReport(data.object);
    if (report.isSingleUse) return 'done';
    if (fetched) return recordSaved(em, fetched, { accountId, asOf: created, fetched: true });
    const method = await lockMethod(em, report.paymentMethodId);
    // It may not have been heard of yet.
    if (!method) return 'fetch';
    return method.applyMandate(report, created, false) === 'unclear' ? 'fetch' : 'done';
  },

  version: (em, { data }) => versionOf(em, idOf(data.object.payment_method)),
  async load({ data }, { stripe }) {
    const mandate = mandateReport(await stripe.retrieveMandate(data.object.id as MandateId));
    return { method: paymentMethodReport(await stripe.retrievePaymentMethod(mandate.paymentMethodId)), mandate };
  },
};

async function recordSaved(em: EntityManager, { method, mandate }: Saved, source: MethodSource): Promise<'done'> {
  const recorded = await recordMethod(em, method, source);
  if (mandate) recorded?.method.applyMandate(mandate, source.asOf, true);
  return 'done';
}

async function versionOf(em: EntityManager, id: string | null): Promise<string | null> {
  const rows = await em.execute<{ version: string }[]>(
    'select updated_at::text as version from payment_methods where stripe_payment_method_id = ? for update',
    [id],
  );
  return rows[0]?.version ?? null;
}

export const paymentMethodEvents = {
  'payment_method.attached': methodChanged,
  'payment_method.updated': methodChanged,
  'payment_method.automatically_updated': methodChanged,
  'payment_method.detached': methodDetached,
  'setup_intent.succeeded': setupSucceeded,
  'mandate.updated': mandateChanged,
  'customer.deleted': customerDeleted,
} satisfies EventHandlers;
