import { aBilling, at, type Billing, day, january31, lines } from './support/billing.js';
import { failure } from './support/stripe.js';

let billing: Billing;
let price: Awaited<ReturnType<Billing['aPrice']>>;
beforeAll(async () => {
  billing = await aBilling();
  price = await billing.aPrice();
});
afterAll(async () => {
  await billing.stop();
});
afterEach(() => {
  expect(billing.violations()).toEqual([]);
});

describe('creation', () => {
  test('a subscription that is paid at once is active, and its events come in the documented order', async () => {
    const customer = await billing.aCustomer();
    billing.news();
    const subscription = await billing.stripe.subscriptions.create({
      customer: customer.id,
      items: [{ price: price.id, quantity: 2 }],
      expand: ['latest_invoice.payments', 'latest_invoice.confirmation_secret'],
    });
    expect(subscription).toMatchObject({ status: 'active', billing_mode: { type: 'flexible' } });
    expect(subscription.latest_invoice).toMatchObject({
      status: 'paid',
      billing_reason: 'subscription_create',
      number: `${customer.invoice_prefix}-0001`,
      amount_paid: 2000,
      payments: { data: [{ object: 'invoice_payment', status: 'paid', amount_paid: 2000 }] },
      confirmation_secret: { type: 'payment_intent' },
      parent: { subscription_details: { subscription: subscription.id } },
    });
    expect(billing.news()).toEqual([
      'invoice.created',
      'payment_intent.created',
      'invoice.finalized',
      'charge.succeeded',
      'payment_intent.succeeded',
      'invoice_payment.paid',
      'invoice.updated',
      'invoice.paid',
      'invoice.payment_succeeded',
      'customer.updated',
      'customer.subscription.created',
    ]);
  });

  test('default_incomplete waits for the browser, and the payment makes it active and remembers the method', async () => {
    const customer = await billing.aCustomer(null);
    const subscription = await billing.stripe.subscriptions.create({
      customer: customer.id,
      items: [{ price: price.id }],
      payment_behavior: 'default_incomplete',
      payment_settings: { save_default_payment_method: 'on_subscription' },
      expand: ['latest_invoice.confirmation_secret'],
    });
    expect(subscription.status).toBe('incomplete');
    const invoice = subscription.latest_invoice as { id: string; confirmation_secret: { client_secret: string } };
    const intent = await billing.intentOf(invoice.id);
    expect(intent).toMatchObject({
      status: 'requires_payment_method',
      setup_future_usage: 'off_session',
      client_secret: invoice.confirmation_secret.client_secret,
    });
    await billing.stripe.paymentIntents.confirm(intent.id, { payment_method: 'pm_card_visa' });
    const now = await billing.stripe.subscriptions.retrieve(subscription.id, { expand: ['default_payment_method'] });
    expect(now).toMatchObject({ status: 'active', default_payment_method: { card: { last4: '4242' } } });
  });

  test('a declined card leaves it incomplete, and error_if_incomplete leaves nothing at all', async () => {
    const customer = await billing.aCustomer('pm_card_chargeCustomerFail');
    const make = { customer: customer.id, items: [{ price: price.id }] };
    const subscription = await billing.stripe.subscriptions.create({ ...make, expand: ['latest_invoice'] });
    expect(subscription).toMatchObject({
      status: 'incomplete',
      latest_invoice: { status: 'open', attempted: true, attempt_count: 1, next_payment_attempt: null },
    });
    billing.news();
    const error = await failure(
      billing.stripe.subscriptions.create({ ...make, payment_behavior: 'error_if_incomplete' }),
    );
    expect(error).toMatchObject({ statusCode: 402, code: 'card_declined' });
    expect(billing.news()).toEqual([]);
    expect((await billing.stripe.subscriptions.list({ customer: customer.id, status: 'all' })).data).toHaveLength(1);
  });

  test('without any method a charge is refused before anything is made', async () => {
    const customer = await billing.aCustomer(null);
    const error = await failure(
      billing.stripe.subscriptions.create({ customer: customer.id, items: [{ price: price.id }] }),
    );
    expect(error).toMatchObject({ statusCode: 400, code: 'resource_missing' });
    expect((await billing.stripe.invoices.list({ customer: customer.id })).data).toEqual([]);
  });

  test('a card that asks for its owner leaves it incomplete until the owner has answered', async () => {
    const customer = await billing.aCustomer('pm_card_threeDSecure2Required');
    billing.news();
    const subscription = await billing.stripe.subscriptions.create({
      customer: customer.id,
      items: [{ price: price.id }],
      expand: ['latest_invoice'],
    });
    expect(subscription).toMatchObject({ status: 'incomplete', latest_invoice: { status: 'open', attempt_count: 0 } });
    expect(billing.news()).toContain('invoice.payment_action_required');
    const intent = await billing.intentOf(subscription.latest_invoice);
    expect(intent.status).toBe('requires_action');
    await billing.control(`/payment_intents/${intent.id}/authenticate`, { result: 'succeed' });
    expect(billing.news().slice(-3)).toEqual([
      'invoice.paid',
      'invoice.payment_succeeded',
      'customer.subscription.updated',
    ]);
    expect((await billing.stripe.subscriptions.retrieve(subscription.id)).status).toBe('active');
  });

  test('an unpaid first invoice expires after 23 hours, for good', async () => {
    const clock = await billing.aClock();
    const customer = await billing.aCustomer('pm_card_chargeCustomerFail', clock);
    const { id } = await billing.stripe.subscriptions.create({ customer: customer.id, items: [{ price: price.id }] });
    await billing.advance(clock, january31 + 22 * 3600);
    expect((await billing.stripe.subscriptions.retrieve(id)).status).toBe('incomplete');
    await billing.advance(clock, january31 + 24 * 3600);
    const expired = await billing.stripe.subscriptions.retrieve(id, { expand: ['latest_invoice'] });
    expect(expired).toMatchObject({ status: 'incomplete_expired', latest_invoice: { status: 'void' } });
    expect(await failure(billing.stripe.subscriptions.update(id, { items: [{ price: price.id }] }))).toMatchObject({
      code: 'invalid_canceled_subscription_fields',
    });
  });

  test('unknown parameters are refused, and so is what the sandbox gives no meaning to', async () => {
    const customer = await billing.aCustomer();
    const items = [{ price: price.id }];
    const unknown = { customer: customer.id, items, colour: 'red' } as never;
    expect(await failure(billing.stripe.subscriptions.create(unknown))).toMatchObject({ code: 'parameter_unknown' });
    const taxed = { customer: customer.id, items, default_tax_rates: ['txr_1'] };
    expect(await failure(billing.stripe.subscriptions.create(taxed))).toMatchObject({ param: 'default_tax_rates' });
  });
});

