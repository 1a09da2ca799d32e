import { p, shapes } from '../params.js';
import { notDone, unsupported } from './unsupported.js';

const paymentSettings = p.hash({
  default_mandate: p.string().clearable(),
  payment_method_options: p.any(),
  payment_method_types: p.array(p.string()).clearable(),
});
/** What can be set on a draft. */
export const invoiceParams = {
  account_tax_ids: unsupported('taxes'),
  application_fee_amount: p.int(),
  auto_advance: p.boolean(),
  automatic_tax: notDone.automatic_tax,
  automatically_finalizes_at: p.timestamp(),
  collection_method: p.enum('charge_automatically', 'send_invoice'),
  custom_fields: p.array(p.hash({ name: p.string().required(), value: p.string().required() })).clearable(),
  days_until_due: p.int(),
  default_payment_method: p.string(),
  default_source: notDone.default_source,
  default_tax_rates: notDone.default_tax_rates,
  description: p.string().clearable(),
  discounts: notDone.discounts,
  due_date: p.timestamp(),
  effective_at: p.timestamp().clearable(),
  footer: p.string().clearable(),
  issuer: p.any(),
  metadata: p.metadata(),
  number: p.string().clearable(),
  on_behalf_of: notDone.on_behalf_of,
  payment_settings: paymentSettings,
  rendering: p.any(),
  shipping_cost: unsupported('shipping costs'),
  shipping_details: p
    .hash({ address: p.hash(shapes.address).required(), name: p.string().required(), phone: p.string().clearable() })
    .clearable(),
  statement_descriptor: p.string(),
  transfer_data: notDone.transfer_data,
};
/** Parameters of a new invoice. */
export const newInvoiceParams = {
  ...invoiceParams,
  currency: p.string(),
  customer: p.string(),
  customer_account: notDone.customer_account,
  from_invoice: unsupported('revisions of invoices'),
  pending_invoice_items_behavior: p.enum('exclude', 'include'),
  subscription: p.string(),
};
