import type Stripe from 'stripe';
import { decimal } from '../billing/amounts.js';
import { type priceDataParam, priceParams, priceUpdateParams } from '../billing/price-params.js';
import { type Context } from '../context.js';
import { invalid } from '../errors.js';
import { newId, randomText } from '../ids.js';
import { listPage } from '../list.js';
import { checkCurrency } from '../money.js';
import { idOf } from '../objects.js';
import { inRange, listParams, mergeMetadata, type Params, p } from '../params.js';
import { type Resource } from '../resource.js';
import { route } from '../router.js';
import { search, searchParams } from '../search.js';

const longest: Record<string, number> = { day: 1095, week: 156, month: 36, year: 3 };

function checkInterval(interval: string, count: number): void {
  if (count < 1)
    throw invalid(
      'This value must be greater than or equal to 1.',
      'recurring[interval_count]',
      'parameter_invalid_integer',
    );
  if (count > longest[interval]!)
    throw invalid('The maximum interval allowed is three years.', 'recurring[interval_count]');
}

/** Both forms of an amount; the whole one is null where the decimal has a fraction. */
function amounts(whole: number | undefined, exact: string | undefined): [number | null, Stripe.Decimal | null] {
  if (whole !== undefined && exact !== undefined)
    throw invalid(
      'You may only specify one of these parameters: unit_amount, unit_amount_decimal.',
      'unit_amount_decimal',
      'parameters_exclusive',
    );
  if (exact !== undefined) {
    const value = Number(exact);
    if (!Number.isFinite(value) || value < 0) throw invalid(`Invalid decimal: ${exact}`, 'unit_amount_decimal');
    return [Number.isInteger(value) ? value : null, decimal(exact)];
  }
  if (whole === undefined) return [null, null];
  if (whole < 0)
    throw invalid('This value must be greater than or equal to 0.', 'unit_amount', 'parameter_invalid_integer');
  return [whole, decimal(whole)];
}

function tiersOf(tiers: NonNullable<Params<typeof priceParams>['tiers']>): Stripe.Price.Tier[] {
  if (tiers.at(-1)?.up_to !== 'inf')
    throw invalid('The last tier must not have an upper bound: set its up_to to "inf".', 'tiers');
  return tiers.map((given) => {
    const [unit, unitExact] = amounts(given.unit_amount, given.unit_amount_decimal);
    const [flat, flatExact] = amounts(given.flat_amount, given.flat_amount_decimal);
    return {
      flat_amount: flat,
      flat_amount_decimal: flatExact,
      unit_amount: unit,
      unit_amount_decimal: unitExact,
      up_to: given.up_to === 'inf' ? null : given.up_to,
    };
  });
}

function takeLookupKey(ctx: Context, key: string, transfer: boolean | undefined): void {
  const holder = ctx.table('price').by('lookup_key', key)[0];
  if (!holder) return;
  if (!transfer)
    throw invalid(
      `A price (\`${holder.id}\`) already uses that lookup key. If you want to transfer it, set \`transfer_lookup_key\` to true.`,
      'lookup_key',
      'resource_already_exists',
    );
  ctx.change(holder, 'price.updated', (price) => (price.lookup_key = null));
}