describe('periods', () => {
  test('a month that is too short does not shift the day of those that follow', async () => {
    const clock = await billing.aClock();
    const customer = await billing.aCustomer('pm_card_visa', clock);
    const { id } = await billing.stripe.subscriptions.create({ customer: customer.id, items: [{ price: price.id }] });
    const ends: string[] = [];
    for (const to of [at(2, 1), at(3, 1), at(4, 1), at(5, 1)]) {
      await billing.advance(clock, to);
      const subscription = await billing.stripe.subscriptions.retrieve(id);
      ends.push(day(subscription.items.data[0]!.current_period_end));
    }
    expect(ends).toEqual(['2026-02-28', '2026-03-31', '2026-04-30', '2026-05-31']);
  });

  test('a renewal is announced, stays a draft for an hour and is then collected', async () => {
    const clock = await billing.aClock();
    const customer = await billing.aCustomer('pm_card_visa', clock);
    const { id } = await billing.stripe.subscriptions.create({ customer: customer.id, items: [{ price: price.id }] });
    await billing.advance(clock, at(2, 20));
    billing.news();
    await billing.advance(clock, at(2, 22));
    expect(billing.news()).toContain('invoice.upcoming');
    const upcoming = billing.happened.filter(({ type }) => type === 'invoice.upcoming').at(-1)!;
    expect(upcoming.data.object).not.toHaveProperty('id');
    await billing.advance(clock, at(2, 28) + 60);
    expect(billing.news()).toEqual([
      'test_helpers.test_clock.advancing',
      'customer.subscription.updated',
      'invoice.created',
      'test_helpers.test_clock.ready',
    ]);
    const rolled = billing.happened.filter(({ type }) => type === 'customer.subscription.updated').at(-1)!;
    expect(Object.keys(rolled.data.previous_attributes!)).toEqual(['items', 'latest_invoice']);
    const subscription = await billing.stripe.subscriptions.retrieve(id, { expand: ['latest_invoice'] });
    expect(subscription.latest_invoice).toMatchObject({
      status: 'draft',
      billing_reason: 'subscription_cycle',
      number: null,
      auto_advance: true,
      next_payment_attempt: at(2, 28) + 3600,
    });
    await billing.advance(clock, at(2, 28) + 3700);
    const [invoice] = (await billing.stripe.invoices.list({ subscription: id })).data;
    expect(invoice).toMatchObject({ status: 'paid', number: `${customer.invoice_prefix}-0002`, amount_paid: 1000 });
  });

  test('a cycle can begin on a day of the month of one’s choosing, and the days until then are charged in proportion', async () => {
    const clock = await billing.aClock(at(1, 10));
    const customer = await billing.aCustomer('pm_card_visa', clock);
    const subscription = await billing.stripe.subscriptions.create({
      customer: customer.id,
      items: [{ price: price.id }],
      billing_cycle_anchor_config: { day_of_month: 20 },
      expand: ['latest_invoice'],
    });
    expect(day(subscription.billing_cycle_anchor)).toBe('2026-01-20');
    // Ten days of the thirty-one from 20 December.
    expect((subscription.latest_invoice as { total: number }).total).toBe(Math.round((1000 * 10) / 31));
  });
});

