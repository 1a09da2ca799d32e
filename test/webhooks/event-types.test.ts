import { readFile } from 'node:fs/promises';
import { eventTypes } from '../../src/webhooks/event-types.js';
import { HandlerIndex } from '../../src/webhooks/handler-index.js';
import { handlers } from '../../src/webhooks/handlers.js';

/** What this server promises to take notice of, family by family. */
const promised = `
  payment_intent.succeeded|payment_failed|processing|canceled|requires_action
  customer.subscription.created|updated|deleted|trial_will_end|paused|resumed
  invoice.created|finalized|paid|payment_succeeded|payment_failed|payment_action_required|voided|upcoming
  account.updated account.application.deauthorized capability.updated
  charge.succeeded|failed|updated|refunded
  refund.created|updated|failed
  charge.dispute.created|updated|closed|funds_withdrawn|funds_reinstated
  payment_method.attached|detached|updated|automatically_updated
  setup_intent.succeeded|setup_failed
  payout.created|updated|paid|failed|canceled|reconciliation_completed
  application_fee.created|refunded
  checkout.session.completed
  v2.core.account.created|updated|closed
  v2.core.account[requirements].updated v2.core.account[future_requirements].updated
  v2.core.account[identity].updated v2.core.account[defaults].updated
  v2.core.account[configuration.merchant].updated|capability_status_updated`
  .trim()
  .split(/\s+/)
  .flatMap((family) => {
    const cut = family.lastIndexOf('.') + 1;
    return family
      .slice(cut)
      .split('|')
      .map((last) => family.slice(0, cut) + last);
  });

test('every promised type is in the table', () => {
  expect(promised.filter((type) => !(type in eventTypes))).toEqual([]);
  expect(promised).toHaveLength(58);
});

test('each type is either for a feature or ignored for a reason, and what is ignored has no handler', () => {
  for (const [type, { feature, ignored }] of Object.entries(eventTypes)) {
    expect([type, feature === undefined, ignored === undefined]).toEqual([type, !feature, !!feature]);
    if (ignored) expect([type, handlers.has(type)]).toEqual([type, false]);
  }
});

test('Stripe has the types that the table names', async () => {
  const types = await readFile(new URL('../../node_modules/stripe/cjs/resources/Events.d.ts', import.meta.url), 'utf8');
  const snapshots = promised.filter((type) => !type.startsWith('v2.'));
  expect(snapshots.filter((type) => !types.includes(`'${type}'`))).toEqual([]);
});

test('a type waits for its handler until there is one', () => {
  expect(new HandlerIndex().awaits('payout.paid')).toBe(true);
  expect(new HandlerIndex({ 'payout.paid': { apply: () => Promise.resolve('done') } }).awaits('payout.paid')).toBe(
    false,
  );
  expect(new HandlerIndex().awaits('checkout.session.completed')).toBe(false);
  expect(new HandlerIndex().awaits('topup.created')).toBe(false);
});
