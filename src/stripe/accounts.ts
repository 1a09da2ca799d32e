import type Stripe from 'stripe';
import { stripeTime } from '../shared/clock.js';
import { type Connection } from './connection.js';
import { findInPages, pagesOf, v2PagesOf, matches } from './paging.js';
import { type Account, type AccountId, type AccountV2, type Keyed, type Lookup, type Metadata } from './types.js';

/** Which generation of Stripe's API makes accounts and their links. Both make the same `acct_…` ids. */
export type AccountsApi = 'v1' | 'v2';

export interface RequirementError {
  readonly code: string;
  /** Written for the account's owner. */
  readonly reason: string;
  readonly requirement: string;
}

/** What Stripe still wants to know. https://docs.stripe.com/connect/handling-api-verification */
export interface AccountRequirements {
  readonly currentlyDue: readonly string[];
  readonly eventuallyDue: readonly string[];
  readonly pastDue: readonly string[];
  readonly pendingVerification: readonly string[];
  readonly errors: readonly RequirementError[];
  readonly currentDeadline: Date | null;
  /** Why charges or payouts are switched off: `requirements.past_due`, `rejected.fraud`. */
  readonly disabledReason: string | null;
}

/** A connected account as Stripe reports it, by whichever API. */
export interface AccountReport {
  readonly id: AccountId;
  readonly livemode: boolean;
  readonly chargesEnabled: boolean;
  readonly payoutsEnabled: boolean;
  readonly detailsSubmitted: boolean;
  readonly requirements: AccountRequirements;
  /** ISO 3166-1 alpha-2, upper case. */
  readonly country: string | null;
  readonly defaultCurrency: string | null;
  /** `card_payments: 'active'`, under Stripe's names for them. */
  readonly capabilities: Readonly<Record<string, string>>;
  readonly metadata: Metadata;
  readonly created: Date | null;
}

export interface CreateConnectAccount {
  /** ISO 3166-1 alpha-2. It cannot be changed later. */
  readonly country: string;
  readonly email: string;
  readonly businessName: string;
  readonly metadata: Metadata;
}

export interface CreateAccountLink {
  readonly accountId: AccountId;
  /** Where Stripe sends a visitor whose link was used or is too old; a new link is made there. */
  readonly refreshUrl: string;
  /** Where Stripe sends a visitor who leaves the form. **It does not mean that the form is complete.** */
  readonly returnUrl: string;
}

/** A way in, good once and for some minutes. Whoever has the URL can use it. */
export interface AccountLink {
  readonly url: string;
  readonly expiresAt: Date;
}

/**
 * Makes the tenant's own account: Stripe collects its fees from it and bears its losses, and the tenant gets the full dashboard. All of
 * that is fixed at creation. https://docs.stripe.com/connect/accounts-v2
 */
export async function createConnectAccount(
  via: Connection,
  api: AccountsApi,
  { country, email, businessName, metadata }: CreateConnectAccount,
  keyed: Keyed,
): Promise<AccountReport> {
  if (api === 'v1') {
    const params: Stripe.AccountCreateParams = {
      country,
      email,
      business_profile: { name: businessName },
      controller: {
        fees: { payer: 'account' },
        losses: { payments: 'stripe' },
        requirement_collection: 'stripe',
        stripe_dashboard: { type: 'full' },
      },
      metadata,
    };
    const expected = { object: 'account', prefix: 'acct_', echo: { country } };
    const account = await via.change(expected, keyed, (options) => via.sdk.accounts.create(params, options));
    return accountReport(account, via.wire.livemode);
  }
  const params: Stripe.V2.Core.AccountCreateParams = {
    contact_email: email,
    display_name: businessName,
    dashboard: 'full',
    identity: { country: country.toLowerCase() },
    configuration: { merchant: { capabilities: { card_payments: { requested: true } } } },
    defaults: { responsibilities: { fees_collector: 'stripe', losses_collector: 'stripe' } },
    // What is not named here is left out of the answer.
    include: ['configuration.merchant', 'defaults', 'identity', 'requirements'],
    metadata,
  };
  const expected = { object: 'v2.core.account', prefix: 'acct_', echo: { contact_email: email } };
  return accountV2Report(
    await via.change(expected, keyed, (options) => via.sdk.v2.core.accounts.create(params, options)),
  );
}

/** A new link into Stripe's onboarding form. */
export async function createAccountLink(
  via: Connection,
  api: AccountsApi,
  { accountId, refreshUrl, returnUrl }: CreateAccountLink,
  keyed: Keyed,
): Promise<AccountLink> {
  const urls = { refresh_url: refreshUrl, return_url: returnUrl };
  if (api === 'v1') {
    const params = { account: accountId, type: 'account_onboarding' as const, ...urls };
    const link = await via.change({ object: 'account_link' }, keyed, (options) =>
      via.sdk.accountLinks.create(params, options),
    );
    return { url: link.url, expiresAt: stripeTime(link.expires_at) };
  }
  const params: Stripe.V2.Core.AccountLinkCreateParams = {
    account: accountId,
    use_case: { type: 'account_onboarding', account_onboarding: urls },
  };
  const expected = { object: 'v2.core.account_link', echo: { account: accountId } };
  const link = await via.change(expected, keyed, (options) => via.sdk.v2.core.accountLinks.create(params, options));
  return { url: link.url, expiresAt: new Date(link.expires_at) };
}

