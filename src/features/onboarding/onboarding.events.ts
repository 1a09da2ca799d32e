import { type EntityManager, LockMode } from '@mikro-orm/postgresql';
import {
  type EventContext,
  type EventHandler,
  type EventHandlers,
  type EventOf,
  type LoadContext,
} from '../../jobs/events.js';
import { accountReport } from '../../stripe/account-report.js';
import { type AccountReport } from '../../stripe/reports.js';
import { StripeFailure } from '../../stripe/stripe-errors.js';
import { type AccountId, type ThinNotification } from '../../stripe/types.js';
import { audit } from '../audit/audit.js';
import { noteDisconnection } from './connected-account.js';
import { StripeConfig } from './stripe-config.entity.js';

/** `gone`: the platform has no access to the account any more, so nothing can be read of it. */
type Read = AccountReport | 'gone';

/**
 * An account changes back and forth, and is also read outside of events (by whoever comes back from Stripe's form): so a report that differs
 * from what is known is not believed for being newer than the last event, but read again. Accounts change rarely.
 */
async function applyReport(
  em: EntityManager,
  { accountId, created }: EventContext,
  reported: AccountReport | null,
  read: Read | null,
): Promise<'done' | 'fetch'> {
  const config = await configOf(em, accountId);
  if (!config || read === 'gone') return 'done';
  if (read) {
    const before = config.onboarding;
    config.applyStripe(read, created, true);
    if (config.onboarding !== before)
      note(em, config.stripeAccountId, 'update', { from: before, to: config.onboarding });
    return 'done';
  }
  if (config.isSettledBefore(created)) return 'done';
  if (!reported || !config.agreesWith(reported)) return 'fetch';
  config.applyStripe(reported, created, true);
  return 'done';
}

const reading = {
  version: async (em: EntityManager, _event: unknown, { accountId }: EventContext) =>
    (await configOf(em, accountId))?.updatedAt.toISOString() ?? null,

  async load(_event: unknown, { platform, accountId }: LoadContext): Promise<Read> {
    try {
      return await platform.retrieveAccount(accountId);
    } catch (error) {
      // Its deauthorisation is, or will be, reported by an event of its own; a key of ours that does not fit looks the same.
      if (error instanceof StripeFailure && error.code === 'ACCOUNT_DISCONNECTED') return 'gone';
      throw error;
    }
  },
};

const accountUpdated: EventHandler<EventOf<'account.updated'>, Read> = {
  ...reading,
  object: (event) => event.data.object.id,
  apply: (em, event, context, read) =>
    applyReport(em, context, accountReport(event.data.object, context.livemode), read),
};

/** Tells that something changed, not how the account is now. */
const capabilityUpdated: EventHandler<EventOf<'capability.updated'>, Read> = {
  ...reading,
  object: (event) => event.account ?? null,
  apply: (em, _event, context, read) => applyReport(em, context, null, read),
};

const accountChanged: EventHandler<ThinNotification, Read> = {
  ...reading,
  apply: (em, _event, context, read) => applyReport(em, context, null, read),
};

/** From now on nothing can be read from the account: what the event says is all there is. */
const deauthorized: EventHandler<EventOf<'account.application.deauthorized'>> = {
  object: (event) => event.account ?? null,
  apply: (em, _event, context) => farewell(em, context),
};

const accountClosed: EventHandler<ThinNotification> = {
  apply: (em, _event, context) => farewell(em, context),
};

async function farewell(em: EntityManager, { accountId, created }: EventContext): Promise<'done'> {
  // It may be the account before the present one: then only its own line is marked.
  const config = await configOf(em, accountId);
  if (config && !config.disconnectedAt) {
    config.disconnect(created);
    note(em, accountId, 'disconnect');
  }
  await noteDisconnection(em, accountId, created);
  return 'done';
}

function note(em: EntityManager, subjectId: AccountId, verb: string, details: Record<string, unknown> = {}): void {
  audit(em, { actor: 'stripe', action: `stripe-account.${verb}`, subjectType: 'stripe-account', subjectId, details });
}

function configOf(em: EntityManager, stripeAccountId: AccountId): Promise<StripeConfig | null> {
  return em.findOne(StripeConfig, { stripeAccountId }, { lockMode: LockMode.PESSIMISTIC_WRITE });
}

/** https://docs.stripe.com/api/events/types and https://docs.stripe.com/api/v2/core/events/event-types */
export const onboardingEvents = {
  'account.updated': accountUpdated,
  'capability.updated': capabilityUpdated,
  'account.application.deauthorized': deauthorized,
  'v2.core.account.updated': accountChanged,
  'v2.core.account.closed': accountClosed,
  'v2.core.account[requirements].updated': accountChanged,
  'v2.core.account[future_requirements].updated': accountChanged,
  'v2.core.account[identity].updated': accountChanged,
  'v2.core.account[defaults].updated': accountChanged,
  'v2.core.account[configuration.merchant].updated': accountChanged,
  'v2.core.account[configuration.merchant].capability_status_updated': accountChanged,
} satisfies EventHandlers;
