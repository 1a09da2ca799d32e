import { aBilling, at, type Billing, lines } from './support/billing.js';
import { aStripe, failure } from './support/stripe.js';

let billing: Billing;
beforeAll(async () => {
  billing = await aBilling();
});
afterAll(async () => {
  await billing.stop();
});
afterEach(() => {
  expect(billing.violations()).toEqual([]);
});

/** A draft over some dollars. */
async function aDraft(amount = 5000, method: string | null = 'pm_card_visa', params: object = {}) {
  const customer = await billing.aCustomer(method);
  const invoice = await billing.stripe.invoices.create({ customer: customer.id, ...params });
  await billing.stripe.invoiceItems.create({
    customer: customer.id,
    invoice: invoice.id,
    amount,
    currency: 'usd',
    description: 'Work',
  });
  return { customer, invoice };
}

describe('an invoice', () => {
  test('goes from draft to open to paid, and says so in the documented order', async () => {
    const { customer, invoice } = await aDraft();
    expect(invoice).toMatchObject({ status: 'draft', billing_reason: 'manual', number: null, auto_advance: false });
    billing.news();
    const open = await billing.stripe.invoices.finalizeInvoice(invoice.id);
    expect(open).toMatchObject({
      status: 'open',
      number: `${customer.invoice_prefix}-0001`,
      amount_due: 5000,
      amount_remaining: 5000,
      starting_balance: 0,
      ending_balance: 0,
    });
    expect(open.hosted_invoice_url).toContain(billing.url);
    const paid = await billing.stripe.invoices.pay(invoice.id, { expand: ['payments'] });
    expect(paid).toMatchObject({ status: 'paid', amount_paid: 5000, amount_remaining: 0, attempt_count: 1 });
    expect(paid.payments?.data).toMatchObject([{ status: 'paid', is_default: true, amount_paid: 5000 }]);
    expect(billing.news()).toEqual([
      'payment_intent.created',
      'invoice.finalized',
      'charge.succeeded',
      'payment_intent.succeeded',
      'invoice_payment.paid',
      'invoice.updated',
      'invoice.paid',
      'invoice.payment_succeeded',
    ]);
    expect(await failure(billing.stripe.invoices.pay(invoice.id))).toMatchObject({ statusCode: 400 });
  });

  test('is found by the intent that pays it', async () => {
    const { invoice } = await aDraft();
    await billing.stripe.invoices.pay(invoice.id);
    const intent = await billing.intentOf(invoice.id);
    const { data } = await billing.stripe.invoicePayments.list({
      payment: { type: 'payment_intent', payment_intent: intent.id },
    });
    expect(data).toMatchObject([{ invoice: invoice.id, payment: { payment_intent: intent.id } }]);
    expect((await billing.stripe.invoicePayments.retrieve(data[0]!.id)).id).toBe(data[0]!.id);
  });

  test('is voided only while it is open, and its intent with it', async () => {
    const { invoice } = await aDraft();
    expect(await failure(billing.stripe.invoices.voidInvoice(invoice.id))).toMatchObject({
      code: 'invoice_not_editable',
    });
    await billing.stripe.invoices.finalizeInvoice(invoice.id);
    const intent = await billing.intentOf(invoice.id);
    expect(await billing.stripe.invoices.voidInvoice(invoice.id)).toMatchObject({ status: 'void' });
    expect(await billing.stripe.paymentIntents.retrieve(intent.id)).toMatchObject({
      status: 'canceled',
      cancellation_reason: 'void_invoice',
    });
    expect(await failure(billing.stripe.invoices.pay(invoice.id))).toMatchObject({ statusCode: 400 });
  });

  test('given up as uncollectible can still be paid', async () => {
    const { invoice } = await aDraft();
    await billing.stripe.invoices.finalizeInvoice(invoice.id);
    expect(await billing.stripe.invoices.markUncollectible(invoice.id)).toMatchObject({ status: 'uncollectible' });
    expect(await billing.stripe.invoices.pay(invoice.id)).toMatchObject({ status: 'paid' });
  });

  test('can be deleted as a draft, and its items wait again', async () => {
    const { customer, invoice } = await aDraft();
    await billing.stripe.invoices.del(invoice.id);
    expect(await failure(billing.stripe.invoices.retrieve(invoice.id))).toMatchObject({ code: 'resource_missing' });
    expect((await billing.stripe.invoiceItems.list({ customer: customer.id, pending: true })).data).toHaveLength(1);
  });

  test('without anything to pay is paid when it is finalized', async () => {
    const customer = await billing.aCustomer(null);
    const { id } = await billing.stripe.invoices.create({ customer: customer.id });
    expect(await billing.stripe.invoices.finalizeInvoice(id)).toMatchObject({ status: 'paid', amount_due: 0 });
  });

  test('a declined card leaves it open, with the 402 for the caller and the events for everybody', async () => {
    const { invoice } = await aDraft(5000, 'pm_card_chargeCustomerFail');
    billing.news();
    expect(await failure(billing.stripe.invoices.pay(invoice.id))).toMatchObject({
      statusCode: 402,
      code: 'card_declined',
    });
    expect(await billing.stripe.invoices.retrieve(invoice.id)).toMatchObject({ status: 'open', attempt_count: 1 });
    expect(billing.news()).toEqual(
      expect.arrayContaining(['charge.failed', 'payment_intent.payment_failed', 'invoice.payment_failed']),
    );
  });

  test('pending items come along when they are asked for, with quantity and price', async () => {
    const customer = await billing.aCustomer();
    const price = await billing.stripe.prices.create({
      currency: 'usd',
      unit_amount: 250,
      product_data: { name: 'Hour' },
    });
    await billing.stripe.invoiceItems.create({ customer: customer.id, pricing: { price: price.id }, quantity: 4 });
    await billing.stripe.invoiceItems.create({
      customer: customer.id,
      amount: -300,
      currency: 'usd',
      description: 'Thanks',
    });
    const invoice = await billing.stripe.invoices.create({
      customer: customer.id,
      pending_invoice_items_behavior: 'include',
    });
    expect(lines(invoice)).toEqual([
      ['Hour', 1000],
      ['Thanks', -300],
    ]);
    expect(invoice).toMatchObject({ total: 700, subtotal: 700 });
    expect(invoice.lines.data[0]).toMatchObject({
      quantity: 4,
      pricing: { price_details: { price: price.id } },
    });
    expect(String(invoice.lines.data[0]!.pricing!.unit_amount_decimal)).toBe('250');
  });

  test('the customer’s balance is used first, and too little to charge waits on it', async () => {
    const { customer, invoice } = await aDraft();
    await billing.stripe.customers.update(customer.id, { balance: -2000 });
    const open = await billing.stripe.invoices.finalizeInvoice(invoice.id);
    expect(open).toMatchObject({ starting_balance: -2000, ending_balance: 0, amount_due: 3000 });
    const small = await aDraft(20);
    expect(await billing.stripe.invoices.finalizeInvoice(small.invoice.id)).toMatchObject({
      status: 'paid',
      amount_due: 0,
      ending_balance: 20,
    });
    expect((await billing.stripe.customers.retrieve(small.customer.id)) as object).toMatchObject({ balance: 20 });
  });

  test('several payments make it paid, and what is too much becomes a credit', async () => {
    const { customer, invoice } = await aDraft();
    await billing.stripe.invoices.finalizeInvoice(invoice.id);
    const pay = async (amount: number) => {
      const intent = await billing.stripe.paymentIntents.create({
        amount,
        currency: 'usd',
        customer: customer.id,
        payment_method: 'pm_card_visa',
        confirm: true,
        automatic_payment_methods: { enabled: true, allow_redirects: 'never' },
      });
      return billing.stripe.invoices.attachPayment(invoice.id, { payment_intent: intent.id });
    };
    expect(await pay(2000)).toMatchObject({ status: 'open', amount_paid: 2000, amount_remaining: 3000 });
    expect((await billing.intentOf(invoice.id)).id).toMatch(/^pi_/);
    expect(await pay(3500)).toMatchObject({ status: 'paid', amount_paid: 5500, amount_overpaid: 500 });
    expect((await billing.stripe.customers.retrieve(customer.id)) as object).toMatchObject({ balance: -500 });
  });

  test('by itself it is finalized after an hour and collected, and retried when that fails', async () => {
    const clock = await billing.aClock(at(3, 1));
    const customer = await billing.aCustomer('pm_card_chargeCustomerFail', clock);
    const invoice = await billing.stripe.invoices.create({ customer: customer.id, auto_advance: true });
    await billing.stripe.invoiceItems.create({
      customer: customer.id,
      invoice: invoice.id,
      amount: 900,
      currency: 'usd',
    });
    expect(invoice.automatically_finalizes_at).toBe(at(3, 1) + 3600);
    await billing.advance(clock, at(3, 1, 14));
    expect(await billing.stripe.invoices.retrieve(invoice.id)).toMatchObject({
      status: 'open',
      attempt_count: 1,
      next_payment_attempt: at(3, 4, 13),
    });
  });

  test('without a method nothing is charged, and the schedule goes on until there is one', async () => {
    const clock = await billing.aClock(at(3, 1));
    const customer = await billing.aCustomer(null, clock);
    const invoice = await billing.stripe.invoices.create({ customer: customer.id });
    await billing.stripe.invoiceItems.create({
      customer: customer.id,
      invoice: invoice.id,
      amount: 900,
      currency: 'usd',
    });
    await billing.stripe.invoices.finalizeInvoice(invoice.id, { auto_advance: true });
    await billing.advance(clock, at(3, 2));
    const charges = async () => (await billing.stripe.charges.list({ customer: customer.id })).data.length;
    expect(await charges()).toBe(0);
    expect((await billing.stripe.invoices.retrieve(invoice.id)).attempt_count).toBe(1);
    const good = await billing.stripe.paymentMethods.attach('pm_card_visa', { customer: customer.id });
    await billing.stripe.customers.update(customer.id, { invoice_settings: { default_payment_method: good.id } });
    await billing.advance(clock, at(3, 5));
    expect(await billing.stripe.invoices.retrieve(invoice.id)).toMatchObject({ status: 'paid', attempt_count: 2 });
    expect(await charges()).toBe(1);
  });

  test('lines of a draft are added and removed, not those of a finalized one', async () => {
    const { invoice } = await aDraft();
    const more = await billing.stripe.invoices.addLines(invoice.id, { lines: [{ amount: 700, description: 'More' }] });
    expect(more.total).toBe(5700);
    const less = await billing.stripe.invoices.removeLines(invoice.id, {
      lines: [{ id: more.lines.data[0]!.id, behavior: 'delete' }],
    });
    expect(less.total).toBe(700);
    await billing.stripe.invoices.finalizeInvoice(invoice.id);
    expect(
      await failure(billing.stripe.invoices.addLines(invoice.id, { lines: [{ amount: 1, description: 'Late' }] })),
    ).toMatchObject({ code: 'invoice_not_editable' });
  });
});