describe('trials', () => {
  test('a trial costs nothing, is announced three days before its end and then bills', async () => {
    const clock = await billing.aClock(at(1, 1));
    const customer = await billing.aCustomer('pm_card_visa', clock);
    const subscription = await billing.stripe.subscriptions.create({
      customer: customer.id,
      items: [{ price: price.id }],
      trial_period_days: 10,
      expand: ['latest_invoice'],
    });
    expect(subscription).toMatchObject({
      status: 'trialing',
      trial_end: at(1, 11),
      latest_invoice: { status: 'paid', total: 0 },
    });
    billing.news();
    await billing.advance(clock, at(1, 8, 13));
    expect(billing.news()).toContain('customer.subscription.trial_will_end');
    await billing.advance(clock, at(1, 11, 14));
    const after = await billing.stripe.subscriptions.retrieve(subscription.id, { expand: ['latest_invoice'] });
    expect(after).toMatchObject({ status: 'active', latest_invoice: { status: 'paid', total: 1000 } });
    expect(day(after.items.data[0]!.current_period_end)).toBe('2026-02-11');
  });

  test.each([
    ['pause', 'paused', 'customer.subscription.paused'],
    ['cancel', 'canceled', 'customer.subscription.deleted'],
    ['create_invoice', 'past_due', 'invoice.payment_failed'],
  ] as const)('a trial that ends without a method: %s → %s', async (behavior, status, event) => {
    const clock = await billing.aClock(at(1, 1));
    const customer = await billing.aCustomer(null, clock);
    const { id, pending_setup_intent: setup } = await billing.stripe.subscriptions.create({
      customer: customer.id,
      items: [{ price: price.id }],
      trial_period_days: 5,
      trial_settings: { end_behavior: { missing_payment_method: behavior } },
    });
    expect(setup).toMatch(/^seti_/);
    billing.news();
    await billing.advance(clock, at(1, 6, 14));
    expect(billing.news()).toContain(event);
    expect((await billing.stripe.subscriptions.retrieve(id)).status).toBe(status);
  });

  test('ending a trial now begins a paid period', async () => {
    const clock = await billing.aClock(at(1, 1));
    const customer = await billing.aCustomer('pm_card_visa', clock);
    const { id } = await billing.stripe.subscriptions.create({
      customer: customer.id,
      items: [{ price: price.id }],
      trial_period_days: 14,
    });
    await billing.advance(clock, at(1, 5));
    const ended = await billing.stripe.subscriptions.update(id, { trial_end: 'now', expand: ['latest_invoice'] });
    expect(ended).toMatchObject({
      status: 'active',
      billing_cycle_anchor: at(1, 5),
      latest_invoice: { status: 'paid', total: 1000, billing_reason: 'subscription_update' },
    });
  });
});

