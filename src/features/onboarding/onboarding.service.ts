import { type TenantDb } from '../../db/database.js';
import { type Commands } from '../../jobs/commands/commands.js';
import { clientKey } from '../../jobs/commands/kind.js';
import { type Clock } from '../../shared/clock.js';
import { AppError, badInput } from '../../shared/errors.js';
import { newUuid, type Uuid } from '../../shared/uuid.js';
import { type AccountLink } from '../../stripe/accounts.js';
import { type StripeService } from '../../stripe/stripe.service.js';
import { type AccountId, stripeKey } from '../../stripe/types.js';
import { connectedAccount, stripeConfigOf } from './connected-account.js';
import { type LinkState } from './link-state.js';
import { createAccountCommand, disconnectCommand, type NewAccount } from './onboarding.commands.js';
import { type OnboardingLinks } from './onboarding-links.js';
import { type StripeConfig } from './stripe-config.entity.js';

/** What an onboarding service is made of, per request or per visit. */
export interface OnboardingParts {
  readonly db: TenantDb;
  readonly stripe: StripeService;
  readonly commands: Commands;
  readonly links: OnboardingLinks;
  readonly clock: Clock;
  /** Who asks: the token's subject. */
  readonly actor: string;
}

export interface WantedLink {
  readonly type: LinkState['type'];
  readonly returnPath?: string | null;
  readonly refreshPath?: string | null;
}

/** Application fees on direct charges are not to be had there. https://docs.stripe.com/connect/direct-charges#collect-fees */
const withoutApplicationFees = new Set(['BR']);

const mostReads = 4;

/** How a tenant gets a Stripe account, fills it in, and leaves. */
export class OnboardingService {
  constructor(private readonly parts: OnboardingParts) {}

  /**
   * Makes the tenant's account at Stripe. It can do nothing until its owner has filled in Stripe's form.
   * @returns the id of its line in `stripe_config`
   * @throws AppError BAD_USER_INPUT · INVALID_STATE when there is one already · CONFLICT while another is being made ·
   *   IDEMPOTENCY_CONFLICT · STRIPE_REJECTED · STRIPE_UNAVAILABLE · OUTCOME_UNKNOWN
   */
  async createConnectAccount(input: NewAccount & { readonly idempotencyKey: string }): Promise<Uuid> {
    const idempotencyKey = clientKey(input.idempotencyKey);
    const country = input.country.toUpperCase();
    if (!/^[A-Z]{2}$/.test(country)) throw badInput('input.country', 'The country is two letters, as in `US`.');
    if (withoutApplicationFees.has(country))
      throw badInput('input.country', 'Stripe lets no platform take its fee of payments there.');
    const email = limited(input.email, 'input.email', 'The e-mail address', 500);
    const businessName = input.businessName ? limited(input.businessName, 'input.businessName', 'The name', 200) : null;
    const { outcome } = await this.parts.commands.run(createAccountCommand, {
      idempotencyKey,
      params: { country, email, businessName },
      actor: this.parts.actor,
    });
    return outcome.stripeConfigId as Uuid;
  }

  /**
   * A way into Stripe's form, good once and for minutes.
   * @throws AppError BAD_USER_INPUT for a place to return to that is not ours · TENANT_NOT_READY · ACCOUNT_DISCONNECTED · STRIPE_UNAVAILABLE
   */
  async createAccountLink({ type, returnPath, refreshPath }: WantedLink): Promise<AccountLink> {
    const { returnUrls } = this.parts.links;
    const returnUrl = returnUrls.resolve(returnPath ?? '/', 'input.returnPath');
    const refreshUrl = refreshPath ? returnUrls.resolve(refreshPath, 'input.refreshPath') : returnUrl;
    const { stripeAccountId } = await this.parts.db.transaction((em) => connectedAccount(em));
    return this.linkTo(stripeAccountId, { type, returnUrl, refreshUrl });
  }