describe('on a connected account', () => {
  test('the platform takes its percentage of a subscription, and the amount set on a draft instead', async () => {
    const account = await billing.connected();
    const clock = await billing.aClock(at(1, 1), account);
    const customer = await billing.aCustomer('pm_card_visa', clock, account);
    const price = await billing.aPrice({}, account);
    const subscription = await billing.stripe.subscriptions.create(
      { customer: customer.id, items: [{ price: price.id }], application_fee_percent: 2.5 },
      account,
    );
    expect(subscription.application).toMatch(/^ca_/);
    await billing.advance(clock, at(2, 1) + 60, account);
    const [draft] = (await billing.stripe.invoices.list({ subscription: subscription.id, status: 'draft' }, account))
      .data;
    await billing.stripe.invoices.update(draft!.id, { application_fee_amount: 70 }, account);
    await billing.advance(clock, at(2, 2), account);
    const fees = await billing.stripe.applicationFees.list();
    expect(fees.data.map(({ amount, account: of }) => [amount, of])).toEqual([
      [70, account.stripeAccount],
      [25, account.stripeAccount],
    ]);
    expect(
      await failure(billing.stripe.invoices.update(draft!.id, { application_fee_amount: 80 }, account)),
    ).toMatchObject({ code: 'invoice_not_editable' });
    const created = billing.happened.filter(({ type }) => type === 'application_fee.created');
    expect(created.every(({ account: of }) => of === undefined)).toBe(true);
  });

  test('nothing of it is seen from another account, and the platform takes no share of its own', async () => {
    const [mine, other] = [await billing.connected(), await billing.connected()];
    const customer = await billing.aCustomer('pm_card_visa', null, mine);
    const price = await billing.aPrice({}, mine);
    const subscription = await billing.stripe.subscriptions.create(
      { customer: customer.id, items: [{ price: price.id }] },
      mine,
    );
    for (const work of [
      billing.stripe.subscriptions.retrieve(subscription.id, {}, other),
      billing.stripe.subscriptions.retrieve(subscription.id),
      billing.stripe.invoices.retrieve(subscription.latest_invoice as string, {}, other),
      billing.stripe.prices.retrieve(price.id, {}, other),
      billing.stripe.subscriptionItems.retrieve(subscription.items.data[0]!.id, {}, other),
    ])
      expect(await failure(work)).toMatchObject({ statusCode: 404, code: 'resource_missing' });
    const own = await billing.aPrice();
    const payer = await billing.aCustomer();
    const error = await failure(
      billing.stripe.subscriptions.create({
        customer: payer.id,
        items: [{ price: own.id }],
        application_fee_percent: 1,
      }),
    );
    expect(error).toMatchObject({ statusCode: 400, param: 'application_fee_percent' });
  });

  test('once the account is disconnected, failed payments are not retried', async () => {
    const apart = await aStripe();
    try {
      const { stripe } = apart;
      const account = await apart.connected();
      const customer = await stripe.customers.create(
        { payment_method: 'pm_card_visa', invoice_settings: { default_payment_method: 'pm_card_visa' } },
        account,
      );
      const price = await stripe.prices.create(
        { currency: 'usd', unit_amount: 1000, recurring: { interval: 'month' }, product_data: { name: 'Care' } },
        account,
      );
      await stripe.subscriptions.create({ customer: customer.id, items: [{ price: price.id }] }, account);
      const bad = await stripe.paymentMethods.attach('pm_card_chargeCustomerFail', { customer: customer.id }, account);
      await stripe.customers.update(customer.id, { invoice_settings: { default_payment_method: bad.id } }, account);
      await apart.control(`/accounts/${account.stripeAccount}/deauthorize`, {});
      await apart.control('/advance', { seconds: 50 * 86_400 });
      const own = apart.sandbox.context(account.stripeAccount);
      const unpaid = [...own.table('invoice').oldestFirst()].filter(({ status }) => status === 'open');
      expect(unpaid.map((invoice) => [invoice.attempt_count, invoice.next_payment_attempt])).toEqual([[1, null]]);
    } finally {
      await apart.stop();
    }
  });
});

