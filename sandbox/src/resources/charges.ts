import type Stripe from 'stripe';
import { type Context } from '../context.js';
import { card, escapeHtml } from '../dashboard.js';
import { missing } from '../errors.js';
import { randomText } from '../ids.js';
import { embeddedList, listPage } from '../list.js';
import { formatMoney, processingFee } from '../money.js';
import { idOf } from '../objects.js';
import { fullShipping, inRange, listParams, mergeMetadata, p, shapes } from '../params.js';
import { type Resource } from '../resource.js';
import { html, route } from '../router.js';
import { search, searchParams } from '../search.js';
import { type Decline } from '../test-methods.js';
import { createApplicationFee } from './application-fees.js';
import { applicationId, postBalanceTransaction } from './balance.js';
import { behaviourOf } from './payment-methods.js';

const declineOutcome = (decline: Decline): Stripe.Charge.Outcome => ({
  advice_code: decline.advice_code ?? null,
  network_advice_code: null,
  network_decline_code: '01',
  network_status: 'declined_by_network',
  reason: decline.decline_code ?? decline.code,
  risk_level: 'normal',
  risk_score: 12,
  seller_message: 'The bank did not return any further details with this decline.',
  type: 'issuer_declined',
});

const approved = (): Stripe.Charge.Outcome => ({
  advice_code: null,
  network_advice_code: null,
  network_decline_code: null,
  network_status: 'approved_by_network',
  reason: null,
  risk_level: 'normal',
  risk_score: 27,
  seller_message: 'Payment complete.',
  type: 'authorized',
});

/** Whether the customer proved to be who they are, for `payment_method_details.card.three_d_secure`. */
export interface ChargeOptions {
  decline?: Decline;
  authenticated?: boolean;
}

function detailsOf(
  method: Stripe.PaymentMethod,
  amount: number,
  captured: boolean,
  now: number,
  options: ChargeOptions,
): Stripe.Charge.PaymentMethodDetails {
  const { card: plastic } = method;
  if (plastic) {
    return {
      type: 'card',
      card: {
        amount_authorized: options.decline ? null : amount,
        authorization_code: options.decline ? null : String(100_000 + (now % 900_000)),
        brand: plastic.brand,
        ...(!captured && { capture_before: now + 7 * 86_400 }),
        checks: plastic.checks && { ...plastic.checks },
        country: plastic.country,
        electronic_commerce_indicator: null,
        exp_month: plastic.exp_month,
        exp_year: plastic.exp_year,
        extended_authorization: { status: 'disabled' },
        fingerprint: plastic.fingerprint ?? null,
        funding: plastic.funding,
        incremental_authorization: { status: 'unavailable' },
        installments: null,
        last4: plastic.last4,
        mandate: null,
        multicapture: { status: 'unavailable' },
        network: plastic.brand,
        network_token: { used: false },
        network_transaction_id: randomText(15).toUpperCase(),
        overcapture: { maximum_amount_capturable: amount, status: 'unavailable' },
        regulated_status: 'unregulated',
        three_d_secure: options.authenticated
          ? {
              authentication_flow: 'challenge',
              electronic_commerce_indicator: '05',
              exemption_indicator: null,
              result: 'authenticated',
              result_reason: null,
              transaction_id: randomText(36),
              version: '2.2.0',
            }
          : null,
        transaction_link_id: null,
        wallet: null,
      },
    };
  }
  const { us_bank_account: ach, sepa_debit: sepa, au_becs_debit: becs, bacs_debit: bacs } = method;
  if (ach) {
    const { account_holder_type, account_type, bank_name, fingerprint, last4, routing_number } = ach;
    return {
      type: 'us_bank_account',
      us_bank_account: {
        account_holder_type,
        account_type,
        bank_name,
        fingerprint,
        last4,
        payment_reference: null,
        routing_number,
      },
    };
  }
  if (sepa) {
    const { bank_code, branch_code, country, fingerprint, last4 } = sepa;
    return { type: 'sepa_debit', sepa_debit: { bank_code, branch_code, country, fingerprint, last4, mandate: null } };
  }
  if (bacs) {
    const { fingerprint, last4, sort_code } = bacs;
    return { type: 'bacs_debit', bacs_debit: { fingerprint, last4, mandate: null, sort_code } };
  }
  return {
    type: 'au_becs_debit',
    au_becs_debit: {
      bsb_number: becs?.bsb_number ?? null,
      fingerprint: becs?.fingerprint ?? null,
      last4: becs?.last4 ?? null,
    },
  };
}