/**
 * The account as it is now. Read through v1 whichever API made it: only v1 says in one word whether charges and payouts are on.
 * @throws AppError ACCOUNT_DISCONNECTED
 */
export async function retrieveAccount(via: Connection, accountId: AccountId): Promise<AccountReport> {
  const expected = { object: 'account', prefix: 'acct_', echo: { id: accountId } };
  const account = await via.read(expected, (options) => via.sdk.accounts.retrieve(accountId, {}, options));
  return accountReport(account, via.wire.livemode);
}

/** The account that carries this metadata, or null when it is certain that there is none among those made since. */
export async function findAccount(
  via: Connection,
  api: AccountsApi,
  { metadata, since }: Lookup,
): Promise<AccountReport | null> {
  if (api === 'v1') {
    const pages = pagesOf<Account>(via, since, (page, options) => via.sdk.accounts.list(page, options));
    const found = await findInPages(pages, (account) => matches(account.metadata, metadata));
    return found && accountReport(found, via.wire.livemode);
  }
  // v2 lists take no creation time: the whole list is read.
  const pages = v2PagesOf<AccountV2>(via, (options) => via.sdk.v2.core.accounts.list({ limit: 20 }, options));
  const found = await findInPages(pages, (account) => matches(account.metadata, metadata));
  return found && retrieveAccount(via, found.id as AccountId);
}

/**
 * Takes the platform's access away, as the account's owner could; the account itself stays the tenant's and goes on living.
 * @param clientId the platform's own `ca_…`, from its Connect settings
 * https://docs.stripe.com/connect/oauth-reference#post-deauthorize
 */
export async function deauthorizeAccount(
  via: Connection,
  clientId: string,
  accountId: AccountId,
  keyed: Keyed,
): Promise<void> {
  const params = { client_id: clientId, stripe_user_id: accountId };
  await via.change({ echo: { stripe_user_id: accountId } }, keyed, (options) =>
    via.sdk.oauth.deauthorize(params, options),
  );
}

/** The v1 account, from an answer or from `account.updated`. It has no mode of its own: that of the key or the event holds. */
export function accountReport(account: Account, livemode: boolean): AccountReport {
  const needs = account.requirements;
  return {
    id: account.id as AccountId,
    livemode,
    chargesEnabled: account.charges_enabled,
    payoutsEnabled: account.payouts_enabled,
    detailsSubmitted: account.details_submitted,
    requirements: {
      currentlyDue: needs?.currently_due ?? [],
      eventuallyDue: needs?.eventually_due ?? [],
      pastDue: needs?.past_due ?? [],
      pendingVerification: needs?.pending_verification ?? [],
      errors: (needs?.errors ?? []).map(({ code, reason, requirement }) => ({ code, reason, requirement })),
      currentDeadline: needs?.current_deadline ? stripeTime(needs.current_deadline) : null,
      disabledReason: needs?.disabled_reason ?? null,
    },
    country: account.country ?? null,
    defaultCurrency: account.default_currency ?? null,
    capabilities: { ...account.capabilities },
    metadata: account.metadata ?? {},
    created: account.created === undefined ? null : stripeTime(account.created),
  };
}

/**
 * The v2 account in the same shape. What v2 does not say outright is read from it: charges are on when card payments are active, payouts
 * when the balance pays out, and details count as submitted when nothing is due from the user any more.
 */
export function accountV2Report(account: AccountV2): AccountReport {
  const capabilities = account.configuration?.merchant?.capabilities;
  const entries = account.requirements?.entries ?? [];
  const fromUser = entries.filter((entry) => entry.awaiting_action_from === 'user');
  const due = (...statuses: string[]) =>
    fromUser.filter((entry) => statuses.includes(entry.minimum_deadline.status)).map((entry) => entry.description);
  const deadline = account.requirements?.summary?.minimum_deadline?.time;
  const payouts = capabilities?.stripe_balance?.payouts;
  return {
    id: account.id as AccountId,
    livemode: account.livemode,
    chargesEnabled: capabilities?.card_payments?.status === 'active',
    payoutsEnabled: payouts?.status === 'active',
    detailsSubmitted: account.requirements !== undefined && due('currently_due', 'past_due').length === 0,
    requirements: {
      // As in v1, what is past due is currently due too.
      currentlyDue: due('currently_due', 'past_due'),
      eventuallyDue: due('eventually_due', 'currently_due', 'past_due'),
      pastDue: due('past_due'),
      pendingVerification: entries
        .filter((entry) => entry.awaiting_action_from === 'stripe')
        .map((entry) => entry.description),
      errors: entries.flatMap((entry) =>
        entry.errors.map((error) => ({ code: error.code, reason: error.description, requirement: entry.description })),
      ),
      currentDeadline: deadline ? new Date(deadline) : null,
      disabledReason: capabilities?.card_payments?.status_details[0]?.code ?? null,
    },
    country: account.identity?.country?.toUpperCase() ?? null,
    defaultCurrency: account.defaults?.currency ?? null,
    capabilities: {
      ...statusesOf(capabilities),
      ...(payouts && { payouts: payouts.status }),
    },
    metadata: account.metadata ?? {},
    created: new Date(account.created),
  };
}

/** Those capabilities that have a status of their own, not a group of them below. */
function statusesOf(capabilities: object | undefined): Record<string, string> {
  const all = Object.entries(capabilities ?? {}) as [string, { status?: string } | undefined][];
  return Object.fromEntries(
    all.flatMap(([name, capability]) => (capability?.status ? [[name, capability.status]] : [])),
  );
}
