import fc from 'fast-check';
import { Payment } from '../../src/features/payments/payment.entity.js';
import { PaymentStatus } from '../../src/features/payments/payment-state.js';
import { type ChargeReport, type IntentReport } from '../../src/stripe/reports.js';

// Reports of one payment arrive in any order, several times over, and some within one second. A look at Stripe gives what is true then.

type Step =
  | { readonly kind: 'intent'; readonly at: number; readonly report: IntentReport }
  | { readonly kind: 'charge'; readonly at: number; readonly report: ChargeReport };

const seconds = (at: number) => new Date(Date.UTC(2026, 0, 1) + at * 1_000);

const intent = (status: IntentReport['status'], more: Partial<IntentReport> = {}): IntentReport => ({
  id: 'pi_1',
  livemode: false,
  status,
  amount: 10_000,
  amountReceived: status === 'succeeded' ? 10_000 : 0,
  amountCapturable: status === 'requires_capture' ? 10_000 : 0,
  currency: 'usd',
  applicationFee: 250,
  customerId: null,
  paymentMethodId: null,
  latestChargeId: null,
  charge: null,
  lastError: null,
  metadata: {},
  created: seconds(0),
  canceledAt: null,
  cancellationReason: null,
  ...more,
});

const charge = (at: number, more: Partial<ChargeReport> = {}): ChargeReport => ({
  id: 'ch_1',
  livemode: false,
  status: 'succeeded',
  amount: 10_000,
  amountCaptured: 10_000,
  amountRefunded: 0,
  currency: 'usd',
  captured: true,
  disputed: false,
  paymentIntentId: 'pi_1',
  customerId: null,
  paymentMethodId: null,
  methodType: 'card',
  receiptUrl: 'https://receipt.test/1',
  failure: null,
  applicationFeeId: null,
  balanceTransactionId: null,
  balance: null,
  metadata: {},
  created: seconds(at),
  ...more,
});

const declined = {
  code: 'card_declined',
  declineCode: 'insufficient_funds',
  message: 'Your card has insufficient funds.',
};
const booking = {
  balanceTransactionId: 'txn_1',
  balance: {
    id: 'txn_1',
    type: 'charge',
    currency: 'usd',
    amount: 10_000,
    stripeFee: 320,
    applicationFee: 250,
    net: 9_430,
    exchangeRate: null,
    sourceId: 'ch_1',
    created: seconds(0),
    availableOn: seconds(0),
  },
};

/** What happened to an intent, in truth; each step is what its event would report. */
const lives = fc
  .record({
    tries: fc.array(fc.constantFrom('declined', 'action', 'processing'), { maxLength: 4 }),
    end: fc.constantFrom('succeeded', 'canceled', 'open'),
    refunds: fc.array(fc.integer({ min: 1, max: 5_000 }), { maxLength: 2 }),
    pauses: fc.array(fc.integer({ min: 0, max: 2 }), { minLength: 24, maxLength: 24 }),
  })
  .map(({ tries, end, refunds, pauses }): Step[] => {
    const steps: Step[] = [];
    let at = 0;
    const later = () => (at += pauses[steps.length % pauses.length]!);
    const say = (report: IntentReport) => steps.push({ kind: 'intent', at: later(), report });
    // A try leaves its charge with the intent until another one has been made.
    let latestChargeId: IntentReport['latestChargeId'] = null;
    say(intent('requires_payment_method'));
    tries.forEach((what, i) => {
      if (what !== 'action') latestChargeId = `ch_failed_${i}`;
      const tried = { latestChargeId, paymentMethodId: `pm_${i}` } as const;
      if (what === 'declined') say(intent('requires_payment_method', { lastError: declined, ...tried }));
      if (what === 'action') say(intent('requires_action', tried));
      if (what === 'processing') say(intent('processing', tried));
    });
    if (end === 'canceled') say(intent('canceled', { latestChargeId, canceledAt: seconds(at + 1) }));
    if (end !== 'succeeded') return steps;
    say(intent('succeeded', { latestChargeId: 'ch_1', paymentMethodId: 'pm_paid' }));
    const made = at;
    steps.push(
      { kind: 'charge', at, report: charge(made) },
      { kind: 'charge', at: later(), report: charge(made, booking) },
    );
    let amountRefunded = 0;
    for (const amount of refunds) {
      amountRefunded += amount;
      steps.push({ kind: 'charge', at: later(), report: charge(made, { ...booking, amountRefunded }) });
    }
    return steps;
  });

