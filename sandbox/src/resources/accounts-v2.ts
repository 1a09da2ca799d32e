import type Stripe from 'stripe';
import { type Context } from '../context.js';
import { newId } from '../ids.js';
import { mergeMetadata, type Params, p } from '../params.js';
import { type Resource } from '../resource.js';
import { route } from '../router.js';
import { pageParams, v2Page } from '../v2.js';
import {
  type AccountState,
  changeAccount,
  recompute,
  requireAccount,
  stateOf,
  v1Capability,
  v2Capability,
} from './account-state.js';
import { announceLater, deauthorize, newAccount, registerAccount } from './accounts.js';

type AccountV2 = Stripe.V2.Core.Account;

const include = p.array(
  p.enum(
    'configuration.customer',
    'configuration.merchant',
    'configuration.recipient',
    'defaults',
    'future_requirements',
    'identity',
    'requirements',
  ),
);
const requested = p.record(p.any());
const responsibilities = p.hash({
  fees_collector: p.enum('application', 'application_custom', 'application_express', 'stripe').required(),
  losses_collector: p.enum('application', 'stripe').required(),
  requirements_collector: p.enum('application', 'stripe'),
});
const fields = {
  account_token: p.string(),
  contact_email: p.string(),
  contact_phone: p.string(),
  dashboard: p.enum('express', 'full', 'none'),
  display_name: p.string(),
  metadata: p.metadata(),
  identity: p.hash({
    attestations: p.any(),
    business_details: p.record(p.any()),
    country: p.string(),
    entity_type: p.enum('company', 'government_entity', 'individual', 'non_profit'),
    individual: p.record(p.any()),
  }),
  configuration: p.hash({
    customer: p.record(p.any()),
    recipient: p.record(p.any()),
    merchant: p.hash({
      applied: p.boolean(),
      bacs_debit_payments: p.any(),
      branding: p.any(),
      capabilities: requested,
      card_payments: p.any(),
      konbini_payments: p.any(),
      mcc: p.string(),
      script_statement_descriptor: p.any(),
      sepa_debit_payments: p.any(),
      statement_descriptor: p.any(),
      support: p.any(),
    }),
  }),
  defaults: p.hash({
    currency: p.string(),
    locales: p.array(p.string()),
    payout_methods: p.any(),
    profile: p.record(p.any()),
    responsibilities,
  }),
  include,
};

type Fields = Params<typeof fields>;

const iso = (seconds: number): string => new Date(seconds * 1000).toISOString();

/** Sections appear only when they are named in `include`. {@link https://docs.stripe.com/api/v2/core/accounts} */
function render(ctx: Context, account: Stripe.Account, asked: string[] = []): AccountV2 {
  const state = stateOf(ctx, account.id);
  const configuration: AccountV2['configuration'] = {};
  if (asked.includes('configuration.merchant') && state.configurations.includes('merchant'))
    configuration.merchant = merchant(account, state);
  const hasConfiguration = asked.some((name) => name.startsWith('configuration.'));
  return {
    id: account.id,
    object: 'v2.core.account',
    applied_configurations: state.configurations,
    closed: state.closed,
    ...(hasConfiguration && { configuration }),
    ...(state.contactEmail !== null && { contact_email: state.contactEmail }),
    ...(state.contactPhone !== null && { contact_phone: state.contactPhone }),
    created: iso(account.created ?? 0),
    dashboard: state.dashboard,
    ...(asked.includes('defaults') && { defaults: defaultsOf(account, state) }),
    ...(state.displayName !== null && { display_name: state.displayName }),
    ...(asked.includes('future_requirements') && { future_requirements: { alternatives: [], entries: [] } }),
    ...(asked.includes('identity') && {
      identity: {
        ...state.identity,
        country: account.country ?? 'US',
        ...(state.entityType && { entity_type: state.entityType }),
      },
    }),
    livemode: false,
    metadata: account.metadata ?? {},
    ...(asked.includes('requirements') && { requirements: requirementsOf(account, state) }),
  };
}

