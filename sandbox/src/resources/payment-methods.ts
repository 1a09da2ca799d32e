import { createHash } from 'node:crypto';
import type Stripe from 'stripe';
import { type Context } from '../context.js';
import { cardError, invalid, missing } from '../errors.js';
import { newId } from '../ids.js';
import { listPage } from '../list.js';
import { listParams, mergeMetadata, type Params, p, shapes } from '../params.js';
import { type Resource } from '../resource.js';
import { route } from '../router.js';
import { declineCodes, declineOf, type TestMethod, testMethod, testMethodByNumber } from '../test-methods.js';

/** What the sandbox remembers of a method besides the object. */
export interface MethodState {
  /** Name of the test method it behaves like. */
  test: string;
  /** Confirmed for later use: `unless_set_up` cards need no customer any more. */
  setUp: boolean;
  /** Charged without a customer, or detached: it may not be used again. */
  spent: boolean;
  /** The mandate for debits to come. */
  mandate: string;
  /** What its bank has come to say of it since it was saved; null or absent while it says what the test method says. */
  declines?: (typeof declineCodes)[number] | null;
}

const billing = p.hash({
  address: p.hash(shapes.address).clearable(),
  email: p.string().clearable(),
  name: p.string().clearable(),
  phone: p.string().clearable(),
  tax_id: p.string().clearable(),
});
const types = ['card', 'us_bank_account', 'sepa_debit', 'au_becs_debit', 'bacs_debit'] as const;

/** `payment_method_data` of intents and the parameters of creation are the same. */
export const methodData = {
  type: p.enum(...types),
  allow_redisplay: p.enum('always', 'limited', 'unspecified'),
  billing_details: billing,
  metadata: p.metadata(),
  radar_options: p.any(),
  card: p.hash({
    number: p.string(),
    exp_month: p.int(),
    exp_year: p.int(),
    cvc: p.string(),
    token: p.string(),
    networks: p.any(),
  }),
  us_bank_account: p.hash({
    account_holder_type: p.enum('company', 'individual'),
    account_number: p.string(),
    account_type: p.enum('checking', 'savings'),
    routing_number: p.string(),
    financial_connections_account: p.string(),
  }),
  sepa_debit: p.hash({ iban: p.string().required() }),
  au_becs_debit: p.hash({ account_number: p.string().required(), bsb_number: p.string().required() }),
  bacs_debit: p.hash({ account_number: p.string().required(), sort_code: p.string().required() }),
  // What Stripe.js adds of its own.
  guid: p.string(),
  muid: p.string(),
  sid: p.string(),
  payment_user_agent: p.string(),
  referrer: p.string(),
  time_on_page: p.string(),
  client_attribution_metadata: p.any(),
};

type MethodData = Params<typeof methodData>;

/** How this method behaves. */
export function behaviourOf(ctx: Context, id: string | null): TestMethod {
  const { test, declines } = id === null ? {} : ctx.secret<MethodState>(id);
  const { method } = testMethod(test ?? 'pm_card_visa')!;
  return declines ? { ...method, decline: declineOf(declines), declinesOnlyCharges: true } : method;
}

