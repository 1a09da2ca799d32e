import type Stripe from 'stripe';
import { type Context } from '../context.js';
import { StripeError } from '../errors.js';

/** What the sandbox knows about a connected account beyond the v1 object; kept on the platform. */
export interface AccountState {
  /** Capabilities that were requested, and when. */
  requested: Record<string, number>;
  /** Hosted onboarding was finished: everything asked for so far is provided. */
  onboarded: boolean;
  /** Information provided through the API, by requirement name. */
  provided: string[];
  /** Requirements that came up later (`/_control/accounts/:id`). */
  extraDue: string[];
  extraEventually: string[];
  pendingVerification: string[];
  errors: Stripe.Account.Requirements.Error[];
  /** Unix seconds when what is due becomes past due. */
  deadline: number | null;
  /** The deadline has passed. */
  overdue: boolean;
  /** Set from outside: the platform paused it, Stripe rejected it. */
  disabledReason: Stripe.Account.Requirements.DisabledReason | null;
  /** Capability states forced by a test. */
  forced: Record<string, Stripe.Capability.Status>;
  /** Made through v2: emits `v2.core.account…` with v2 sections. */
  displayName: string | null;
  contactEmail: string | null;
  contactPhone: string | null;
  dashboard: 'express' | 'full' | 'none';
  feesCollector: string;
  lossesCollector: 'application' | 'stripe';
  entityType: string | null;
  identity: Record<string, unknown>;
  profile: Record<string, unknown>;
  merchant: Record<string, unknown>;
  configurations: ('customer' | 'merchant' | 'recipient')[];
  closed: boolean;
  /** The only currencies the account can charge in; null means all. */
  currencies: string[] | null;
}

export function newState(): AccountState {
  return {
    requested: {},
    onboarded: false,
    provided: [],
    extraDue: [],
    extraEventually: [],
    pendingVerification: [],
    errors: [],
    deadline: null,
    overdue: false,
    disabledReason: null,
    forced: {},
    displayName: null,
    contactEmail: null,
    contactPhone: null,
    dashboard: 'full',
    feesCollector: 'stripe',
    lossesCollector: 'stripe',
    entityType: null,
    identity: {},
    profile: {},
    merchant: {},
    configurations: ['merchant'],
    closed: false,
    currencies: null,
  };
}

/** The state of a connected account. */
export function stateOf(ctx: Context, account: string): AccountState {
  return ctx.platform.secret<AccountState>(account) as AccountState;
}

/**
 * A connected account's object.
 * @throws StripeError 403 `account_invalid` when it is not there or not connected any more, as Stripe answers a platform that lost access
 */
export function requireAccount(ctx: Context, id: string): Stripe.Account {
  const account = ctx.platform.table('account').get(id);
  if (!account || (id !== ctx.sandbox.platform && !ctx.sandbox.isConnected(id))) {
    throw new StripeError(
      403,
      `The provided key does not have access to account '${id}' (or that account does not exist). Application access may have been revoked.`,
      { code: 'account_invalid' },
    );
  }
  return account;
}

/** What a new account must tell before it may charge. {@link https://docs.stripe.com/connect/required-verification-information} */
function requiredFields(account: Stripe.Account): string[] {
  const person = account.business_type === 'individual' ? 'individual' : 'representative';
  return [
    'business_profile.mcc',
    'business_profile.url',
    ...(account.business_type ? [] : ['business_type']),
    ...(account.business_type === 'company' ? ['company.name', 'company.tax_id'] : []),
    'external_account',
    `${person}.dob.day`,
    `${person}.dob.month`,
    `${person}.dob.year`,
    `${person}.email`,
    `${person}.first_name`,
    `${person}.last_name`,
    'tos_acceptance.date',
    'tos_acceptance.ip',
  ];
}

/** Brings requirements, capabilities and the enabled flags of the v1 object in line with the state. */
export function recompute(account: Stripe.Account, state: AccountState): void {
  const wantsAny = Object.keys(state.requested).length > 0;
  const missing =
    state.onboarded || !wantsAny ? [] : requiredFields(account).filter((field) => !state.provided.includes(field));
  const due = [...new Set([...missing, ...state.extraDue])].sort();
  const past = [...new Set([...missing, ...(state.overdue ? state.extraDue : [])])].sort();
  const disabled: Stripe.Account.Requirements.DisabledReason | null =
    state.disabledReason ??
    (past.length > 0
      ? 'requirements.past_due'
      : state.pendingVerification.length > 0 && !state.onboarded
        ? 'requirements.pending_verification'
        : null);
  account.requirements = {
    alternatives: [],
    current_deadline: due.length > 0 ? state.deadline : null,
    currently_due: due,
    disabled_reason: disabled,
    errors: state.errors,
    eventually_due: [...new Set([...due, ...state.extraEventually])].sort(),
    past_due: past,
    pending_verification: state.pendingVerification,
  };
  const live = disabled === null;
  const capabilities: Record<string, 'active' | 'inactive' | 'pending'> = {};
  for (const name of Object.keys(state.requested)) {
    const forced = state.forced[name];
    if (forced === 'unrequested') continue;
    capabilities[name] =
      (forced as 'active' | undefined) ??
      (live ? 'active' : disabled === 'requirements.pending_verification' ? 'pending' : 'inactive');
  }
  account.capabilities = capabilities;
  const payments = Object.entries(capabilities).some(
    ([name, status]) => name.endsWith('_payments') && status === 'active',
  );
  account.charges_enabled = live && payments;
  account.payouts_enabled = live && Object.values(capabilities).includes('active');
  account.details_submitted = state.onboarded || (wantsAny && missing.length === 0);
}