describe('failure', () => {
  test('a failed renewal is retried on a schedule and then ends the subscription', async () => {
    const clock = await billing.aClock(at(1, 1));
    const customer = await billing.aCustomer('pm_card_visa', clock);
    const { id } = await billing.stripe.subscriptions.create({ customer: customer.id, items: [{ price: price.id }] });
    const bad = await billing.stripe.paymentMethods.attach('pm_card_chargeCustomerFail', { customer: customer.id });
    await billing.stripe.customers.update(customer.id, { invoice_settings: { default_payment_method: bad.id } });
    await billing.advance(clock, at(2, 1, 14));
    const [first] = (await billing.stripe.invoices.list({ subscription: id })).data;
    expect(first).toMatchObject({ status: 'open', attempt_count: 1, next_payment_attempt: at(2, 1, 13) + 3 * 86_400 });
    expect((await billing.stripe.subscriptions.retrieve(id)).status).toBe('past_due');
    expect((await billing.stripe.customers.retrieve(customer.id)) as object).toMatchObject({ delinquent: true });
    await billing.advance(clock, at(2, 5));
    expect((await billing.stripe.invoices.retrieve(first!.id)).attempt_count).toBe(2);
    await billing.advance(clock, at(2, 20));
    expect(await billing.stripe.subscriptions.retrieve(id)).toMatchObject({
      status: 'canceled',
      cancellation_details: { reason: 'payment_failed' },
    });
    expect(await billing.stripe.invoices.retrieve(first!.id)).toMatchObject({
      status: 'open',
      attempt_count: 4,
      auto_advance: false,
    });
  });

  test('a payment in between makes it active again', async () => {
    const clock = await billing.aClock(at(1, 1));
    const customer = await billing.aCustomer('pm_card_visa', clock);
    const { id } = await billing.stripe.subscriptions.create({ customer: customer.id, items: [{ price: price.id }] });
    const bad = await billing.stripe.paymentMethods.attach('pm_card_chargeCustomerFail', { customer: customer.id });
    await billing.stripe.subscriptions.update(id, { default_payment_method: bad.id });
    await billing.advance(clock, at(2, 1, 14));
    const good = await billing.stripe.paymentMethods.attach('pm_card_mastercard', { customer: customer.id });
    const [open] = (await billing.stripe.invoices.list({ subscription: id, status: 'open' })).data;
    const failed = await failure(billing.stripe.invoices.pay(open!.id));
    expect(failed).toMatchObject({ statusCode: 402, code: 'card_declined' });
    expect((await billing.stripe.invoices.retrieve(open!.id)).attempt_count).toBe(1);
    const paid = await billing.stripe.invoices.pay(open!.id, { payment_method: good.id });
    expect(paid).toMatchObject({ status: 'paid', next_payment_attempt: null });
    expect((await billing.stripe.subscriptions.retrieve(id)).status).toBe('active');
  });

  test('what comes after the last retry is a setting', async () => {
    await billing.control('/billing', { after_retries: 'unpaid', retry_days: [1] });
    try {
      const clock = await billing.aClock(at(1, 1));
      const customer = await billing.aCustomer('pm_card_visa', clock);
      const { id } = await billing.stripe.subscriptions.create({ customer: customer.id, items: [{ price: price.id }] });
      const bad = await billing.stripe.paymentMethods.attach('pm_card_chargeCustomerFail', { customer: customer.id });
      await billing.stripe.subscriptions.update(id, { default_payment_method: bad.id });
      await billing.advance(clock, at(2, 10));
      expect((await billing.stripe.subscriptions.retrieve(id)).status).toBe('unpaid');
      await billing.advance(clock, at(3, 5));
      const [draft] = (await billing.stripe.invoices.list({ subscription: id })).data;
      expect(draft).toMatchObject({ status: 'draft', auto_advance: false });
    } finally {
      await billing.control('/billing', { after_retries: 'cancel', retry_days: [3, 5, 7] });
    }
  });
});