function detailsOf(method: TestMethod, data: MethodData, now: number): Partial<Stripe.PaymentMethod> {
  const year = new Date(now * 1000).getUTCFullYear() + 1;
  const fingerprint = createHash('sha256')
    .update(`${method.type}${method.brand}${method.last4}`)
    .digest('base64url')
    .replace(/[-_]/g, 'A')
    .slice(0, 16);
  switch (method.type) {
    case 'card':
      return {
        card: {
          brand: method.brand!,
          checks: {
            address_line1_check: data.billing_details?.address?.line1 ? 'pass' : null,
            address_postal_code_check: data.billing_details?.address?.postal_code ? 'pass' : null,
            cvc_check: data.card?.cvc ? 'pass' : null,
          },
          country: method.country ?? 'US',
          display_brand: method.brand!,
          exp_month: data.card?.exp_month ?? 12,
          exp_year: data.card?.exp_year ?? year,
          fingerprint,
          funding: method.funding!,
          generated_from: null,
          last4: method.last4,
          networks: { available: [method.brand!], preferred: null },
          regulated_status: 'unregulated',
          three_d_secure_usage: { supported: true },
          wallet: null,
        },
      };
    case 'us_bank_account':
      return {
        us_bank_account: {
          account_holder_type: data.us_bank_account?.account_holder_type ?? 'individual',
          account_type: data.us_bank_account?.account_type ?? 'checking',
          bank_name: 'STRIPE TEST BANK',
          financial_connections_account: null,
          fingerprint,
          last4: method.last4,
          networks: { preferred: 'ach', supported: ['ach'] },
          routing_number: data.us_bank_account?.routing_number ?? '110000000',
          status_details: {},
        },
      };
    case 'sepa_debit':
      return {
        sepa_debit: {
          bank_code: '37040044',
          branch_code: '',
          country: method.country ?? 'DE',
          fingerprint,
          generated_from: { charge: null, setup_attempt: null },
          last4: method.last4,
        },
      };
    case 'bacs_debit':
      return {
        bacs_debit: { fingerprint, last4: method.last4, sort_code: data.bacs_debit?.sort_code ?? '108800' },
      };
    case 'au_becs_debit':
      return {
        au_becs_debit: { bsb_number: data.au_becs_debit?.bsb_number ?? '000000', fingerprint, last4: method.last4 },
      };
  }
}

function insertMethod(ctx: Context, name: string, method: TestMethod, data: MethodData): Stripe.PaymentMethod {
  const { billing_details: given } = data;
  const address = { city: null, country: null, line1: null, line2: null, postal_code: null, state: null };
  const created = ctx.table('payment_method').insert({
    id: newId('payment_method'),
    object: 'payment_method',
    allow_redisplay: data.allow_redisplay ?? 'unspecified',
    billing_details: {
      address: { ...address, ...given?.address },
      email: given?.email ?? null,
      name: given?.name ?? null,
      phone: given?.phone ?? null,
      tax_id: given?.tax_id ?? null,
    },
    created: ctx.now,
    customer: null,
    customer_account: null,
    livemode: false,
    metadata: mergeMetadata({}, data.metadata),
    type: method.type,
    ...detailsOf(method, data, ctx.now),
  });
  ctx.secret<MethodState>(created.id).test = name;
  return created;
}

/** A new method from what a form or Stripe.js sent. */
export function createMethod(ctx: Context, data: MethodData): Stripe.PaymentMethod {
  const type = data.type ?? types.find((name) => data[name] !== undefined);
  if (!type) throw invalid('Missing required param: type.', 'type', 'parameter_missing');
  if (type !== 'card' && data[type] === undefined)
    throw invalid(`Missing required param: ${type}.`, type, 'parameter_missing');
  if (type === 'card') {
    const { card } = data;
    if (!card) throw invalid('Missing required param: card.', 'card', 'parameter_missing');
    if (card.token !== undefined) {
      const known = testMethod(card.token);
      if (!known) throw missing('token', card.token, 'card[token]');
      return insertMethod(ctx, known.name, known.method, data);
    }
    if (card.number === undefined)
      throw invalid('Missing required param: card[number].', 'card[number]', 'parameter_missing');
    checkCard(card.number, card.exp_month, card.exp_year, ctx.now);
    const found = testMethodByNumber('card', card.number);
    return insertMethod(ctx, found.name, found.method, data);
  }
  const number =
    data.us_bank_account?.account_number ??
    data.sepa_debit?.iban ??
    data.au_becs_debit?.account_number ??
    data.bacs_debit?.account_number ??
    '';
  const found = testMethodByNumber(type, number);
  return insertMethod(ctx, found.name, found.method, data);
}

function checkCard(number: string, month: number | undefined, year: number | undefined, now: number): void {
  const digits = number.replace(/[\s-]/g, '');
  if (!/^\d{12,19}$/.test(digits) || !luhn(digits))
    throw cardError('Your card number is incorrect.', { code: 'incorrect_number', param: 'number' });
  if (month === undefined || month < 1 || month > 12)
    throw cardError("Your card's expiration month is invalid.", { code: 'invalid_expiry_month', param: 'exp_month' });
  const today = new Date(now * 1000);
  const full = year === undefined ? 0 : year < 100 ? 2000 + year : year;
  if (full * 12 + month - 1 < today.getUTCFullYear() * 12 + today.getUTCMonth()) {
    throw cardError("Your card's expiration year is invalid.", { code: 'invalid_expiry_year', param: 'exp_year' });
  }
}

