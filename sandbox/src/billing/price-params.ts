import { p } from '../params.js';

const customAmount = p.hash({ enabled: p.boolean().required(), maximum: p.int(), minimum: p.int(), preset: p.int() });
const tier = p.hash({
  flat_amount: p.int(),
  flat_amount_decimal: p.string(),
  unit_amount: p.int(),
  unit_amount_decimal: p.string(),
  up_to: p.oneOf(p.int(), p.enum('inf')).required(),
});
const taxBehavior = p.enum('exclusive', 'inclusive', 'unspecified');

/** How a price is named in money; shared with `default_price_data` of a product. */
export const priceAmounts = {
  unit_amount: p.int(),
  unit_amount_decimal: p.string(),
  tax_behavior: taxBehavior,
  custom_unit_amount: customAmount,
  currency_options: p.record(
    p.hash({
      custom_unit_amount: customAmount,
      tax_behavior: taxBehavior,
      tiers: p.array(tier),
      unit_amount: p.int(),
      unit_amount_decimal: p.string(),
    }),
  ),
};
/** How often a price recurs. */
export const recurringParam = p.hash({
  interval: p.enum('day', 'week', 'month', 'year').required(),
  interval_count: p.int(),
  meter: p.string(),
  trial_period_days: p.int(),
  usage_type: p.enum('licensed', 'metered'),
});
/** `price_data` of subscription items, invoice items and checkout lines. */
export const priceDataParam = p.hash({
  currency: p.string().required(),
  product: p.string(),
  product_data: p.hash({
    name: p.string().required(),
    description: p.string(),
    images: p.array(p.string()),
    metadata: p.metadata(),
    tax_code: p.string(),
    tax_details: p.any(),
    unit_label: p.string(),
  }),
  recurring: p.hash({ interval: p.enum('day', 'week', 'month', 'year').required(), interval_count: p.int() }),
  tax_behavior: taxBehavior,
  unit_amount: p.int(),
  unit_amount_decimal: p.string(),
});
/** Parameters of a new price. */
export const priceParams = {
  ...priceAmounts,
  currency: p.string().required(),
  active: p.boolean(),
  billing_scheme: p.enum('per_unit', 'tiered'),
  lookup_key: p.string(),
  metadata: p.metadata(),
  nickname: p.string(),
  product: p.string(),
  product_data: p.hash({
    active: p.boolean(),
    id: p.string(),
    metadata: p.metadata(),
    name: p.string().required(),
    statement_descriptor: p.string(),
    tax_code: p.string(),
    tax_details: p.any(),
    unit_label: p.string(),
  }),
  recurring: recurringParam,
  tiers: p.array(tier),
  tiers_mode: p.enum('graduated', 'volume'),
  transfer_lookup_key: p.boolean(),
  transform_quantity: p.hash({ divide_by: p.int().required(), round: p.enum('down', 'up').required() }),
};
/** What can be changed of a price: nothing of what it costs. */
export const priceUpdateParams = {
  active: p.boolean(),
  currency_options: priceAmounts.currency_options.clearable(),
  lookup_key: p.string(),
  metadata: p.metadata(),
  nickname: p.string(),
  tax_behavior: taxBehavior,
  transfer_lookup_key: p.boolean(),
};