describe('changes', () => {
  async function running(quantity = 1) {
    const clock = await billing.aClock(at(4, 1));
    const customer = await billing.aCustomer('pm_card_visa', clock);
    const subscription = await billing.stripe.subscriptions.create({
      customer: customer.id,
      items: [{ price: price.id, quantity }],
    });
    await billing.advance(clock, at(4, 16));
    return { clock, customer, subscription, item: subscription.items.data[0]!.id };
  }

  test('more seats in the middle of a month wait as prorations for the next invoice', async () => {
    const { clock, subscription, item } = await running(2);
    billing.news();
    await billing.stripe.subscriptions.update(subscription.id, { items: [{ id: item, quantity: 3 }] });
    expect(billing.news()).toEqual(['invoiceitem.created', 'invoiceitem.created', 'customer.subscription.updated']);
    await billing.advance(clock, at(5, 1, 14));
    const [invoice] = (await billing.stripe.invoices.list({ subscription: subscription.id })).data;
    expect(lines(invoice!)).toEqual([
      ['Unused time on 2 × Care after 16 Apr 2026', -1000],
      ['Remaining time on 3 × Care after 16 Apr 2026', 1500],
      ['3 × Care (at $10.00 / month)', 3000],
    ]);
    expect(invoice!.lines.data[0]!.parent).toMatchObject({
      type: 'subscription_item_details',
      subscription_item_details: { proration: true, subscription: subscription.id, subscription_item: item },
    });
  });

  test('always_invoice bills the difference at once, none never', async () => {
    const { subscription, item } = await running();
    const changed = await billing.stripe.subscriptions.update(subscription.id, {
      items: [{ id: item, quantity: 2 }],
      proration_behavior: 'always_invoice',
      expand: ['latest_invoice'],
    });
    expect(changed.latest_invoice).toMatchObject({ status: 'paid', total: 500, billing_reason: 'subscription_update' });
    await billing.stripe.subscriptions.update(subscription.id, {
      items: [{ id: item, quantity: 5 }],
      proration_behavior: 'none',
    });
    expect(
      (await billing.stripe.invoiceItems.list({ pending: true, customer: subscription.customer as string })).data,
    ).toEqual([]);
  });

  test('prorations go by the second of the date that was asked for', async () => {
    const { subscription, item } = await running();
    const date = at(4, 10) + 1;
    await billing.stripe.subscriptions.update(subscription.id, {
      items: [{ id: item, quantity: 2 }],
      proration_date: date,
    });
    const { data } = await billing.stripe.invoiceItems.list({
      pending: true,
      customer: subscription.customer as string,
    });
    const share = (at(5, 1) - date) / (at(5, 1) - at(4, 1));
    expect(data.map(({ amount }) => amount).sort((a, b) => a - b)).toEqual([
      -Math.round(1000 * share),
      Math.round(2000 * share),
    ]);
  });

  test('another interval begins a new period now and is charged now', async () => {
    const { subscription, item } = await running();
    const yearly = await billing.aPrice({ unit_amount: 10_000, recurring: { interval: 'year' } });
    const changed = await billing.stripe.subscriptions.update(subscription.id, {
      items: [{ id: item, price: yearly.id }],
      expand: ['latest_invoice'],
    });
    expect(day(changed.items.data[0]!.current_period_end)).toBe('2027-04-16');
    expect(changed.latest_invoice).toMatchObject({ status: 'paid', total: 9500 });
  });

  test('an update that waits for its payment changes nothing until it is paid', async () => {
    const { customer, subscription, item } = await running();
    const hard = await billing.stripe.paymentMethods.attach('pm_card_threeDSecure2Required', { customer: customer.id });
    await billing.stripe.subscriptions.update(subscription.id, { default_payment_method: hard.id });
    billing.news();
    const waiting = await billing.stripe.subscriptions.update(subscription.id, {
      items: [{ id: item, quantity: 4 }],
      payment_behavior: 'pending_if_incomplete',
      proration_behavior: 'always_invoice',
    });
    expect(waiting.items.data[0]!.quantity).toBe(1);
    expect(waiting).toMatchObject({ status: 'active', pending_update: { subscription_items: [{ quantity: 4 }] } });
    const intent = await billing.intentOf(waiting.latest_invoice);
    await billing.control(`/payment_intents/${intent.id}/authenticate`, { result: 'succeed' });
    const after = await billing.stripe.subscriptions.retrieve(subscription.id);
    expect(after).toMatchObject({ pending_update: null, items: { data: [{ quantity: 4 }] } });
    expect(billing.news()).toContain('customer.subscription.pending_update_applied');
  });

  test('a pending update that nobody pays is dropped after 23 hours, with its invoice', async () => {
    const { clock, customer, subscription, item } = await running();
    const bad = await billing.stripe.paymentMethods.attach('pm_card_chargeCustomerFail', { customer: customer.id });
    await billing.stripe.subscriptions.update(subscription.id, { default_payment_method: bad.id });
    const waiting = await billing.stripe.subscriptions.update(subscription.id, {
      items: [{ id: item, quantity: 4 }],
      payment_behavior: 'pending_if_incomplete',
      proration_behavior: 'always_invoice',
    });
    billing.news();
    await billing.advance(clock, at(4, 17, 14));
    expect(billing.news()).toContain('customer.subscription.pending_update_expired');
    expect(await billing.stripe.invoices.retrieve(waiting.latest_invoice as string)).toMatchObject({ status: 'void' });
    expect(await billing.stripe.subscriptions.retrieve(subscription.id)).toMatchObject({
      status: 'active',
      pending_update: null,
    });
  });

  test('a preview shows the prorations and keeps nothing', async () => {
    const { customer, subscription, item } = await running();
    const preview = await billing.stripe.invoices.createPreview({
      customer: customer.id,
      subscription: subscription.id,
      subscription_details: { items: [{ id: item, quantity: 3 }], proration_behavior: 'create_prorations' },
    });
    expect(preview).toMatchObject({ status: 'draft', billing_reason: 'upcoming', total: 4000 });
    expect(lines(preview).map(([, amount]) => amount)).toEqual([-500, 1500, 3000]);
    expect(preview.id).toMatch(/^upcoming_in_/);
    expect((await billing.stripe.invoiceItems.list({ customer: customer.id })).data).toEqual([]);
    expect((await billing.stripe.subscriptions.retrieve(subscription.id)).items.data[0]!.quantity).toBe(1);
    const first = await billing.stripe.invoices.createPreview({
      customer: customer.id,
      subscription_details: { items: [{ price: price.id, quantity: 7 }] },
    });
    expect(first.total).toBe(7000);
    const now = await billing.stripe.invoices.createPreview({
      subscription: subscription.id,
      subscription_details: { cancel_now: true },
    });
    expect(now.total).toBe(-500);
  });

  test('subscription items are changed, added and removed on their own', async () => {
    const { subscription, item } = await running();
    const other = await billing.aPrice({ unit_amount: 300 });
    const added = await billing.stripe.subscriptionItems.create({ subscription: subscription.id, price: other.id });
    expect((await billing.stripe.subscriptionItems.update(added.id, { quantity: 4 })).quantity).toBe(4);
    expect((await billing.stripe.subscriptionItems.list({ subscription: subscription.id })).data).toHaveLength(2);
    await billing.stripe.subscriptionItems.del(item);
    const after = await billing.stripe.subscriptions.retrieve(subscription.id);
    expect(after.items.data.map(({ id }) => id)).toEqual([added.id]);
    expect(await failure(billing.stripe.subscriptionItems.del(added.id))).toMatchObject({ statusCode: 400 });
  });
});

