import type Stripe from 'stripe';
import { linesOf, sumUp } from '../billing/invoice.js';
import { notEditable } from '../billing/invoice-flow.js';
import { attachPendingItems } from '../billing/invoice-items.js';
import { atMoment } from '../billing/moment.js';
import { unsupported } from '../billing/unsupported.js';
import { type Context } from '../context.js';
import { listPage } from '../list.js';
import { idOf } from '../objects.js';
import { listParams, mergeMetadata, p } from '../params.js';
import { type Resource } from '../resource.js';
import { route } from '../router.js';
import { itemParams, makeItem } from './invoice-items.js';

function draft(ctx: Context, id: string): Stripe.Invoice {
  const invoice = ctx.table('invoice').require(id, 'invoice');
  if (invoice.status !== 'draft') throw notEditable('Lines of a finalized invoice cannot be changed.');
  return invoice;
}

/** Lines of invoices; only those of a draft can be changed. {@link https://docs.stripe.com/api/invoices/add_lines} */
export const invoiceLines: Resource = {
  routes: [
    route(
      'POST',
      '/v1/invoices/:id/add_lines',
      {
        lines: p
          .array(p.hash({ ...itemParams, invoice_item: p.string(), tax_amounts: unsupported('taxes') }))
          .required(),
        invoice_metadata: p.metadata(),
      },
      (ctx, { lines, invoice_metadata: metadata }, { id }) => {
        const invoice = draft(ctx, id);
        const customer = idOf(invoice.customer) ?? '';
        return atMoment(ctx, invoice, () =>
          ctx.change(invoice, 'invoice.updated', () => {
            for (const line of lines) {
              const pending = line.invoice_item;
              if (pending === undefined)
                makeItem(ctx, { ...line, customer, currency: line.price_data?.currency ?? invoice.currency }, invoice);
              else attachPendingItems(ctx, invoice, null, [ctx.table('invoiceitem').require(pending, 'invoice_item')]);
            }
            invoice.metadata = mergeMetadata(invoice.metadata ?? {}, metadata);
          }),
        );
      },
    ),
    route(
      'POST',
      '/v1/invoices/:id/remove_lines',
      {
        lines: p
          .array(p.hash({ id: p.string().required(), behavior: p.enum('delete', 'unassign').required() }))
          .required(),
        invoice_metadata: p.metadata(),
      },
      (ctx, { lines, invoice_metadata: metadata }, { id }) => {
        const invoice = draft(ctx, id);
        return ctx.change(invoice, 'invoice.updated', () => {
          for (const { id: lineId, behavior } of lines) {
            const line = ctx.table('line_item').require(lineId, 'lines');
            const item = ctx
              .table('invoiceitem')
              .get(
                line.parent?.invoice_item_details?.invoice_item ??
                  line.parent?.subscription_item_details?.invoice_item ??
                  '',
              );
            ctx.table('line_item').delete(lineId);
            if (item && behavior === 'unassign') item.invoice = null;
            else if (item) ctx.table('invoiceitem').delete(item.id);
            if (item) ctx.table('invoiceitem').touch(item);
          }
          invoice.metadata = mergeMetadata(invoice.metadata ?? {}, metadata);
          sumUp(ctx, invoice);
        });
      },
    ),
    route('GET', '/v1/invoices/:id/lines', listParams, (ctx, page, { id }) =>
      listPage(linesOf(ctx, ctx.table('invoice').require(id, 'invoice')), `/v1/invoices/${id}/lines`, page),
    ),
  ],
};