describe('a bank debit', () => {
  test('is on its way for days, and the subscription runs meanwhile', async () => {
    const clock = await billing.aClock(at(1, 1));
    const customer = await billing.aCustomer('pm_usBankAccount_success', clock);
    const price = await billing.aPrice();
    const subscription = await billing.stripe.subscriptions.create({
      customer: customer.id,
      items: [{ price: price.id }],
      expand: ['latest_invoice'],
    });
    expect(subscription).toMatchObject({ status: 'active', latest_invoice: { status: 'open' } });
    expect((await billing.intentOf(subscription.latest_invoice)).status).toBe('processing');
    await billing.advance(clock, at(1, 8));
    const after = await billing.stripe.subscriptions.retrieve(subscription.id, { expand: ['latest_invoice'] });
    expect(after).toMatchObject({ status: 'active', latest_invoice: { status: 'paid' } });
  });

  test('that fails in the end makes it past due', async () => {
    const clock = await billing.aClock(at(1, 1));
    const customer = await billing.aCustomer('pm_usBankAccount_insufficientFunds', clock);
    const price = await billing.aPrice();
    const { id } = await billing.stripe.subscriptions.create({ customer: customer.id, items: [{ price: price.id }] });
    await billing.advance(clock, at(1, 6));
    expect((await billing.stripe.subscriptions.retrieve(id)).status).toBe('past_due');
  });
});