function luhn(digits: string): boolean {
  let sum = 0;
  for (let i = 0; i < digits.length; i++) {
    const digit = Number(digits[digits.length - 1 - i]);
    sum += i % 2 === 0 ? digit : digit > 4 ? digit * 2 - 9 : digit * 2;
  }
  return sum % 10 === 0;
}

/** The method meant by an id. Naming a test method (`pm_card_visa`) makes a new one, as Stripe does. */
export function resolveMethod(ctx: Context, id: string, param = 'payment_method'): Stripe.PaymentMethod {
  const found = ctx.table('payment_method').get(id);
  if (found) return found;
  const test = testMethod(id);
  if (test) return insertMethod(ctx, test.name, test.method, {});
  const error = missing('PaymentMethod', id, param);
  const elsewhere = [...ctx.sandbox.store.all()].some(
    (partition) => partition.account !== ctx.account && partition.table('payment_method').get(id),
  );
  throw elsewhere
    ? invalid(`${error.message}; it may have been created on a different account.`, param, 'resource_missing')
    : error;
}

/** Ties a method to a customer. @throws StripeError 402 when the bank refuses the card, 400 when it is tied already */
export function attachMethod(ctx: Context, method: Stripe.PaymentMethod, customer: string): Stripe.PaymentMethod {
  ctx.table('customer').require(customer, 'customer');
  if (method.customer === customer) return method;
  if (method.customer !== null)
    throw invalid('The payment method you provided has already been attached to a customer.', 'payment_method');
  const state = ctx.secret<MethodState>(method.id);
  if (state.spent) {
    throw invalid(
      'This PaymentMethod was previously used without being attached to a Customer or was detached from a Customer, and may not be used again.',
      'payment_method',
    );
  }
  const { decline, declinesOnlyCharges } = behaviourOf(ctx, method.id);
  if (decline && !declinesOnlyCharges) throw cardError(decline.message, declineFields(decline));
  method.customer = customer;
  if (method.card?.checks && method.card.checks.cvc_check === null) method.card.checks.cvc_check = 'pass';
  ctx.table('payment_method').touch(method);
  ctx.emit('payment_method.attached', method);
  return method;
}

/** Unties a method for good. */
export function detachMethod(ctx: Context, method: Stripe.PaymentMethod): Stripe.PaymentMethod {
  const { customer } = method;
  if (customer === null)
    throw invalid(
      'The payment method you provided is not attached to a customer so detachment is impossible.',
      'payment_method',
    );
  const owner = ctx.table('customer').get(typeof customer === 'string' ? customer : customer.id);
  method.customer = null;
  ctx.secret<MethodState>(method.id).spent = true;
  if (owner?.invoice_settings.default_payment_method === method.id)
    owner.invoice_settings.default_payment_method = null;
  ctx.emit('payment_method.detached', method, { previous: { customer } });
  return method;
}

export function declineFields(decline: { code: string; decline_code?: string; advice_code?: string }) {
  return {
    code: decline.code,
    ...(decline.decline_code && { decline_code: decline.decline_code }),
    ...(decline.advice_code && { advice_code: decline.advice_code }),
  };
}

function updateCard(method: Stripe.PaymentMethod, card: { exp_month?: number; exp_year?: number } | undefined): void {
  if (!method.card || !card) return;
  if (card.exp_month !== undefined) method.card.exp_month = card.exp_month;
  if (card.exp_year !== undefined) method.card.exp_year = card.exp_year;
}