/** Makes a price, and the product of it where `product_data` describes one. */
export function createPrice(
  ctx: Context,
  params: Params<typeof priceParams>,
  options: { quiet?: boolean; active?: boolean } = {},
): Stripe.Price {
  const currency = checkCurrency(params.currency);
  if ((params.product === undefined) === (params.product_data === undefined))
    throw invalid('You must specify exactly one of `product` and `product_data`.', 'product', 'parameter_missing');
  const tiered = params.billing_scheme === 'tiered';
  const [whole, exact] = amounts(params.unit_amount, params.unit_amount_decimal);
  if (tiered && (!params.tiers || !params.tiers_mode))
    throw invalid(
      'When `billing_scheme` is `tiered`, `tiers` and `tiers_mode` must be given.',
      'tiers',
      'parameter_missing',
    );
  const custom = params.custom_unit_amount?.enabled ? params.custom_unit_amount : null;
  if (!tiered && exact === null && !custom)
    throw invalid(
      'Missing required param: unit_amount. You must provide one of `unit_amount`, `unit_amount_decimal` or `custom_unit_amount`.',
      'unit_amount',
      'parameter_missing',
    );
  const { recurring } = params;
  if (recurring) checkInterval(recurring.interval, recurring.interval_count ?? 1);
  if (recurring?.usage_type === 'metered')
    throw invalid('local-stripe bills licensed prices only: it has no meters.', 'recurring[usage_type]');
  if (params.product !== undefined) ctx.table('product').require(params.product, 'product');
  if (params.lookup_key !== undefined) takeLookupKey(ctx, params.lookup_key, params.transfer_lookup_key);
  const price: Stripe.Price = {
    id: newId('price'),
    object: 'price',
    active: options.active ?? params.active ?? true,
    billing_scheme: params.billing_scheme ?? 'per_unit',
    created: ctx.now,
    currency,
    custom_unit_amount: custom && {
      maximum: custom.maximum ?? null,
      minimum: custom.minimum ?? null,
      preset: custom.preset ?? null,
    },
    livemode: false,
    lookup_key: params.lookup_key ?? null,
    metadata: mergeMetadata({}, params.metadata),
    nickname: params.nickname ?? null,
    product: params.product ?? inlineProduct(ctx, params.product_data!),
    recurring: recurring
      ? {
          interval: recurring.interval,
          interval_count: recurring.interval_count ?? 1,
          meter: null,
          trial_period_days: recurring.trial_period_days ?? null,
          usage_type: 'licensed',
        }
      : null,
    tax_behavior: params.tax_behavior ?? 'unspecified',
    ...(tiered && { tiers: tiersOf(params.tiers!) }),
    tiers_mode: params.tiers_mode ?? null,
    transform_quantity: params.transform_quantity ?? null,
    type: recurring ? 'recurring' : 'one_time',
    unit_amount: tiered ? null : whole,
    unit_amount_decimal: tiered ? null : exact,
  };
  ctx.table('price').insert(price);
  if (!options.quiet) {
    if (recurring) ctx.emit('plan.created', planOf(price));
    ctx.emit('price.created', price);
  }
  return price;
}

function inlineProduct(
  ctx: Context,
  data: NonNullable<Params<typeof priceParams>['product_data']> & { description?: string; images?: string[] },
): string {
  if (data.id !== undefined && ctx.table('product').get(data.id))
    throw invalid('Product already exists.', 'product_data[id]', 'resource_already_exists');
  const product = ctx.table('product').insert({
    id: data.id ?? `prod_${randomText(14)}`,
    object: 'product',
    active: data.active ?? true,
    created: ctx.now,
    default_price: null,
    description: data.description ?? null,
    images: data.images ?? [],
    livemode: false,
    marketing_features: [],
    metadata: mergeMetadata({}, data.metadata),
    name: data.name,
    package_dimensions: null,
    shippable: null,
    statement_descriptor: data.statement_descriptor ?? null,
    tax_code: data.tax_code ?? null,
    tax_details: data.tax_code ? { performance_location: null, tax_code: data.tax_code } : null,
    type: 'service',
    unit_label: data.unit_label ?? null,
    updated: ctx.now,
    url: null,
  });
  ctx.emit('product.created', product);
  return product.id;
}

/** The price meant by `price` or described by `price_data`; an inline price is made for this use only and is not active. */
export function priceFrom(
  ctx: Context,
  given: { price?: string; price_data?: PriceData },
  param: string,
): Stripe.Price {
  if ((given.price === undefined) === (given.price_data === undefined))
    throw invalid(
      `You must specify exactly one of \`${param}[price]\` and \`${param}[price_data]\`.`,
      `${param}[price]`,
      'parameter_missing',
    );
  if (given.price_data) return createPrice(ctx, given.price_data, { quiet: true, active: false });
  const price = ctx.table('price').require(given.price!, `${param}[price]`);
  if (!price.active)
    throw invalid(
      `The price specified is inactive. This field only accepts active prices.`,
      `${param}[price]`,
      'resource_missing',
    );
  return price;
}