describe('the end', () => {
  async function running() {
    const clock = await billing.aClock(at(4, 1));
    const customer = await billing.aCustomer('pm_card_visa', clock);
    const { id } = await billing.stripe.subscriptions.create({ customer: customer.id, items: [{ price: price.id }] });
    await billing.advance(clock, at(4, 16));
    return { clock, customer, id };
  }

  test('canceled now, prorated and invoiced, the rest goes to the customer’s balance', async () => {
    const { customer, id } = await running();
    billing.news();
    const ended = await billing.stripe.subscriptions.cancel(id, { prorate: true, invoice_now: true });
    expect(ended).toMatchObject({ status: 'canceled', cancellation_details: { reason: 'cancellation_requested' } });
    expect(billing.news().at(-1)).toBe('customer.subscription.deleted');
    expect((await billing.stripe.customers.retrieve(customer.id)) as object).toMatchObject({ balance: -500 });
    expect(await failure(billing.stripe.subscriptions.cancel(id))).toMatchObject({ code: 'resource_missing' });
  });

  test('at the end of the period it ends, unless that is taken back', async () => {
    const { clock, id } = await running();
    const ending = await billing.stripe.subscriptions.update(id, { cancel_at_period_end: true });
    expect(ending).toMatchObject({
      status: 'active',
      cancel_at: at(5, 1),
      cancel_at_period_end: true,
      canceled_at: at(4, 16),
    });
    const back = await billing.stripe.subscriptions.update(id, { cancel_at_period_end: false });
    expect(back).toMatchObject({ cancel_at: null, cancel_at_period_end: false, canceled_at: null });
    await billing.stripe.subscriptions.update(id, { cancel_at_period_end: true });
    billing.news();
    await billing.advance(clock, at(5, 1, 14));
    expect(billing.news()).toContain('customer.subscription.deleted');
    expect(await billing.stripe.subscriptions.retrieve(id)).toMatchObject({ status: 'canceled', ended_at: at(5, 1) });
    expect((await billing.stripe.invoices.list({ subscription: id })).data).toHaveLength(1);
  });

  test('an end within the period is credited, and the credit is taken back with it', async () => {
    const { clock, customer, id } = await running();
    const ending = await billing.stripe.subscriptions.update(id, { cancel_at: at(4, 21) });
    expect(ending.items.data[0]!.current_period_end).toBe(at(4, 21));
    const pending = () => billing.stripe.invoiceItems.list({ customer: customer.id, pending: true });
    expect((await pending()).data.map(({ amount }) => amount)).toEqual([-333]);
    await billing.stripe.subscriptions.update(id, { cancel_at: '' });
    expect((await pending()).data.map(({ amount }) => amount)).toEqual([333, -333]);
    await billing.stripe.subscriptions.update(id, { cancel_at: at(4, 21) });
    await billing.advance(clock, at(4, 22));
    expect((await billing.stripe.subscriptions.retrieve(id)).status).toBe('canceled');
  });

  test('deleting the customer ends what runs', async () => {
    const { customer, id } = await running();
    billing.news();
    await billing.stripe.customers.del(customer.id);
    expect(billing.news()).toEqual(expect.arrayContaining(['customer.subscription.deleted', 'customer.deleted']));
    expect((await billing.stripe.subscriptions.retrieve(id)).status).toBe('canceled');
  });
});