/** A capability as its own object. {@link https://docs.stripe.com/api/capabilities} */
export function capabilityOf(account: Stripe.Account, state: AccountState, name: string): Stripe.Capability {
  const requestedAt = state.requested[name];
  const requirements = account.requirements;
  const status =
    (account.capabilities as Record<string, Stripe.Capability.Status> | undefined)?.[name] ?? 'unrequested';
  const due = requestedAt === undefined ? undefined : requirements;
  return {
    id: name,
    object: 'capability',
    account: account.id,
    future_requirements: emptyRequirements(),
    requested: requestedAt !== undefined,
    requested_at: requestedAt ?? null,
    requirements: {
      ...emptyRequirements(),
      current_deadline: due?.current_deadline ?? null,
      currently_due: due?.currently_due ?? [],
      disabled_reason: status === 'inactive' && due?.disabled_reason ? reasonOfCapability(due.disabled_reason) : null,
      errors: due?.errors ?? [],
      eventually_due: due?.eventually_due ?? [],
      past_due: due?.past_due ?? [],
      pending_verification: due?.pending_verification ?? [],
    },
    status,
  };
}

export function emptyRequirements() {
  return {
    alternatives: [],
    current_deadline: null,
    currently_due: [],
    disabled_reason: null,
    errors: [],
    eventually_due: [],
    past_due: [],
    pending_verification: [],
  };
}

/** A capability words the account's reason otherwise. {@link https://docs.stripe.com/api/capabilities/object#capability_object-requirements-disabled_reason} */
function reasonOfCapability(reason: string): Stripe.Capability.Requirements.DisabledReason {
  if (reason === 'requirements.pending_verification' || reason === 'under_review') return 'pending.review';
  if (reason.startsWith('requirements.')) return 'requirements.fields_needed';
  if (reason.startsWith('rejected.')) return 'rejected.other';
  return reason === 'platform_paused' ? reason : 'other';
}

/**
 * Changes an account and tells everybody who listens: `capability.updated` per capability, `account.updated` with what changed, and the thin v2 events
 * of the parts concerned. {@link https://docs.stripe.com/connect/webhooks}
 */
export function changeAccount(
  ctx: Context,
  account: Stripe.Account,
  work: (state: AccountState) => void,
): Stripe.Account {
  const state = stateOf(ctx, account.id);
  const before = JSON.parse(JSON.stringify(account)) as Stripe.Account;
  const sectionsBefore = sections(state);
  work(state);
  recompute(account, state);
  announce(ctx, account, state, before, sectionsBefore);
  return account;
}

/** The parts of the state that v2 events speak of. */
function sections(state: AccountState): Record<'identity' | 'defaults' | 'merchant', string> {
  return {
    identity: JSON.stringify([state.identity, state.entityType]),
    defaults: JSON.stringify([state.profile, state.feesCollector, state.lossesCollector]),
    merchant: JSON.stringify([state.merchant, Object.keys(state.requested)]),
  };
}

function announce(
  ctx: Context,
  account: Stripe.Account,
  state: AccountState,
  before: Stripe.Account,
  old: ReturnType<typeof sections>,
): void {
  if (account.id === ctx.sandbox.platform) return;
  const own = ctx.on(account.id);
  const { events } = ctx.sandbox;
  const v2 = { id: account.id, object: 'v2.core.account' };
  const previous = before.capabilities as Record<string, string> | undefined;
  const current = account.capabilities as Record<string, string>;
  const changed = Object.keys({ ...previous, ...current }).filter((name) => previous?.[name] !== current[name]);
  for (const name of changed) {
    own.emit('capability.updated', capabilityOf(account, state, name), {
      previous: { status: previous?.[name] ?? 'unrequested', requested: previous?.[name] !== undefined },
    });
    events.publishThin(own, 'v2.core.account[configuration.merchant].capability_status_updated', v2, {
      data: { updated_capability: v2Capability(name) },
    });
  }
  const now = sections(state);
  if (JSON.stringify(before) !== JSON.stringify(account)) own.emit('account.updated', account, { before });
  else if (JSON.stringify(old) === JSON.stringify(now)) return;
  if (now.identity !== old.identity) events.publishThin(own, 'v2.core.account[identity].updated', v2);
  if (now.defaults !== old.defaults) events.publishThin(own, 'v2.core.account[defaults].updated', v2);
  if (now.merchant !== old.merchant) events.publishThin(own, 'v2.core.account[configuration.merchant].updated', v2);
  if (JSON.stringify(before.requirements) !== JSON.stringify(account.requirements))
    events.publishThin(own, 'v2.core.account[requirements].updated', v2);
  events.publishThin(own, 'v2.core.account.updated', v2);
}

const names: Record<string, string> = { us_bank_account_ach_payments: 'ach_debit_payments' };

/** v1 and v2 call a few capabilities differently. */
export function v2Capability(name: string): string {
  return names[name] ?? name;
}

export function v1Capability(name: string): string {
  return Object.entries(names).find(([, other]) => other === name)?.[0] ?? name;
}
