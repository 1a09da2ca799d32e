import type Stripe from 'stripe';
import { type Context } from '../context.js';
import { invalid, StripeError } from '../errors.js';
import { newId, randomText } from '../ids.js';
import { embeddedList, listPage } from '../list.js';
import { inRange, listParams, mergeMetadata, type Params, p } from '../params.js';
import { type Resource } from '../resource.js';
import { route } from '../router.js';
import {
  capabilityOf,
  changeAccount,
  emptyRequirements,
  newState,
  recompute,
  requireAccount,
  stateOf,
} from './account-state.js';
import { externalAccountParam, replaceBankAccount } from './external-accounts.js';

const capabilities = p.record(p.hash({ requested: p.boolean() }));
const details = {
  business_profile: p.record(p.any()),
  business_type: p.enum('company', 'government_entity', 'individual', 'non_profit'),
  capabilities,
  company: p.record(p.any()),
  default_currency: p.string(),
  documents: p.any(),
  email: p.string(),
  external_account: externalAccountParam.clearable(),
  groups: p.any(),
  individual: p.record(p.any()),
  metadata: p.metadata(),
  settings: p.record(p.any()),
  tos_acceptance: p.record(p.any()),
};
const create = {
  ...details,
  account_token: p.string(),
  country: p.string(),
  controller: p.hash({
    fees: p.hash({ payer: p.enum('account', 'application') }),
    losses: p.hash({ payments: p.enum('application', 'stripe') }),
    requirement_collection: p.enum('application', 'stripe'),
    stripe_dashboard: p.hash({ type: p.enum('express', 'full', 'none') }),
  }),
  type: p.enum('custom', 'express', 'standard'),
};

const currencies: Record<string, string> = {
  US: 'usd',
  GB: 'gbp',
  AU: 'aud',
  CA: 'cad',
  NZ: 'nzd',
  JP: 'jpy',
  CH: 'chf',
  SE: 'sek',
  NO: 'nok',
  DK: 'dkk',
  BR: 'brl',
  MX: 'mxn',
  IN: 'inr',
  SG: 'sgd',
  HK: 'hkd',
  PL: 'pln',
  CZ: 'czk',
  HU: 'huf',
  KW: 'kwd',
  BH: 'bhd',
};

/** The currency an account settles in when nothing else is said. */
function currencyOf(country: string): string {
  return currencies[country] ?? 'eur';
}

type Controller = Stripe.Account.Controller;

/** v1 `type` is a name for a combination of `controller` properties. {@link https://docs.stripe.com/connect/migrate-to-controller-properties} */
function controllerOf(params: Params<typeof create>): { controller: Controller; type: Stripe.Account.Type } {
  const { controller, type } = params;
  if (controller && type)
    throw invalid(
      'You may not provide the `type` parameter and `controller` parameters simultaneously. They are mutually exclusive.',
      'type',
    );
  const preset = {
    standard: { fees: 'account', losses: 'stripe', collection: 'stripe', dashboard: 'full' },
    express: { fees: 'application_express', losses: 'application', collection: 'stripe', dashboard: 'express' },
    custom: { fees: 'application_custom', losses: 'application', collection: 'application', dashboard: 'none' },
  }[type ?? 'standard'];
  const dashboard = controller?.stripe_dashboard?.type ?? (controller ? 'full' : preset.dashboard);
  const collection = controller?.requirement_collection ?? (controller ? 'stripe' : preset.collection);
  if (collection === 'application' && dashboard !== 'none') {
    throw invalid(
      'When `controller[requirement_collection]=application`, `controller[stripe_dashboard][type]` must be `none`.',
      'controller[stripe_dashboard][type]',
    );
  }
  const result: Controller = {
    fees: { payer: controller?.fees?.payer ?? (controller ? 'account' : preset.fees) },
    is_controller: true,
    losses: { payments: controller?.losses?.payments ?? (controller ? 'stripe' : preset.losses) },
    requirement_collection: collection,
    stripe_dashboard: { type: dashboard },
    type: 'application',
  };
  // Stripe names accounts made by `controller` after the preset they equal, otherwise `none`.
  const named =
    type ??
    (dashboard === 'full' && result.fees?.payer === 'account' && result.losses?.payments === 'stripe'
      ? 'standard'
      : 'none');
  return { controller: result, type: named };
}