type PriceData = NonNullable<ReturnType<typeof priceDataParam.parse>>;

/** The older face of a recurring price, which subscription items still show. */
export function planOf(price: Stripe.Price): Stripe.Plan {
  const { recurring } = price;
  return {
    id: price.id,
    object: 'plan',
    active: price.active,
    amount: price.unit_amount,
    amount_decimal: price.unit_amount_decimal,
    billing_scheme: price.billing_scheme,
    created: price.created,
    currency: price.currency,
    interval: recurring?.interval ?? 'month',
    interval_count: recurring?.interval_count ?? 1,
    livemode: false,
    metadata: price.metadata,
    meter: null,
    nickname: price.nickname,
    product: idOf(price.product),
    tiers_mode: price.tiers_mode,
    transform_usage: null,
    trial_period_days: recurring?.trial_period_days ?? null,
    usage_type: 'licensed',
  };
}

/** Items show their price whole, so a changed price is put into them again. */
function refreshItems(ctx: Context, price: Stripe.Price): void {
  for (const subscription of ctx.table('subscription').oldestFirst())
    for (const item of subscription.items.data)
      if (item.price.id === price.id) Object.assign(item, { price, plan: planOf(price) });
}

/** Prices. A price cannot be deleted, nor its amount changed. {@link https://docs.stripe.com/api/prices} */
export const prices: Resource = {
  expandable: ['price'],
  includable: {
    price: {
      currency_options: (_ctx, price: Stripe.Price) => ({
        [price.currency]: {
          custom_unit_amount: price.custom_unit_amount,
          tax_behavior: price.tax_behavior,
          unit_amount: price.unit_amount,
          unit_amount_decimal: price.unit_amount_decimal,
        },
      }),
    },
  },
  routes: [
    route('POST', '/v1/prices', priceParams, (ctx, params) => createPrice(ctx, params)),
    route(
      'GET',
      '/v1/prices',
      {
        ...listParams,
        active: p.boolean(),
        created: p.range(),
        currency: p.string(),
        lookup_keys: p.array(p.string()),
        product: p.string(),
        recurring: p.hash({ interval: p.string(), meter: p.string(), usage_type: p.string() }),
        type: p.enum('one_time', 'recurring'),
      },
      (ctx, { active, created, currency, lookup_keys: keys, product, recurring, type, ...page }) =>
        listPage(
          product === undefined ? ctx.table('price') : ctx.table('price').by('product', product).reverse(),
          '/v1/prices',
          page,
          (price) =>
            inRange(price.created, created) &&
            (active === undefined || price.active === active) &&
            (currency === undefined || price.currency === currency) &&
            (keys === undefined || (price.lookup_key !== null && keys.includes(price.lookup_key))) &&
            (type === undefined || price.type === type) &&
            (recurring?.interval === undefined || price.recurring?.interval === recurring.interval) &&
            (recurring?.usage_type === undefined || price.recurring?.usage_type === recurring.usage_type),
        ),
    ),
    route('GET', '/v1/prices/search', searchParams, (ctx, params) =>
      search(ctx.table('price').newestFirst(), '/v1/prices/search', params),
    ),
    route('GET', '/v1/prices/:id', {}, (ctx, _params, { id }) => ctx.table('price').require(id, 'price')),
    route('POST', '/v1/prices/:id', priceUpdateParams, (ctx, params, { id }) => {
      const price = ctx.table('price').require(id, 'price');
      const { metadata, lookup_key: key, transfer_lookup_key: transfer, currency_options: _options, ...rest } = params;
      if (key !== undefined && key !== price.lookup_key) takeLookupKey(ctx, key, transfer);
      const plan = JSON.parse(JSON.stringify(planOf(price))) as object;
      ctx.change(price, 'price.updated', () => {
        Object.assign(price, rest, key !== undefined && { lookup_key: key });
        price.metadata = mergeMetadata(price.metadata, metadata);
      });
      ctx.table('price').touch(price);
      const after = planOf(price);
      if (price.recurring && JSON.stringify(after) !== JSON.stringify(plan))
        ctx.emit('plan.updated', after, { before: plan });
      refreshItems(ctx, price);
      return price;
    }),
  ],
};