function merchant(account: Stripe.Account, state: AccountState): Stripe.V2.Core.Account.Configuration.Merchant {
  const statuses = { active: 'active', inactive: 'restricted', pending: 'pending' } as const;
  const capabilities: Record<string, { status: string; status_details: { code: string; resolution: string }[] }> = {};
  for (const [name, status] of Object.entries(account.capabilities ?? {}) as [string, keyof typeof statuses][]) {
    if (!isMerchantCapability(name)) continue;
    capabilities[v2Capability(name)] = {
      status: statuses[status],
      status_details:
        status === 'active'
          ? []
          : [
              status === 'pending'
                ? { code: 'requirements_pending_verification', resolution: 'no_resolution' }
                : { code: 'requirements_past_due', resolution: 'provide_info' },
            ],
    };
  }
  return {
    applied: true,
    ...state.merchant,
    capabilities: capabilities,
  };
}

/** v1's `transfers` belongs to recipients in v2. */
const isMerchantCapability = (name: string): boolean => name !== 'transfers';

function defaultsOf(account: Stripe.Account, state: AccountState): Stripe.V2.Core.Account.Defaults {
  return {
    currency: account.default_currency ?? 'usd',
    locales: [],
    profile: state.profile,
    responsibilities: {
      fees_collector: state.feesCollector as 'stripe',
      losses_collector: state.lossesCollector,
      requirements_collector: account.controller?.requirement_collection === 'application' ? 'application' : 'stripe',
    },
  };
}

/** v1's lists as v2's entries, each with what it restricts. */
function requirementsOf(account: Stripe.Account, state: AccountState): Stripe.V2.Core.Account.Requirements {
  const {
    currently_due: current,
    past_due: past,
    eventually_due: eventual,
    pending_verification: pending,
    errors,
    current_deadline: deadline,
  } = account.requirements!;
  const status = (field: string) =>
    past?.includes(field) ? 'past_due' : current?.includes(field) ? 'currently_due' : 'eventually_due';
  const capabilities = Object.keys(state.requested).filter(isMerchantCapability).map(v2Capability);
  const entries = [...new Set([...(past ?? []), ...(current ?? []), ...(eventual ?? []), ...(pending ?? [])])].map(
    (field) => ({
      awaiting_action_from: pending?.includes(field) ? ('stripe' as const) : ('user' as const),
      description: field,
      errors: (errors ?? [])
        .filter((error) => error.requirement === field)
        .map((error) => ({ code: error.code as 'invalid_value_other', description: error.reason })),
      impact: {
        restricts_capabilities: capabilities.map((capability) => ({
          capability,
          configuration: 'merchant',
          deadline: { status: status(field) } as const,
        })),
      },
      minimum_deadline: { status: status(field) } as const,
      requested_reasons: [{ code: 'routine_onboarding' as const }],
    }),
  );
  const worst = past?.length
    ? 'past_due'
    : current?.length
      ? 'currently_due'
      : eventual?.length
        ? 'eventually_due'
        : null;
  return {
    alternatives: [],
    entries,
    ...(worst && {
      summary: { minimum_deadline: { status: worst, ...(deadline !== null && { time: iso(deadline) }) } },
    }),
  };
}