function aPayment(): Payment {
  return Object.assign(new Payment(), { amountMinor: 10_000, currency: 'usd', stripeAccountId: 'acct_1' });
}

/** Applies a report as the worker does: what cannot be ordered is read from Stripe, where the last step is what is true. */
function deliver(payment: Payment, step: Step, truth: readonly Step[]): void {
  const asOf = seconds(step.at);
  if (step.kind === 'intent' && payment.applyIntent(step.report, asOf, false) === 'unclear')
    payment.applyIntent(truth.findLast(({ kind }) => kind === 'intent')!.report as IntentReport, asOf, true);
  if (step.kind === 'charge' && payment.applyCharge(step.report, asOf, false) === 'unclear')
    payment.applyCharge(truth.findLast(({ kind }) => kind === 'charge')!.report as ChargeReport, asOf, true);
}

function visible(payment: Payment) {
  const { status, amountReceived, amountRefunded, refundState, failure, receiptUrl, stripeChargeId } = payment;
  const { succeededAt, canceledAt, stripeFee, applicationFee, net, stripePaymentMethodId } = payment;
  return {
    ...{ status, amountReceived, amountRefunded, refundState, failure, receiptUrl, stripeChargeId },
    ...{ succeededAt, canceledAt, stripeFee, applicationFee, net, stripePaymentMethodId },
  };
}

const shuffled = lives.chain((truth) =>
  fc.record({
    truth: fc.constant(truth),
    order: fc
      .array(fc.nat({ max: truth.length - 1 }), { maxLength: truth.length })
      .chain((again) => fc.shuffledSubarray([...truth.keys(), ...again], { minLength: truth.length + again.length })),
  }),
);

test('any order of the reports, with repetitions, ends in what is true at Stripe', () => {
  fc.assert(
    fc.property(shuffled, ({ truth, order }) => {
      const [inOrder, inDisorder] = [aPayment(), aPayment()];
      for (const step of truth) deliver(inOrder, step, truth);
      for (const i of order) deliver(inDisorder, truth[i]!, truth);
      expect(visible(inDisorder)).toEqual(visible(inOrder));
    }),
    { numRuns: Number(process.env.FC_RUNS ?? 1_000) },
  );
});

test('a final state is never left, whatever is reported after it', () => {
  fc.assert(
    fc.property(shuffled, ({ truth, order }) => {
      const payment = aPayment();
      let final: PaymentStatus | null = null;
      for (const i of order) {
        deliver(payment, truth[i]!, truth);
        if (final) expect(payment.status).toBe(final);
        if (payment.isFinal) final = payment.status;
      }
    }),
    { numRuns: 500 },
  );
});

test('an answer of our own that is slower than its webhook changes nothing', () => {
  const payment = aPayment();
  payment.applyIntent(
    intent('requires_payment_method', { lastError: declined, latestChargeId: 'ch_failed_0' }),
    seconds(5),
    false,
  );
  payment.applyIntent(intent('processing', { latestChargeId: 'ch_failed_0' }), seconds(0), false);
  expect(payment.status).toBe(PaymentStatus.FAILED);
});

test('a payment that was given up before Stripe had it is final', () => {
  const payment = aPayment();
  payment.giveUp({ code: 'stripe_unavailable', message: 'Stripe never carried this out.' });
  expect(payment.status).toBe(PaymentStatus.CANCELED);
  expect(payment.applyIntent(intent('requires_action'), seconds(1), false)).toBe('stale');
});
