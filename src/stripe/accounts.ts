import type Stripe from 'stripe';
import { stripeTime } from '../shared/clock.js';
import { accountReport, accountV2Report, type AccountReport } from './account-report.js';
import { type Connection } from './connection.js';
import { findInPages, pagesOf, v2PagesOf, matches } from './paging.js';
import { type Account, type AccountId, type AccountV2, type Keyed, type Lookup, type Metadata } from './types.js';

/** Which generation of Stripe's API makes accounts and their links. Both make the same `acct_…` ids. */
export type AccountsApi = 'v1' | 'v2';

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
  /** Whether the form also asks for what will only be needed later. */
  readonly asksForMore?: boolean;
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
  { accountId, refreshUrl, returnUrl, asksForMore = false }: CreateAccountLink,
  keyed: Keyed,
): Promise<AccountLink> {
  const fields = asksForMore ? 'eventually_due' : 'currently_due';
  const urls = { refresh_url: refreshUrl, return_url: returnUrl, collection_options: { fields } as const };
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