describe('pauses', () => {
  async function running() {
    const clock = await billing.aClock(at(4, 1));
    const customer = await billing.aCustomer('pm_card_visa', clock);
    const { id } = await billing.stripe.subscriptions.create({ customer: customer.id, items: [{ price: price.id }] });
    await billing.advance(clock, at(4, 16));
    return { clock, customer, id };
  }

  test.each([
    ['void', 'void'],
    ['keep_as_draft', 'draft'],
    ['mark_uncollectible', 'uncollectible'],
  ] as const)('paused collection (%s) leaves the status alone and the invoice %s', async (behavior, status) => {
    const { clock, id } = await running();
    await billing.stripe.subscriptions.update(id, { pause_collection: { behavior, resumes_at: at(5, 15) } });
    await billing.advance(clock, at(5, 3));
    const subscription = await billing.stripe.subscriptions.retrieve(id, { expand: ['latest_invoice'] });
    expect(subscription).toMatchObject({ status: 'active', latest_invoice: { status } });
    await billing.advance(clock, at(5, 16));
    expect((await billing.stripe.subscriptions.retrieve(id)).pause_collection).toBeNull();
  });

  test('a paused subscription bills nothing; resumed, it begins a new period', async () => {
    const { clock, id } = await running();
    billing.news();
    const paused = await billing.stripe.subscriptions.pause(id);
    expect(paused).toMatchObject({
      status: 'paused',
      status_details: { paused: { subscription: { type: 'pause_requested' } } },
    });
    expect(billing.news()).toEqual([
      'invoiceitem.created',
      'customer.subscription.updated',
      'customer.subscription.paused',
    ]);
    await billing.advance(clock, at(5, 20));
    expect((await billing.stripe.invoices.list({ subscription: id })).data).toHaveLength(1);
    const resumed = await billing.stripe.subscriptions.resume(id, { expand: ['latest_invoice'] });
    // The unused half of April is credited.
    expect(resumed).toMatchObject({ status: 'active', latest_invoice: { status: 'paid', total: 500 } });
    expect(day(resumed.items.data[0]!.current_period_end)).toBe('2026-06-20');
    expect(billing.news()).toContain('customer.subscription.resumed');
  });

  test('a resumption that waits for its payment stays paused until then', async () => {
    const { customer, id } = await running();
    await billing.stripe.subscriptions.pause(id, { bill_for: { unused_time_from: { type: 'none' } } });
    const resumed = await billing.stripe.subscriptions.resume(id, { payment_behavior: 'resume_on_payment_success' });
    expect(resumed.status).toBe('paused');
    await billing.stripe.invoices.pay(resumed.latest_invoice as string);
    expect((await billing.stripe.subscriptions.retrieve(id)).status).toBe('active');
    expect(customer.id).toBe(resumed.customer);
  });
});

describe('invoices that are sent', () => {
  test('they are drafts first, then sent; late, the subscription is past due', async () => {
    const clock = await billing.aClock(at(4, 1));
    const customer = await billing.aCustomer(null, clock);
    const subscription = await billing.stripe.subscriptions.create({
      customer: customer.id,
      items: [{ price: price.id }],
      collection_method: 'send_invoice',
      days_until_due: 5,
    });
    expect(subscription.status).toBe('active');
    billing.news();
    await billing.advance(clock, at(4, 1, 14));
    expect(billing.news()).toEqual(expect.arrayContaining(['invoice.finalized', 'invoice.sent']));
    await billing.advance(clock, at(4, 8));
    expect((await billing.stripe.subscriptions.retrieve(subscription.id)).status).toBe('past_due');
    await billing.stripe.invoices.pay(subscription.latest_invoice as string, { paid_out_of_band: true });
    expect((await billing.stripe.subscriptions.retrieve(subscription.id)).status).toBe('active');
  });
});
