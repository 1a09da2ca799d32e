import { LockMode } from '@mikro-orm/core';
import { type DriftCheck, type DriftContext, differencesOf, type Facts, repairFetched } from '../../jobs/drift.js';
import { type AccountReport } from '../../stripe/reports.js';
import { StripeFailure } from '../../stripe/stripe-errors.js';
import { noteDisconnection } from './connected-account.js';
import { StripeConfig } from './stripe-config.entity.js';

type Read = AccountReport | 'gone';

/** Compares the account: what it may do, and what Stripe still wants of it. Its thin events are in no list that could be swept. */
export const accountDrift: DriftCheck = {
  object: 'account',

  async *candidates({ accountId }) {
    await Promise.resolve();
    yield { stripeId: accountId, differs: true };
  },

  async compare(context) {
    await context.spend();
    const read = await retrieve(context);
    const config = await context.db.transaction((em) => em.findOne(StripeConfig, configOf(context)));
    return differencesOf(config && { id: config.id, facts: factsOf(config) }, stripesFacts(read));
  },

  repair: (context) =>
    repairFetched<Read>(context, {
      async version(em) {
        const config = await em.findOne(StripeConfig, configOf(context), { lockMode: LockMode.PESSIMISTIC_WRITE });
        return config?.updatedAt.toISOString() ?? null;
      },
      load: () => retrieve(context),
      async apply(em, read) {
        const config = await em.findOne(StripeConfig, configOf(context), { lockMode: LockMode.PESSIMISTIC_WRITE });
        if (!config) return;
        if (read !== 'gone') return void config.applyStripe(read, null, true);
        const at = new Date();
        config.disconnect(at);
        await noteDisconnection(em, context.accountId, at);
      },
    }),
};

const configOf = ({ accountId }: DriftContext) => ({ stripeAccountId: accountId });

async function retrieve({ platform, accountId }: DriftContext): Promise<Read> {
  try {
    return await platform.retrieveAccount(accountId);
  } catch (error) {
    if (error instanceof StripeFailure && error.code === 'ACCOUNT_DISCONNECTED') return 'gone';
    throw error;
  }
}

function factsOf(config: StripeConfig): Facts {
  const { chargesEnabled, payoutsEnabled, detailsSubmitted, country, defaultCurrency, requirements } = config;
  const isDisconnected = config.disconnectedAt !== null;
  if (isDisconnected) return { isDisconnected };
  return {
    isDisconnected,
    chargesEnabled,
    payoutsEnabled,
    detailsSubmitted,
    country,
    defaultCurrency,
    currentlyDue: [...(requirements.currentlyDue ?? [])].sort().join(', '),
    pastDue: [...(requirements.pastDue ?? [])].sort().join(', '),
    disabledReason: requirements.disabledReason ?? null,
  };
}

function stripesFacts(read: Read): Facts {
  if (read === 'gone') return { isDisconnected: true };
  const config = new StripeConfig();
  config.applyStripe(read, null, true);
  return factsOf(config);
}
