import type Stripe from 'stripe';
import { type Context } from '../context.js';
import { invalid, StripeError } from '../errors.js';
import { randomText } from '../ids.js';
import { listPage } from '../list.js';
import { inRange, listParams, mergeMetadata, type Params, p } from '../params.js';
import { type Resource } from '../resource.js';
import { route } from '../router.js';
import { search, searchParams } from '../search.js';
import { createPrice } from './prices.js';
import { priceAmounts, recurringParam } from '../billing/price-params.js';

const features = p.array(p.hash({ name: p.string().required() }));
const dimensions = p.hash({
  height: p.number().required(),
  length: p.number().required(),
  weight: p.number().required(),
  width: p.number().required(),
});
const taxDetails = p.hash({ performance_location: p.string(), tax_code: p.string().clearable() });
const described = {
  active: p.boolean(),
  images: p.array(p.string()).clearable(),
  marketing_features: features.clearable(),
  metadata: p.metadata(),
  package_dimensions: dimensions.clearable(),
  shippable: p.boolean(),
  statement_descriptor: p.string(),
  tax_code: p.string().clearable(),
  tax_details: taxDetails.clearable(),
  unit_label: p.string().clearable(),
  url: p.string().clearable(),
};
const create = {
  ...described,
  name: p.string().required(),
  description: p.string(),
  id: p.string(),
  type: p.enum('good', 'service'),
  default_price_data: p.hash({
    ...priceAmounts,
    currency: p.string().required(),
    metadata: p.metadata(),
    recurring: recurringParam,
  }),
};
const update = { ...described, name: p.string(), description: p.string().clearable(), default_price: p.string() };

function apply(product: Stripe.Product, params: Partial<Params<typeof update>>): void {
  const {
    metadata,
    images,
    marketing_features: marketing,
    tax_details: tax,
    tax_code: code,
    default_price: _,
    ...rest
  } = params;
  Object.assign(product, rest);
  if (images !== undefined) product.images = images ?? [];
  if (marketing !== undefined) product.marketing_features = marketing ?? [];
  if (code !== undefined) product.tax_code = code;
  if (tax !== undefined || code !== undefined)
    product.tax_details =
      (tax ?? code)
        ? { performance_location: tax?.performance_location ?? null, tax_code: tax?.tax_code ?? code ?? null }
        : null;
  product.metadata = mergeMetadata(product.metadata, metadata);
}

/** Makes a product, and its default price when one is described. */
function createProduct(ctx: Context, params: Params<typeof create>): Stripe.Product {
  const { default_price_data: price, id, type, description, ...rest } = params;
  if (id !== undefined && ctx.table('product').get(id))
    throw new StripeError(400, `Product already exists.`, { code: 'resource_already_exists', param: 'id' });
  const product: Stripe.Product = {
    id: id ?? `prod_${randomText(14)}`,
    object: 'product',
    active: true,
    created: ctx.now,
    default_price: null,
    description: description ?? null,
    images: [],
    livemode: false,
    marketing_features: [],
    metadata: {},
    name: params.name,
    package_dimensions: null,
    shippable: null,
    statement_descriptor: null,
    tax_code: null,
    tax_details: null,
    type: type ?? 'service',
    unit_label: null,
    updated: ctx.now,
    url: null,
  };
  apply(product, rest);
  ctx.table('product').insert(product);
  if (price) product.default_price = createPrice(ctx, { ...price, product: product.id }, { quiet: true }).id;
  ctx.emit('product.created', product);
  if (price) ctx.emit('price.created', ctx.table('price').require(product.default_price as string));
  return product;
}

function updateProduct(ctx: Context, id: string, params: Params<typeof update>): Stripe.Product {
  const product = ctx.table('product').require(id);
  const { default_price: price } = params;
  if (price !== undefined && ctx.table('price').require(price, 'default_price').product !== id)
    throw invalid(`Price ${price} does not belong to product ${id}.`, 'default_price');
  return ctx.change(product, 'product.updated', () => {
    const before = JSON.stringify(product);
    apply(product, params);
    if (price !== undefined) product.default_price = price;
    if (JSON.stringify(product) !== before) product.updated = ctx.now;
  });
}

function deleteProduct(ctx: Context, id: string): Stripe.DeletedProduct {
  const product = ctx.table('product').require(id);
  if (ctx.table('price').by('product', id).length > 0)
    throw invalid('This product cannot be deleted because it has one or more user-created prices.', 'id');
  ctx.table('product').delete(id);
  ctx.emit('product.deleted', product);
  return { id, object: 'product', deleted: true };
}

/** Products. {@link https://docs.stripe.com/api/products} */
export const products: Resource = {
  expandable: ['product', 'default_price'],
  routes: [
    route('POST', '/v1/products', create, createProduct),
    route(
      'GET',
      '/v1/products',
      {
        ...listParams,
        active: p.boolean(),
        created: p.range(),
        ids: p.array(p.string()),
        shippable: p.boolean(),
        type: p.string(),
        url: p.string(),
      },
      (ctx, { active, created, ids, shippable, type, url, ...page }) =>
        listPage(
          ctx.table('product'),
          '/v1/products',
          page,
          (product) =>
            inRange(product.created, created) &&
            (active === undefined || product.active === active) &&
            (ids === undefined || ids.includes(product.id)) &&
            (shippable === undefined || product.shippable === shippable) &&
            (type === undefined || product.type === type) &&
            (url === undefined || product.url === url),
        ),
    ),
    route('GET', '/v1/products/search', searchParams, (ctx, params) =>
      search(ctx.table('product').newestFirst(), '/v1/products/search', params),
    ),
    route('GET', '/v1/products/:id', {}, (ctx, _params, { id }) => ctx.table('product').require(id)),
    route('POST', '/v1/products/:id', update, (ctx, params, { id }) => updateProduct(ctx, id, params)),
    route('DELETE', '/v1/products/:id', {}, (ctx, _params, { id }) => deleteProduct(ctx, id)),
  ],
};
