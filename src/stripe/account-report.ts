import { stripeTime } from '../shared/clock.js';
import { type Account, type AccountId, type AccountV2, type Metadata } from './types.js';

interface RequirementError {
  readonly code: string;
  /** Written for the account's owner. */
  readonly reason: string;
  readonly requirement: string;
}

/** What Stripe still wants to know. https://docs.stripe.com/connect/handling-api-verification */
interface AccountRequirements {
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