describe('products and prices', () => {
  test('a product with its default price, and what may not be done to either', async () => {
    const product = await billing.stripe.products.create({
      name: 'Gold',
      default_price_data: { currency: 'eur', unit_amount: 1250, recurring: { interval: 'year' } },
      expand: ['default_price'],
    });
    const price = product.default_price as { id: string };
    expect(price).toMatchObject({ unit_amount: 1250, type: 'recurring' });
    expect(await failure(billing.stripe.products.del(product.id))).toMatchObject({ statusCode: 400 });
    expect(await failure(billing.stripe.prices.update(price.id, { unit_amount: 1 } as never))).toMatchObject({
      code: 'parameter_unknown',
    });
    expect(await failure(billing.stripe.prices.create({ currency: 'usd', product: product.id }))).toMatchObject({
      code: 'parameter_missing',
    });
    expect((await billing.stripe.prices.update(price.id, { active: false, nickname: 'Old' })).active).toBe(false);
  });

  test('graduated and volume tiers are billed as they say', async () => {
    const customer = await billing.aCustomer();
    const tiers = [
      { up_to: 5, unit_amount: 1000 },
      { up_to: 'inf' as const, unit_amount: 500 },
    ];
    for (const [mode, total] of [
      ['graduated', 7500],
      ['volume', 5000],
    ] as const) {
      const price = await billing.aPrice({ billing_scheme: 'tiered', tiers_mode: mode, tiers, unit_amount: undefined });
      const preview = await billing.stripe.invoices.createPreview({
        customer: customer.id,
        subscription_details: { items: [{ price: price.id, quantity: 10 }] },
      });
      expect(preview.total).toBe(total);
    }
  });

  test('a lookup key names one price at a time', async () => {
    const first = await billing.aPrice({ lookup_key: 'gold' });
    expect(await failure(billing.aPrice({ lookup_key: 'gold' }))).toMatchObject({ code: 'resource_already_exists' });
    const second = await billing.aPrice({ lookup_key: 'gold', transfer_lookup_key: true });
    expect((await billing.stripe.prices.list({ lookup_keys: ['gold'] })).data.map(({ id }) => id)).toEqual([second.id]);
    expect((await billing.stripe.prices.retrieve(first.id)).lookup_key).toBeNull();
  });
});