  /**
   * A new way in for somebody whose link was used or too old, as the first one was meant.
   * @throws AppError TENANT_NOT_READY · ACCOUNT_DISCONNECTED, also when the tenant has another account by now · STRIPE_UNAVAILABLE
   */
  async renewAccountLink({ accountId, type, returnUrl, refreshUrl }: LinkState): Promise<AccountLink> {
    await this.assertPresent(accountId);
    return this.linkTo(accountId, { type, returnUrl, refreshUrl });
  }

  /**
   * Reads the account from Stripe.
   * @param accountId only when it still is this one
   * @throws AppError TENANT_NOT_READY · ACCOUNT_DISCONNECTED · STRIPE_UNAVAILABLE
   */
  async syncConnectAccount(accountId?: AccountId): Promise<Uuid> {
    const { db, stripe } = this.parts;
    if (accountId) await this.assertPresent(accountId);
    for (let reads = 1; ; reads += 1) {
      const { stripeAccountId, updatedAt } = await db.transaction((em) => connectedAccount(em));
      const report = await stripe.retrieveAccount(stripeAccountId);
      const id = await db.transaction(async (em) => {
        const config = await connectedAccount(em, { lock: true });
        // Somebody wrote meanwhile what may be newer than what we read.
        if (config.updatedAt.getTime() !== updatedAt.getTime() && reads < mostReads) return null;
        config.applyStripe(report, null, true);
        return config.id;
      });
      if (id) return id;
    }
  }

  /**
   * Gives the account up: nothing is charged from here on, what was stays to be seen, and another account may be made. Doing it twice is
   * doing it once.
   * @returns the id of the line, and whether Stripe took the platform's access away
   * @throws AppError TENANT_NOT_READY · OUTCOME_UNKNOWN when Stripe did not answer; it is disconnected on our side then, and Stripe is asked again
   */
  async disconnectAccount(): Promise<{ readonly id: Uuid; readonly isRevoked: boolean }> {
    const { db, commands, actor } = this.parts;
    const config = await db.transaction((em) => stripeConfigOf(em));
    if (config?.disconnectedAt) return { id: config.id, isRevoked: await this.wasRevoked(config) };
    const { outcome } = await commands.run(disconnectCommand, { idempotencyKey: null, params: {}, actor });
    return { id: outcome.stripeConfigId as Uuid, isRevoked: outcome.isRevoked === 'true' };
  }

  private async linkTo(
    accountId: AccountId,
    wanted: Pick<LinkState, 'type' | 'returnUrl' | 'refreshUrl'>,
  ): Promise<AccountLink> {
    const { db, stripe, links, clock } = this.parts;
    const state: LinkState = { ...wanted, accountId, tenantId: db.tenantId, livemode: db.livemode };
    const link = await stripe.createAccountLink(
      {
        accountId,
        returnUrl: links.address('complete', state),
        refreshUrl: links.address('refresh', state),
        asksForMore: wanted.type === 'UPDATE',
      },
      // Nothing is lost when an answer is: another link is made. So this is no command.
      { key: stripeKey(newUuid(), 'account-link') },
    );
    await db.transaction(async (em) => (await connectedAccount(em, { lock: true })).noteLink(clock.now()));
    return link;
  }

  private async assertPresent(accountId: AccountId): Promise<void> {
    const { stripeAccountId } = await this.parts.db.transaction((em) => connectedAccount(em));
    if (stripeAccountId !== accountId)
      throw new AppError('ACCOUNT_DISCONNECTED', 'The link was for an account that is not the present one.');
  }

  private async wasRevoked({ stripeAccountId }: StripeConfig): Promise<boolean> {
    return this.parts.db.transaction(async (em) => {
      const [row] = await em.execute<{ revoked: boolean }[]>(
        `select coalesce(bool_or(outcome ->> 'isRevoked' = 'true'), true) as revoked from commands
         where kind = ? and stripe_account_id = ?`,
        [disconnectCommand.name, stripeAccountId],
      );
      return row?.revoked === true;
    });
  }
}

function limited(text: string, field: string, what: string, most: number): string {
  const trimmed = text.trim();
  if (trimmed.length === 0 || trimmed.length > most) throw badInput(field, `${what} has 1 to ${most} characters.`);
  return trimmed;
}
