import {
  type DriftCheck,
  type DriftContext,
  differencesOf,
  type Facts,
  orNull,
  repairFetched,
} from '../../jobs/drift.js';
import { paymentMethodReport, type PaymentMethodReport } from '../../stripe/reports.js';
import { type PaymentMethodId } from '../../stripe/types.js';
import { StripeCustomer } from '../customers/customer.entity.js';
import { recordMethod } from './payment-method-record.js';
import { PaymentMethod } from './payment-method.entity.js';

/** Compares the saved methods of every customer whom Stripe knows. */
export const paymentMethodDrift: DriftCheck = {
  object: 'payment_method',

  async *candidates(context) {
    const { db, accountId, stripe } = context;
    const customers = await db.transaction((em) => em.find(StripeCustomer, { stripeAccountId: accountId }));
    for (const { stripeCustomerId, customerId } of customers) {
      await context.spend();
      // None where the customer was deleted at Stripe, and its methods with it.
      const methods = (await orNull(stripe.listPaymentMethods(stripeCustomerId))) ?? [];
      const reports = methods.map(paymentMethodReport);
      const ours = await db.transaction((em) => em.find(PaymentMethod, { customerId, stripeAccountId: accountId }));
      const byId = new Map(ours.map((method) => [method.stripePaymentMethodId as string, method]));
      for (const report of reports) {
        const method = byId.get(report.id);
        byId.delete(report.id);
        const found = differencesOf(method ? { id: null, facts: factsOf(method) } : null, stripesFacts(report));
        yield { stripeId: report.id, differs: found.length > 0 };
      }
      for (const method of byId.values()) {
        yield { stripeId: method.stripePaymentMethodId, differs: !method.isDetached };
      }
    }
  },

  async compare(context, stripeId) {
    await context.spend();
    const report = await retrieve(context, stripeId);
    const method = await context.db.transaction((em) =>
      em.findOne(PaymentMethod, { stripePaymentMethodId: stripeId as PaymentMethodId }),
    );
    // One that belongs to nobody is none of ours.
    if (!method && report?.customerId === null) return [];
    return differencesOf(
      method ? { id: method.id, facts: factsOf(method) } : null,
      report ? stripesFacts(report) : null,
    );
  },

  repair: (context, stripeId) =>
    repairFetched<PaymentMethodReport | null>(context, {
      async version(em) {
        const rows = await em.execute<{ version: string }[]>(
          'select updated_at::text as version from payment_methods where stripe_payment_method_id = ? for update',
          [stripeId],
        );
        return rows[0]?.version ?? null;
      },
      load: () => retrieve(context, stripeId),
      async apply(em, report) {
        if (!report) return;
        const { accountId } = context;
        const recorded = await recordMethod(em, report, { accountId, asOf: report.created, fetched: true });
        if (report.customerId === null) recorded?.method.detach(report.created);
      },
    }),
};

async function retrieve({ stripe }: DriftContext, id: string): Promise<PaymentMethodReport | null> {
  const found = await orNull(stripe.retrievePaymentMethod(id as PaymentMethodId));
  return found && paymentMethodReport(found);
}

function factsOf({ isDetached, ...method }: PaymentMethod): Facts {
  const { type, brand, bankName, last4, expMonth, expYear } = method;
  // How a card looked when it was taken away nobody needs to know.
  return isDetached ? { isDetached } : { isDetached, type, brand, bankName, last4, expMonth, expYear };
}

function stripesFacts(report: PaymentMethodReport): Facts {
  if (report.customerId === null) return { isDetached: true };
  const method = new PaymentMethod();
  method.applyStripe(report, report.created, true);
  return factsOf(method);
}
