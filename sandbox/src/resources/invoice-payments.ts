import { paymentOfIntent } from '../billing/payments.js';
import { invalid } from '../errors.js';
import { listPage } from '../list.js';
import { inRange, listParams, p } from '../params.js';
import { type Resource } from '../resource.js';
import { route } from '../router.js';

/** Payments made, or tried, on invoices. {@link https://docs.stripe.com/api/invoice-payment} */
export const invoicePayments: Resource = {
  routes: [
    route(
      'GET',
      '/v1/invoice_payments',
      {
        ...listParams,
        created: p.range(),
        invoice: p.string(),
        payment: p.hash({
          payment_intent: p.string(),
          payment_record: p.string(),
          type: p.enum('payment_intent', 'payment_record').required(),
        }),
        status: p.enum('canceled', 'open', 'paid'),
      },
      (ctx, { created, invoice, payment, status, ...page }) => {
        if (payment && payment[payment.type] === undefined)
          throw invalid(
            `Missing required param: payment[${payment.type}].`,
            `payment[${payment.type}]`,
            'parameter_missing',
          );
        const intent = payment?.payment_intent;
        const table = ctx.table('invoice_payment');
        const of = intent === undefined ? undefined : paymentOfIntent(ctx, intent);
        const rows =
          intent !== undefined
            ? of
              ? [of]
              : []
            : invoice === undefined
              ? table
              : table.by('invoice', invoice).reverse();
        return listPage(
          payment?.type === 'payment_record' ? [] : rows,
          '/v1/invoice_payments',
          page,
          (row) =>
            inRange(row.created, created) &&
            (invoice === undefined || row.invoice === invoice) &&
            (status === undefined || row.status === status),
        );
      },
    ),
    route('GET', '/v1/invoice_payments/:id', {}, (ctx, _params, { id }) =>
      ctx.table('invoice_payment').require(id, 'invoice_payment'),
    ),
  ],
};
