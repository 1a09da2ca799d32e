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
import { AccountRequirements, onboardingStatus, StripeConfig } from './stripe-config.entity.js';

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
    requirements: computed({ requirements: json<object>() }, (row) => complete(row.requirements)),
    onboarding: computed(
      {
        chargesEnabled: boolean<boolean>(),
        payoutsEnabled: boolean<boolean>(),
        detailsSubmitted: boolean<boolean>(),
        requirements: json<object>(),
        disconnectedAt: time<Date | null>(),
        metadata: json<Record<string, unknown>>(),
      },
      (row) => onboardingStatus({ ...row, requirements: complete(row.requirements) }),
    ),
    applicationFeePercent: decimal(),
    applicationFeeFixed: integer(),
    createdAt: time(),
    updatedAt: time(),
  },
  order: newestFirst('createdAt', 'id'),
});

/** A line that was written by hand may lack what an account never reported. */
function complete(requirements: object): AccountRequirements {
  return { ...new AccountRequirements(), ...requirements };
}
