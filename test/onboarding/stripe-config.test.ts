import { readFeeRule } from '../../src/features/onboarding/fee-rule.js';
import {
  onboardingStatus,
  StripeConfig,
  type AccountFacts,
} from '../../src/features/onboarding/stripe-config.entity.js';
import { type AccountReport } from '../../src/stripe/reports.js';

const nothingDue = { currentlyDue: [], pastDue: [], pendingVerification: [], disabledReason: null };
const fresh: AccountFacts = {
  chargesEnabled: false,
  payoutsEnabled: false,
  detailsSubmitted: false,
  requirements: { ...nothingDue, currentlyDue: ['email'], pastDue: ['email'], disabledReason: 'requirements.past_due' },
  disconnectedAt: null,
  metadata: {},
};
const filledIn = { ...fresh, detailsSubmitted: true, requirements: nothingDue };
const linked = { linkedAt: '2026-11-23T10:00:00Z' };

test.each<[string, AccountFacts, string]>([
  ['as it was made', fresh, 'NOT_STARTED'],
  ['with a link given out', { ...fresh, metadata: linked }, 'IN_PROGRESS'],
  ['filled in', filledIn, 'IN_REVIEW'],
  [
    'being checked',
    {
      ...filledIn,
      requirements: {
        ...nothingDue,
        pendingVerification: ['person.id'],
        disabledReason: 'requirements.pending_verification',
      },
    },
    'IN_REVIEW',
  ],
  ['under review', { ...filledIn, requirements: { ...nothingDue, disabledReason: 'under_review' } }, 'IN_REVIEW'],
  [
    'with something left to give',
    { ...filledIn, requirements: { ...nothingDue, currentlyDue: ['iban'] } },
    'IN_PROGRESS',
  ],
  ['switched on', { ...filledIn, chargesEnabled: true, payoutsEnabled: true }, 'ACTIVE'],
  [
    'switched on, with something due soon',
    {
      ...filledIn,
      chargesEnabled: true,
      payoutsEnabled: true,
      requirements: { ...nothingDue, currentlyDue: ['iban'] },
    },
    'ACTIVE',
  ],
  ['charging, but not paid out', { ...filledIn, chargesEnabled: true }, 'RESTRICTED'],
  [
    'past a deadline',
    { ...filledIn, requirements: { ...nothingDue, currentlyDue: ['iban'], pastDue: ['iban'] } },
    'RESTRICTED',
  ],
  ['rejected', { ...filledIn, requirements: { ...nothingDue, disabledReason: 'rejected.fraud' } }, 'RESTRICTED'],
  ['gone', { ...filledIn, chargesEnabled: true, payoutsEnabled: true, disconnectedAt: new Date(0) }, 'DISCONNECTED'],
])('an account %s is told apart', (_, facts, status) => {
  expect(onboardingStatus(facts)).toBe(status);
});

const at = (second: number) => new Date(1_800_000_000_000 + second * 1_000);
const report = (chargesEnabled: boolean): AccountReport => ({
  id: 'acct_1',
  livemode: false,
  chargesEnabled,
  payoutsEnabled: chargesEnabled,
  detailsSubmitted: true,
  requirements: { ...nothingDue, eventuallyDue: [], errors: [], currentDeadline: null },
  country: 'US',
  defaultCurrency: 'usd',
  capabilities: {},
  metadata: {},
  created: at(0),
});

function aConfig(): StripeConfig {
  const config = new StripeConfig();
  config.connect(report(false));
  return config;
}

test('an older report changes nothing, and two of one second have to be fetched', () => {
  const config = aConfig();
  expect(config.applyStripe(report(true), at(5), false)).toBe('newer');
  expect(config.applyStripe(report(false), at(4), false)).toBe('stale');
  expect(config.applyStripe(report(false), at(5), false)).toBe('unclear');
  expect(config.onboarding).toBe('ACTIVE');
  expect(config.applyStripe(report(false), at(5), true)).toBe('newer');
  expect(config.onboarding).not.toBe('ACTIVE');
});

test('nothing that arrives late revives a disconnected account; a new one starts over and keeps the fee rule', () => {
  const config = aConfig();
  config.applicationFeePercent = '2.50';
  config.applyStripe(report(true), at(5), false);
  config.noteLink(at(5));
  config.disconnect(at(6));
  expect(config.applyStripe(report(true), at(7), true)).toBe('stale');
  expect(config).toMatchObject({ onboarding: 'DISCONNECTED', chargesEnabled: false, payoutsEnabled: false });
  config.connect({ ...report(false), id: 'acct_2', detailsSubmitted: false });
  expect(config).toMatchObject({ stripeAccountId: 'acct_2', onboarding: 'NOT_STARTED', applicationFeePercent: '2.50' });
  expect(config.applyStripe({ ...report(true), id: 'acct_2' }, at(1), false)).toBe('newer');
});

test.each([
  ['0', 0, '0.00'],
  ['2.5', 30, '2.50'],
  ['100', 99_999_999, '100.00'],
  ['007.05', 1, '7.05'],
])('a fee of %s percent and %d is written as %s', (percent, fixed, written) => {
  expect(readFeeRule({ percent, fixed })).toEqual({ percent: written, fixed });
});

test.each([
  ['-1', 0, 'input.percent'],
  ['100.01', 0, 'input.percent'],
  ['2.555', 0, 'input.percent'],
  ['', 0, 'input.percent'],
  ['1e2', 0, 'input.percent'],
  ['1000', 0, 'input.percent'],
  ['2.', 0, 'input.percent'],
  ['1', -1, 'input.fixed'],
  ['1', 100_000_000, 'input.fixed'],
  ['1', 0.5, 'input.fixed'],
  ['1', Number.NaN, 'input.fixed'],
])('a fee of %s percent and %d is refused', (percent, fixed, field) => {
  expect(() => readFeeRule({ percent, fixed })).toThrow(expect.objectContaining({ details: { field } }));
});