/** An account object with nothing provided yet. */
export function newAccount(
  ctx: Context,
  id: string,
  country: string,
  type: Stripe.Account.Type,
  controller: Controller,
): Stripe.Account {
  return {
    id,
    object: 'account',
    business_profile: {
      annual_revenue: null,
      estimated_worker_count: null,
      mcc: null,
      minority_owned_business_designation: null,
      name: null,
      product_description: null,
      specified_commercial_transactions_act_url: null,
      support_address: null,
      support_email: null,
      support_phone: null,
      support_url: null,
      url: null,
    },
    business_type: null,
    capabilities: {},
    charges_enabled: false,
    controller,
    country,
    created: ctx.now,
    default_currency: currencyOf(country),
    details_submitted: false,
    email: null,
    external_accounts: { ...embeddedList<Stripe.ExternalAccount>([], `/v1/accounts/${id}/external_accounts`) },
    future_requirements: emptyRequirements(),
    groups: { payments_pricing: null },
    metadata: {},
    payouts_enabled: false,
    requirements: emptyRequirements(),
    settings: {
      bacs_debit_payments: { display_name: null, service_user_number: null },
      branding: { icon: null, logo: null, primary_color: null, secondary_color: null },
      card_issuing: { tos_acceptance: { date: null, ip: null } },
      card_payments: {
        decline_on: { avs_failure: false, cvc_failure: false },
        statement_descriptor_prefix: null,
        statement_descriptor_prefix_kana: null,
        statement_descriptor_prefix_kanji: null,
      },
      dashboard: { display_name: null, timezone: 'Etc/UTC' },
      invoices: { default_account_tax_ids: null, hosted_payment_method_save: 'never' },
      payments: {
        statement_descriptor: null,
        statement_descriptor_kana: null,
        statement_descriptor_kanji: null,
        statement_descriptor_prefix_kana: null,
        statement_descriptor_prefix_kanji: null,
      },
      payouts: {
        debit_negative_balances: controller.losses?.payments !== 'application',
        schedule: { delay_days: 2, interval: 'daily' },
        statement_descriptor: null,
      },
      sepa_debit_payments: {},
    },
    tos_acceptance: { date: null, ip: null, user_agent: null },
    type,
  };
}

/** Puts a new account among the platform's and gives it its partition. */
export function registerAccount(ctx: Context, account: Stripe.Account): void {
  const { platform } = ctx;
  platform.table('account').insert(account);
  Object.assign(platform.secret(account.id), newState());
  ctx.sandbox.addAccount(account.id);
}

/** Tells of a new account's capabilities a moment after the answer: Stripe works them out in the background. */
export function announceLater(ctx: Context, account: string): void {
  ctx.on(account).schedule(ctx.sandbox.clock.exact() + 0.25, 'account.created', account);
}

type Details = Params<typeof details>;

/** Takes over what an update or a creation says, and notes which requirements that meets. */
function apply(ctx: Context, account: Stripe.Account, params: Details): void {
  const state = stateOf(ctx, account.id);
  const given = new Set<string>();
  for (const [name, fields] of Object.entries({
    business_profile: params.business_profile,
    company: params.company,
    individual: params.individual,
    representative: params.individual,
  })) {
    for (const path of leaves(fields)) given.add(`${name}.${path}`);
  }
  if (params.tos_acceptance) for (const path of leaves(params.tos_acceptance)) given.add(`tos_acceptance.${path}`);
  if (params.external_account) {
    given.add('external_account');
    replaceBankAccount(ctx.on(account.id), params.external_account);
  }
  state.provided = [...new Set([...state.provided, ...given])];
  // `individual.verification.document` is met by its `.front`.
  const isMet = (field: string): boolean => [...given].some((path) => path === field || path.startsWith(`${field}.`));
  state.extraEventually = state.extraEventually.filter((field) => !isMet(field));
  if (state.extraDue.some(isMet)) {
    state.extraDue = state.extraDue.filter((field) => !isMet(field));
    state.errors = state.errors.filter(({ requirement }) => !isMet(requirement));
    if (state.extraDue.length === 0) Object.assign(state, { overdue: false, deadline: null });
  }
  if (params.business_type) account.business_type = params.business_type;
  if (params.email !== undefined) account.email = params.email;
  if (params.default_currency) account.default_currency = params.default_currency.toLowerCase();
  if (params.business_profile)
    account.business_profile = { ...account.business_profile!, ...(params.business_profile as object) };
  if (params.tos_acceptance) {
    const { date, ...rest } = params.tos_acceptance;
    account.tos_acceptance = {
      ...account.tos_acceptance,
      ...(rest as object),
      ...(date !== undefined && { date: Number(date) }),
    };
  }
  if (params.settings) {
    account.settings = mergeDeep(account.settings!, params.settings) as Stripe.Account.Settings;
    // Forms carry numbers as text.
    const schedule = account.settings.payouts?.schedule as Record<string, unknown> | undefined;
    for (const name of ['delay_days', 'monthly_anchor'])
      if (schedule && typeof schedule[name] === 'string')
        schedule[name] = schedule[name] === 'minimum' ? 2 : Number(schedule[name]);
    if (schedule && Array.isArray(schedule['monthly_payout_days']))
      schedule['monthly_payout_days'] = schedule['monthly_payout_days'].map(Number);
  }
  account.metadata = mergeMetadata(account.metadata ?? {}, params.metadata);
  for (const [name, { requested }] of Object.entries(params.capabilities ?? {})) {
    if (requested === true) state.requested[name] ??= ctx.now;
    if (requested === false) delete state.requested[name];
  }
}