/** The charge of one attempt: succeeded, authorised (not captured), pending (bank debits) or failed. */
export function createCharge(
  ctx: Context,
  intent: Stripe.PaymentIntent,
  method: Stripe.PaymentMethod,
  status: 'succeeded' | 'pending' | 'failed',
  options: ChargeOptions = {},
): Stripe.Charge {
  const failed = status === 'failed';
  const captured = status !== 'pending' && !failed && intent.capture_method !== 'manual';
  const id = `${method.type === 'card' ? 'ch' : 'py'}_${randomText(24)}`;
  const charge: Stripe.Charge = {
    id,
    object: 'charge',
    amount: intent.amount,
    amount_captured: captured ? intent.amount : 0,
    amount_refunded: 0,
    application: ctx.isPlatform ? null : applicationId,
    application_fee: null,
    application_fee_amount: intent.application_fee_amount,
    balance_transaction: null,
    billing_details: JSON.parse(JSON.stringify(method.billing_details)) as Stripe.Charge.BillingDetails,
    calculated_statement_descriptor: intent.statement_descriptor ?? 'LOCAL STRIPE',
    captured: captured || status === 'pending',
    created: ctx.now,
    currency: intent.currency,
    customer: idOf(intent.customer),
    description: intent.description,
    disputed: false,
    failure_balance_transaction: null,
    failure_code: options.decline?.code ?? null,
    failure_message: options.decline?.message ?? null,
    fraud_details: {},
    livemode: false,
    metadata: { ...intent.metadata },
    on_behalf_of: idOf(intent.on_behalf_of),
    outcome: options.decline ? declineOutcome(options.decline) : approved(),
    paid: status === 'succeeded',
    payment_intent: intent.id,
    payment_method: method.id,
    payment_method_details: detailsOf(method, intent.amount, captured, ctx.now, options),
    radar_options: {},
    receipt_email: intent.receipt_email,
    receipt_number: null,
    receipt_url: failed ? null : `${ctx.url}/receipts/${ctx.account}/${id}`,
    refunded: false,
    review: null,
    shipping: intent.shipping,
    source: null,
    source_transfer: null,
    statement_descriptor: intent.statement_descriptor,
    statement_descriptor_suffix: intent.statement_descriptor_suffix,
    status,
    transfer_data: null,
    transfer_group: intent.transfer_group,
  };
  return ctx.table('charge').insert(charge);
}

/**
 * Books a charge: the application fee on the platform, the balance transaction on the account, with Stripe's fee taken from whoever pays it.
 * Emits only `application_fee.created`; the charge's own event is the caller's.
 */
export function settleCharge(ctx: Context, charge: Stripe.Charge): void {
  if (charge.balance_transaction !== null) return;
  const method = charge.payment_method_details?.type ?? 'card';
  const amount = charge.amount_captured || charge.amount;
  const { application_fee_amount: share } = charge;
  const fees: Stripe.BalanceTransaction.FeeDetail[] = [];
  if (share) {
    charge.application_fee = createApplicationFee(ctx, charge, share).id;
    fees.push({
      amount: share,
      application: applicationId,
      currency: charge.currency,
      description: 'local-stripe application fee',
      type: 'application_fee',
    });
  }
  const stripeFee = processingFee(amount, charge.currency, method);
  const account = ctx.platform.table('account').get(ctx.account);
  // Who pays was fixed when the account was made. {@link https://docs.stripe.com/connect/direct-charges-fee-payer-behavior}
  const platformPays =
    !ctx.isPlatform && String(account?.controller?.fees?.payer ?? 'account').startsWith('application');
  if (platformPays) {
    postBalanceTransaction(ctx.platform, {
      type: 'stripe_fee',
      amount: -stripeFee,
      currency: charge.currency,
      source: null,
      description: `Stripe processing fees for ${charge.id}`,
    });
  } else {
    fees.push({
      amount: stripeFee,
      application: null,
      currency: charge.currency,
      description: 'Stripe processing fees',
      type: 'stripe_fee',
    });
  }
  const { bypassPending } = behaviourOf(ctx, charge.payment_method);
  const transaction = postBalanceTransaction(ctx, {
    type: method === 'card' ? 'charge' : 'payment',
    amount,
    currency: charge.currency,
    source: charge.id,
    description: charge.description,
    fees,
    ...(bypassPending && { availableOn: ctx.now }),
  });
  charge.balance_transaction = transaction.id;
  ctx.sandbox.hook('chargeSettled', ctx, charge);
}