function apply(ctx: Context, account: Stripe.Account, state: AccountState, params: Fields): void {
  if (params.contact_email !== undefined) account.email = state.contactEmail = params.contact_email;
  if (params.contact_phone !== undefined) state.contactPhone = params.contact_phone;
  if (params.display_name !== undefined) {
    state.displayName = params.display_name;
    account.business_profile!.name = params.display_name;
    account.settings!.dashboard.display_name = params.display_name;
  }
  if (params.dashboard !== undefined) state.dashboard = params.dashboard;
  account.metadata = mergeMetadata(account.metadata ?? {}, params.metadata);
  if (params.identity) {
    const { entity_type: entity, country: _country, ...rest } = params.identity;
    if (entity) account.business_type = state.entityType = entity;
    state.identity = { ...state.identity, ...rest };
  }
  if (params.defaults?.currency) account.default_currency = params.defaults.currency.toLowerCase();
  if (params.defaults?.profile) state.profile = { ...state.profile, ...params.defaults.profile };
  const merchantParams = params.configuration?.merchant;
  if (merchantParams) {
    const { capabilities: wanted = {}, applied: _applied, ...rest } = merchantParams;
    state.merchant = { ...state.merchant, ...rest };
    if (merchantParams.mcc) state.provided.push('business_profile.mcc');
    for (const [name, value] of Object.entries(wanted)) {
      const v1 = v1Capability(name);
      const { requested: on } = value as { requested?: boolean };
      if (on === true) state.requested[v1] ??= ctx.now;
      if (on === false) delete state.requested[v1];
    }
  }
  for (const name of ['customer', 'merchant', 'recipient'] as const) {
    if (params.configuration?.[name] && !state.configurations.includes(name)) state.configurations.push(name);
  }
}

function createAccount(ctx: Context, params: Fields): AccountV2 {
  const { responsibilities: who } = params.defaults ?? {};
  const dashboard = params.dashboard ?? 'full';
  const fees = who?.fees_collector ?? 'stripe';
  const losses = who?.losses_collector ?? 'stripe';
  const id = newId('account');
  const account = newAccount(
    ctx,
    id,
    (params.identity?.country ?? 'US').toUpperCase(),
    dashboard === 'full' && fees === 'stripe' && losses === 'stripe' ? 'standard' : 'none',
    {
      fees: { payer: fees === 'stripe' ? 'account' : fees },
      is_controller: true,
      losses: { payments: losses },
      requirement_collection: dashboard === 'none' && losses === 'application' ? 'application' : 'stripe',
      stripe_dashboard: { type: dashboard },
      type: 'application',
    },
  );
  registerAccount(ctx, account);
  const state = stateOf(ctx, id);
  Object.assign(state, {
    dashboard,
    feesCollector: fees,
    lossesCollector: losses,
    configurations: [],
  } satisfies Partial<AccountState>);
  apply(ctx, account, state, params);
  recompute(account, state);
  ctx.sandbox.events.publishThin(ctx.on(id), 'v2.core.account.created', { id, object: 'v2.core.account' });
  announceLater(ctx, id);
  return render(ctx, account, params.include);
}

/** Connected accounts, v2: the same `acct_` ids as v1. */
export const accountsV2: Resource = {
  routes: [
    route('POST', '/v2/core/accounts', fields, createAccount),
    route(
      'GET',
      '/v2/core/accounts',
      { ...pageParams, applied_configurations: p.array(p.string()), closed: p.boolean() },
      (ctx, params) => {
        const rows = [...ctx.platform.table('account').newestFirst()].filter(
          ({ id }) =>
            ctx.sandbox.isConnected(id) &&
            stateOf(ctx, id).closed === (params.closed ?? false) &&
            (params.applied_configurations ?? []).every((name) =>
              stateOf(ctx, id).configurations.includes(name as 'merchant'),
            ),
        );
        return v2Page(rows, '/v2/core/accounts', params, (account) => render(ctx, account));
      },
    ),
    route('GET', '/v2/core/accounts/:id', { include }, (ctx, params, { id }) =>
      render(ctx, requireAccount(ctx, id), params.include),
    ),
    route('POST', '/v2/core/accounts/:id', fields, (ctx, params, { id }) => {
      const account = requireAccount(ctx, id);
      changeAccount(ctx, account, (state) => apply(ctx, account, state, params));
      return render(ctx, account, params.include);
    }),
    route(
      'POST',
      '/v2/core/accounts/:id/close',
      { applied_configurations: p.array(p.string()) },
      (ctx, _params, { id }) => {
        const account = requireAccount(ctx, id);
        stateOf(ctx, id).closed = true;
        ctx.sandbox.events.publishThin(ctx.on(id), 'v2.core.account.closed', { id, object: 'v2.core.account' });
        const closed = render(ctx, account);
        deauthorize(ctx, id);
        return closed;
      },
    ),
  ],
};