function leaves(value: unknown, prefix = ''): string[] {
  if (value === null || typeof value !== 'object') return value === undefined ? [] : [prefix];
  return Object.entries(value).flatMap(([key, item]) => leaves(item, prefix === '' ? key : `${prefix}.${key}`));
}

function mergeDeep(current: object, change: object): object {
  const result = { ...current } as Record<string, unknown>;
  for (const [key, value] of Object.entries(change)) {
    const old = result[key];
    result[key] =
      old && value && typeof old === 'object' && typeof value === 'object' && !Array.isArray(value)
        ? mergeDeep(old, value as object)
        : value;
  }
  return result;
}

function createAccount(ctx: Context, params: Params<typeof create>): Stripe.Account {
  const { controller, type } = controllerOf(params);
  const id = newId('account');
  const account = newAccount(ctx, id, params.country ?? 'US', type, controller);
  registerAccount(ctx, account);
  const state = stateOf(ctx, id);
  state.dashboard = controller.stripe_dashboard?.type as 'full';
  state.feesCollector = controller.fees?.payer === 'account' ? 'stripe' : String(controller.fees?.payer);
  state.lossesCollector = controller.losses?.payments as 'stripe';
  state.entityType = params.business_type ?? null;
  state.contactEmail = params.email ?? null;
  // Full-dashboard accounts get the usual capabilities without asking.
  if (controller.stripe_dashboard?.type === 'full')
    Object.assign(state.requested, { card_payments: ctx.now, transfers: ctx.now });
  apply(ctx, account, params);
  recompute(account, state);
  announceLater(ctx, id);
  return account;
}

/** Cuts the connection: the last event the platform hears of, then nothing can be fetched any more. */
export function deauthorize(ctx: Context, id: string): void {
  requireAccount(ctx, id);
  const own = ctx.on(id);
  own.emit('account.application.deauthorized', { id: 'ca_local', object: 'application', name: 'local-stripe' } as {
    id: string;
    object: string;
  });
  own.secret<{ deauthorized: boolean }>(id).deauthorized = true;
  ctx.sandbox.scheduler.cancel(id);
}

function platformOnly(ctx: Context, id: string): Stripe.Account {
  if (!ctx.isPlatform && ctx.account !== id)
    throw new StripeError(403, 'You can only access accounts connected to your platform.', { code: 'account_invalid' });
  return requireAccount(ctx, id);
}