/** Payment methods. {@link https://docs.stripe.com/api/payment_methods} */
export const paymentMethods: Resource = {
  expandable: ['payment_method', 'default_payment_method', 'default_source'],
  routes: [
    route(
      'POST',
      '/v1/payment_methods',
      { ...methodData, customer: p.string(), payment_method: p.string() },
      (ctx, { customer, payment_method: from, ...data }) => {
        if (from === undefined) return createMethod(ctx, data);
        // Cloning a platform customer's method to the connected account.
        const source = ctx.platform.table('payment_method').require(from, 'payment_method');
        if (customer !== undefined) ctx.platform.table('customer').require(customer, 'customer');
        const { test = 'pm_card_visa' } = ctx.platform.secret<MethodState>(source.id);
        return insertMethod(ctx, test, testMethod(test)!.method, {});
      },
      'publishable',
    ),
    route(
      'GET',
      '/v1/payment_methods',
      {
        ...listParams,
        customer: p.string(),
        type: p.string(),
        allow_redisplay: p.string(),
        customer_account: p.string(),
      },
      (ctx, { customer, type, allow_redisplay: redisplay, ...page }) => {
        if (customer !== undefined) ctx.table('customer').require(customer, 'customer');
        const rows =
          customer === undefined
            ? ctx.table('payment_method')
            : ctx.table('payment_method').by('customer', customer).reverse();
        return listPage(
          rows,
          '/v1/payment_methods',
          page,
          (method) =>
            (type === undefined || method.type === type) &&
            (redisplay === undefined || method.allow_redisplay === redisplay),
        );
      },
    ),
    route(
      'GET',
      '/v1/payment_methods/:id',
      {},
      (ctx, _params, { id }) => ctx.table('payment_method').get(id) ?? resolveMethod(ctx, id, 'payment_method'),
    ),
    route(
      'POST',
      '/v1/payment_methods/:id',
      {
        allow_redisplay: methodData.allow_redisplay,
        billing_details: billing,
        card: p.hash({ exp_month: p.int(), exp_year: p.int(), networks: p.any() }),
        us_bank_account: p.hash({ account_holder_type: p.string(), account_type: p.string() }),
        metadata: p.metadata(),
      },
      (ctx, params, { id }) => {
        const method = ctx.table('payment_method').require(id, 'payment_method');
        if (method.customer === null)
          throw invalid('You must save this PaymentMethod to a customer before you can update it.', 'payment_method');
        return ctx.change(method, 'payment_method.updated', () => {
          if (params.allow_redisplay) method.allow_redisplay = params.allow_redisplay;
          const { address, ...rest } = params.billing_details ?? {};
          Object.assign(method.billing_details, rest);
          if (address) Object.assign(method.billing_details.address!, address);
          updateCard(method, params.card);
          method.metadata = mergeMetadata(method.metadata ?? {}, params.metadata);
        });
      },
    ),
    route(
      'POST',
      '/v1/payment_methods/:id/attach',
      { customer: p.string().required(), customer_account: p.string() },
      (ctx, { customer }, { id }) => attachMethod(ctx, resolveMethod(ctx, id), customer),
    ),
    route('POST', '/v1/payment_methods/:id/detach', {}, (ctx, _params, { id }) =>
      detachMethod(ctx, ctx.table('payment_method').require(id, 'payment_method')),
    ),
    /** The card networks' updater: the bank issued a new card. */
    route(
      'POST',
      '/_control/accounts/:account/payment_methods/:id/automatically_update',
      { exp_month: p.int(), exp_year: p.int(), last4: p.string() },
      (ctx, params, { account, id }) => {
        const own = ctx.on(account);
        return own.change(own.table('payment_method').require(id), 'payment_method.automatically_updated', (method) => {
          updateCard(method, params);
          if (method.card && params.last4) method.card.last4 = params.last4;
        });
      },
      'public',
    ),
    /** The bank hears something of a card on file: Stripe does not know it before the next charge. */
    route(
      'POST',
      '/_control/accounts/:account/payment_methods/:id/decline',
      {
        code: p
          .enum(...declineCodes)
          .clearable()
          .required(),
      },
      (ctx, { code }, { account, id }) => {
        const own = ctx.on(account);
        const method = own.table('payment_method').require(id, 'payment_method');
        if (method.type !== 'card')
          throw invalid('Only cards are declined; see the test numbers of bank debits.', 'code');
        own.secret<MethodState>(method.id).declines = code;
        return { id: method.id, declines: code };
      },
      'public',
    ),
  ],
};