/** Charges. {@link https://docs.stripe.com/api/charges} */
export const charges: Resource = {
  expandable: ['charge', 'latest_charge'],
  includable: {
    charge: {
      refunds: (ctx, { id }: Stripe.Charge) =>
        embeddedList(ctx.table('refund').by('charge', id).reverse(), `/v1/charges/${id}/refunds`),
    },
  },
  due: {
    'charge.settle': (ctx, { ref }) => {
      const charge = ctx.table('charge').get(ref);
      if (!charge || charge.balance_transaction !== null) return;
      const customer = idOf(charge.customer);
      ctx.atTimeOf(customer === null ? null : ctx.table('customer').get(customer), () => {
        ctx.change(charge, 'charge.updated', () => settleCharge(ctx, charge));
      });
    },
  },
  routes: [
    route(
      'GET',
      '/v1/charges',
      {
        ...listParams,
        created: p.range(),
        customer: p.string(),
        payment_intent: p.string(),
        transfer_group: p.string(),
      },
      (ctx, { created, customer, payment_intent: intent, transfer_group: group, ...page }) =>
        listPage(
          intent === undefined ? ctx.table('charge') : ctx.table('charge').by('payment_intent', intent).reverse(),
          '/v1/charges',
          page,
          (charge) =>
            inRange(charge.created, created) &&
            (customer === undefined || charge.customer === customer) &&
            (group === undefined || charge.transfer_group === group),
        ),
    ),
    route('GET', '/v1/charges/search', searchParams, (ctx, params) =>
      search(ctx.table('charge').newestFirst(), '/v1/charges/search', params),
    ),
    route('GET', '/v1/charges/:id', {}, (ctx, _params, { id }) => ctx.table('charge').require(id)),
    route(
      'POST',
      '/v1/charges/:id',
      {
        customer: p.string(),
        description: p.string().clearable(),
        fraud_details: p.hash({ user_report: p.enum('fraudulent', 'safe').clearable() }),
        metadata: p.metadata(),
        receipt_email: p.string().clearable(),
        shipping: p.hash({
          address: p.hash(shapes.address),
          name: p.string(),
          phone: p.string(),
          carrier: p.string(),
          tracking_number: p.string(),
        }),
        transfer_group: p.string(),
      },
      (ctx, params, { id }) =>
        ctx.change(ctx.table('charge').require(id), 'charge.updated', (charge) => {
          const { metadata, fraud_details: fraud, shipping, customer, ...rest } = params;
          Object.assign(charge, rest);
          if (customer !== undefined) charge.customer = ctx.table('customer').require(customer, 'customer').id;
          if (shipping) charge.shipping = fullShipping(shipping) as Stripe.Charge.Shipping;
          if (fraud?.user_report) charge.fraud_details = { user_report: fraud.user_report };
          charge.metadata = mergeMetadata(charge.metadata, metadata);
        }),
    ),
    route(
      'GET',
      '/receipts/:account/:id',
      {},
      (ctx, _params, { account, id }) => {
        const charge = ctx.sandbox.store.get(account)?.table('charge').get(id);
        if (!charge) throw missing('receipt', id);
        const date = new Date(charge.created * 1000).toISOString().slice(0, 10);
        return html(
          card(
            'Receipt',
            `<p>${escapeHtml(formatMoney(charge.amount, charge.currency))} paid on ${date}</p><p>${escapeHtml(charge.description ?? '')}</p><p><code>${escapeHtml(id)}</code></p>`,
          ),
        );
      },
      'public',
    ),
  ],
};