/** Connected accounts, v1. {@link https://docs.stripe.com/api/accounts} */
export const accounts: Resource = {
  expandable: ['account', 'on_behalf_of', 'destination'],
  accountCreated: (ctx) => {
    if (!ctx.isPlatform || ctx.table('account').get(ctx.account)) return;
    const own = newAccount(ctx, ctx.account, 'US', 'standard', { type: 'account' });
    Object.assign(own, {
      charges_enabled: true,
      payouts_enabled: true,
      details_submitted: true,
      capabilities: { card_payments: 'active', transfers: 'active' },
    });
    ctx.secret(ctx.account);
    Object.assign(ctx.secret(ctx.account), newState(), {
      onboarded: true,
      requested: { card_payments: ctx.now, transfers: ctx.now },
    });
    ctx.table('account').insert(own);
  },
  due: {
    'account.created': (ctx, { ref }) => {
      const account = ctx.platform.table('account').get(ref);
      if (!account || !ctx.sandbox.isConnected(ref)) return;
      const state = stateOf(ctx, ref);
      for (const name of Object.keys(account.capabilities ?? {}))
        ctx.emit('capability.updated', capabilityOf(account, state, name));
      ctx.emit('account.updated', account);
    },
    'account.deadline': (ctx, { ref }) => {
      const account = ctx.platform.table('account').get(ref);
      if (account && ctx.sandbox.isConnected(ref))
        changeAccount(ctx, account, (state) => (state.overdue = state.extraDue.length > 0));
    },
  },
  routes: [
    route('GET', '/v1/account', {}, (ctx) => requireAccount(ctx, ctx.account)),
    route('POST', '/v1/accounts', create, createAccount),
    route('GET', '/v1/accounts', { ...listParams, created: p.range() }, (ctx, { created, ...page }) =>
      listPage(
        ctx.table('account'),
        '/v1/accounts',
        page,
        (account) =>
          account.id !== ctx.sandbox.platform &&
          ctx.sandbox.isConnected(account.id) &&
          inRange(account.created ?? 0, created),
      ),
    ),
    route('GET', '/v1/accounts/:id', {}, (ctx, _params, { id }) => platformOnly(ctx, id)),
    route('POST', '/v1/accounts/:id', { ...details, account_token: p.string() }, (ctx, params, { id }) =>
      changeAccount(ctx, platformOnly(ctx, id), () => apply(ctx, ctx.platform.table('account').require(id), params)),
    ),
    route('DELETE', '/v1/accounts/:id', {}, (ctx, _params, { id }) => {
      platformOnly(ctx, id);
      deauthorize(ctx, id);
      return { id, object: 'account', deleted: true };
    }),
    route(
      'POST',
      '/v1/accounts/:id/reject',
      { reason: p.enum('fraud', 'terms_of_service', 'other').required() },
      (ctx, { reason }, { id }) =>
        changeAccount(ctx, platformOnly(ctx, id), (state) => (state.disabledReason = `rejected.${reason}`)),
    ),
    route('GET', '/v1/accounts/:id/capabilities', {}, (ctx, _params, { id }) => {
      const account = platformOnly(ctx, id);
      const state = stateOf(ctx, id);
      return embeddedList(
        Object.keys(state.requested).map((name) => capabilityOf(account, state, name)),
        `/v1/accounts/${id}/capabilities`,
        100,
      );
    }),
    route('GET', '/v1/accounts/:id/capabilities/:capability', {}, (ctx, _params, { id, capability }) =>
      capabilityOf(platformOnly(ctx, id), stateOf(ctx, id), capability),
    ),
    route(
      'POST',
      '/v1/accounts/:id/capabilities/:capability',
      { requested: p.boolean() },
      (ctx, { requested }, { id, capability }) => {
        const account = changeAccount(ctx, platformOnly(ctx, id), (state) => {
          if (requested === true) state.requested[capability] ??= ctx.now;
          if (requested === false) delete state.requested[capability];
        });
        return capabilityOf(account, stateOf(ctx, id), capability);
      },
    ),
    route('POST', '/v1/accounts/:id/login_links', {}, (ctx, _params, { id }) => {
      const account = platformOnly(ctx, id);
      if (account.controller?.stripe_dashboard?.type !== 'express') {
        throw invalid('Cannot create a login link for an account that is not an Express account.', 'account');
      }
      if (!account.details_submitted)
        throw invalid('Cannot create a login link for an account that has not completed onboarding.', 'account');
      return { object: 'login_link', created: ctx.now, url: `${ctx.url}/express/${id}/${randomText(20)}` };
    }),
    route(
      'POST',
      '/oauth/deauthorize',
      { client_id: p.string(), stripe_user_id: p.string().required() },
      (ctx, { stripe_user_id: id }) => {
        deauthorize(ctx, id);
        return { stripe_user_id: id };
      },
    ),
  ],
};
