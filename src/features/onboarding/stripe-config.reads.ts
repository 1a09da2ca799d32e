import {
  boolean,
  computed,
  decimal,
  integer,
  json,
  newestFirst,
  readModel,
  text,
  time,
  uuid,
} from '../../db/reads/model.js';
import { livemodeSetting } from '../../db/tenant-entity.js';
import {
  type AccountFacts,
  type AccountRequirements,
  completeRequirements,
  onboardingStatus,
  StripeConfig,
} from './stripe-config.entity.js';

/** The tenant's one line of this mode. */
export const stripeConfigReads = readModel(StripeConfig, {
  table: 'stripe_config',
  fields: {
    id: uuid(),
    stripeAccountId: text<StripeConfig['stripeAccountId']>(),
    livemode: boolean(),
    chargesEnabled: boolean(),
    payoutsEnabled: boolean(),
    detailsSubmitted: boolean(),
    requirements: computed({ requirements: json<Partial<AccountRequirements>>() }, (row) =>
      completeRequirements(row.requirements),
    ),
    onboarding: computed(
      {
        chargesEnabled: boolean<boolean>(),
        payoutsEnabled: boolean<boolean>(),
        detailsSubmitted: boolean<boolean>(),
        requirements: json<Partial<AccountRequirements>>(),
        disconnectedAt: time<Date | null>(),
        metadata: json<AccountFacts['metadata']>(),
      },
      onboardingStatus,
    ),
    applicationFeePercent: decimal(),
    applicationFeeFixed: integer(),
    createdAt: time(),
    updatedAt: time(),
  },
  order: newestFirst('createdAt', 'id'),
  filters: {
    // For those whom row-level security does not hold to one mode.
    isOfThisMode: {
      sql: (of, value) => `${of('livemode')} = (current_setting('${livemodeSetting}')::boolean = ${value}::boolean)`,
      bind: (value) => value,
    },
  },
});
