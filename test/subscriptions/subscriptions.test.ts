import { randomUUID } from 'node:crypto';
import { startApp, type TestApp } from '../support/harness.js';
import { aBillingTenant, type BillingTenant, createMutation, day, type Facts } from './support.js';

let app: TestApp;
let tenant: BillingTenant;

beforeAll(async () => {
  app = await startApp();
  tenant = await aBillingTenant(app, { application_fee_percent: '2.50', application_fee_fixed: 0 });
});
afterAll(() => app.stop());

const key = () => ({ idempotencyKey: randomUUID() });

const subscriptionQuery = `query ($id: UUID!) { subscription(id: $id) {
  status quantity unitAmount { amount } currentPeriodStart currentPeriodEnd nextChargeAt trialEnd cancelAt cancelAtPeriodEnd canceledAt endedAt
  collectionPaused pauseBehavior resumesAt defaultPaymentMethod { id } payments(first: 10) { nodes { status amount { amount } invoice { id } } } } }`;
const read = async (id: string): Promise<Facts> => (await tenant.ask(subscriptionQuery, { id })).subscription;

const invoicesOf = (id: string) =>
  tenant.rows('select * from invoices where tenant_id = $1 and subscription_id = $2 order by created_at, id', id);

const change = (name: string, fields = 'id') =>
  `mutation ($input: ${name[0]!.toUpperCase()}${name.slice(1)}Input!) { ${name}(input: $input) { subscription { ${fields} } } }`;

describe('createSubscription', () => {
  test('bills a contract: charged at once with a saved method, linked both ways, one invoice with its payment', async () => {
    const { id, contractId, stripeId } = await tenant.aSubscription({ contract: { quantity: 3, unit_amount: 2_000 } });
    await tenant.settled();
    const { contract } = await tenant.ask(
      `query ($id: Int!) { contract(id: $id) { subscription { id status quantity
      defaultPaymentMethod { last4 } contract { id } } } }`,
      { id: contractId },
    );
    expect(contract.subscription).toEqual({
      id,
      status: 'ACTIVE',
      quantity: 3,
      defaultPaymentMethod: { last4: '4242' },
      contract: { id: contractId },
    });
    const { invoices } =
      await tenant.ask(`{ invoices(first: 100) { nodes { number status paymentStatus total { amount } amountDue { amount }
      amountPaid { amount } subscription { id } lines { nodes { description quantity amount { amount } proration periodEnd } }
      cycle { stripeInvoiceId billingReason tax { amount } }
      payments(first: 5) { nodes { status amount { amount } applicationFee { amount } subscription { id } customer { id } } } } } }`);
    const mine = (invoices.nodes as Facts[]).filter(({ subscription }) => subscription?.id === id);
    expect(mine).toHaveLength(1);
    expect(mine[0]).toMatchObject({
      number: expect.stringMatching(/^TEST-SUB-\d{6}$/),
      status: 'PAID',
      paymentStatus: 'PAID',
      total: { amount: 6_000 },
      amountDue: { amount: 0 },
      amountPaid: { amount: 6_000 },
      lines: { nodes: [{ quantity: 3, amount: { amount: 6_000 }, proration: false }] },
      cycle: { billingReason: 'subscription_create', tax: { amount: 0 } },
    });
    expect(mine[0]!.payments.nodes).toMatchObject([
      { status: 'SUCCEEDED', amount: { amount: 6_000 }, applicationFee: { amount: 150 }, subscription: { id } },
    ]);
    const atStripe = await tenant.stripe('GET', `/subscriptions/${stripeId}`);
    expect(atStripe).toMatchObject({ application_fee_percent: 2.5, metadata: { psa_contract_id: String(contractId) } });
    expect((await read(id)).nextChargeAt).toBe(
      new Date(atStripe.items.data[0].current_period_end * 1_000).toISOString(),
    );
  });

  test('without a method the first payment waits for its payer, and what was paid with is kept', async () => {
    const customer = await tenant.aCustomer(null);
    const contractId = await tenant.aContract(customer.id);
    const input = { ...key(), contractId };
    const { createSubscription: asked } = await tenant.ask(createMutation, { input });
    expect(asked).toMatchObject({ confirms: 'PAYMENT', subscription: { status: 'INCOMPLETE', nextChargeAt: null } });
    expect(asked.clientSecret).toMatch(/^pi_\w+_secret_/);
    // The same request, sent once more, gives the same subscription and the same secret.
    const { createSubscription: again } = await tenant.ask(createMutation, { input });
    expect(again).toEqual(asked);
    await tenant.settled();
    const [waiting] = await invoicesOf(asked.subscription.id);
    expect(waiting).toMatchObject({ status: 'OPEN', payment_status: 'UNPAID' });
    const linked = await tenant.rows(
      'select status from payments where tenant_id = $1 and invoice_id = $2',
      waiting!.id,
    );
    expect(linked).toEqual([{ status: 'PENDING' }]);
    // Its invoice cannot be paid a second time beside Stripe.
    expect(
      await tenant.refusal(
        'mutation ($input: CreatePaymentIntentInput!) { createPaymentIntent(input: $input) { payment { id } } }',
        { input: { ...key(), invoiceId: waiting!.id } },
      ),
    ).toBe('INVALID_STATE');

    await app.sandbox.api('POST', `/v1/payment_intents/${asked.clientSecret.split('_secret_')[0]}/confirm`, {
      account: tenant.accountId,
      asBrowser: true,
      form: { client_secret: asked.clientSecret, payment_method: 'pm_card_visa' },
    });
    await tenant.settled();
    expect(await read(asked.subscription.id)).toMatchObject({
      status: 'ACTIVE',
      defaultPaymentMethod: { id: expect.anything() },
    });
    expect(await invoicesOf(asked.subscription.id)).toMatchObject([{ status: 'PAID', payment_status: 'PAID' }]);
  });

  test('a card that wants its owner leaves the subscription incomplete, with what the browser confirms', async () => {
    const customer = await tenant.aCustomer('pm_card_threeDSecure2Required');
    const contractId = await tenant.aContract(customer.id);
    await tenant.settled();
    const [method] = await tenant.rows(
      'select id from payment_methods where tenant_id = $1 and customer_id = $2',
      customer.id,
    );
    const { createSubscription: asked } = await tenant.ask(createMutation, {
      input: { ...key(), contractId, paymentMethodId: method!.id },
    });
    expect(asked).toMatchObject({ confirms: 'PAYMENT', subscription: { status: 'INCOMPLETE' } });
    await tenant.settled();
    const [payment] = await tenant.rows(
      'select status, invoice_id from payments where tenant_id = $1 and subscription_id = $2',
      asked.subscription.id,
    );
    expect(payment).toMatchObject({ status: 'ACTION_REQUIRED', invoice_id: expect.any(Number) });
  });

  test('a contract that begins later is charged then, and its end ends it', async () => {
    const [startsAt, endsAt] = [10, 100].map((days) => new Date((tenant.now() + days * day) * 1_000));
    const { id } = await tenant.aSubscription({ contract: { starts_at: startsAt, ends_at: endsAt } });
    const seconds = (date: Date) => new Date(Math.floor(date.getTime() / 1_000) * 1_000).toISOString();
    expect(await read(id)).toMatchObject({
      status: 'TRIALING',
      trialEnd: seconds(startsAt!),
      nextChargeAt: seconds(startsAt!),
      cancelAt: seconds(endsAt!),
      cancelAtPeriodEnd: false,
    });
  });

  test('a trial is charged when it is over', async () => {
    const { id } = await tenant.aSubscription({ input: { trialDays: 5 } });
    expect(await read(id)).toMatchObject({ status: 'TRIALING' });
    await tenant.advance(6 * day);
    expect(await read(id)).toMatchObject({ status: 'ACTIVE' });
    const invoices = await invoicesOf(id);
    expect(invoices.map(({ total, status }) => [Number(total), status])).toEqual([
      [0, 'PAID'],
      [5_000, 'PAID'],
    ]);
  });

  test('a contract has one live subscription, also when two are asked for at once', async () => {
    const customer = await tenant.aCustomer();
    const contractId = await tenant.aContract(customer.id);
    const answers = await Promise.all(
      [1, 2, 3].map(() => app.graphql(createMutation, { input: { ...key(), contractId } }, tenant.token)),
    );
    expect(answers.filter(({ errors }) => !errors)).toHaveLength(1);
    for (const { errors } of answers.filter(({ errors }) => errors))
      expect(['CONFLICT', 'INVALID_STATE']).toContain(errors![0]!.extensions.code);
    const { data } = await tenant.stripe('GET', '/subscriptions', { customer: customer.stripeId, status: 'all' });
    expect(data).toHaveLength(1);
    expect(await tenant.refusal(createMutation, { input: { ...key(), contractId } })).toBe('INVALID_STATE');
  });

  test.each([
    ['no such contract', { contractId: 999_999 }, {}, 'NOT_FOUND'],
    ['a contract that is not active', {}, { status: 'PAUSED' }, 'INVALID_STATE'],
    ['a contract that has ended', {}, { ends_at: '2026-02-01T00:00:00Z' }, 'INVALID_STATE'],
    ['no quantity', { quantity: 0 }, {}, 'BAD_USER_INPUT'],
    ['a trial of ten years', { trialDays: 3_650 }, {}, 'BAD_USER_INPUT'],
    ['a method of nobody', { paymentMethodId: randomUUID() }, {}, 'NOT_FOUND'],
  ])('refuses %s, and leaves nothing behind', async (_, input, contract, code) => {
    const customer = await tenant.aCustomer(null);
    const contractId = await tenant.aContract(customer.id, contract);
    const wanted = { input: { ...key(), contractId, ...input } };
    expect(await tenant.refusal(createMutation, wanted)).toBe(code);
    expect(
      await tenant.rows(
        'select from commands where tenant_id = $1 and idempotency_key = $2',
        wanted.input.idempotencyKey,
      ),
    ).toEqual([]);
    expect((await tenant.stripe('GET', '/subscriptions', { customer: customer.stripeId })).data).toEqual([]);
  });

  test('the product and the price of a contract are made once', async () => {
    const { id, contractId } = await tenant.aSubscription();
    await tenant.ask(change('cancelSubscription'), { input: { id, atPeriodEnd: false } });
    const [method] = await tenant.rows(
      `select m.id from payment_methods m join contracts c on c.customer_id = m.customer_id where m.tenant_id = $1 and c.id = $2`,
      contractId,
    );
    await tenant.ask(createMutation, { input: { ...key(), contractId, paymentMethodId: method!.id } });
    const prices = await tenant.rows(
      'select * from stripe_prices where tenant_id = $1 and contract_id = $2',
      contractId,
    );
    expect(prices).toHaveLength(1);
  });
});

/** A tenant whose clock moves nobody else's subscriptions. */
const aTenantOfItsOwn = async () => {
  tenant = await aBillingTenant(app, { application_fee_percent: '2.50', application_fee_fixed: 0 });
};

describe('changes', () => {
  beforeEach(aTenantOfItsOwn);

  test('what a preview shows is what the next invoice bills, to the cent', async () => {
    const { id } = await tenant.aSubscription({ contract: { quantity: 2, unit_amount: 3_100 } });
    await tenant.advance(10 * day);
    const input = { id, quantity: 5, unitAmount: { amount: 4_000, currency: 'usd' }, ...key() };
    const { subscriptionPreview: preview } = await tenant.ask(
      `query ($input: UpdateSubscriptionInput!) { subscriptionPreview(input: $input) {
        lines { description amount { amount } proration periodStart periodEnd } subtotal { amount } tax { amount } total { amount }
        amountDue { amount currency } prorationTotal { amount } prorationDate chargeAt } }`,
      { input },
    );
    expect(preview.lines.filter(({ proration }: Facts) => proration)).toHaveLength(2);
    expect(await read(id)).toMatchObject({ quantity: 2, unitAmount: { amount: 3_100 } });
    const { prorationDate } = preview;
    const { updateSubscription } = await tenant.ask(change('updateSubscription', 'quantity unitAmount { amount }'), {
      input: { ...input, prorationDate },
    });
    expect(updateSubscription.subscription).toEqual({ quantity: 5, unitAmount: { amount: 4_000 } });
    await tenant.advance(25 * day);
    const invoices = await invoicesOf(id);
    expect(Number(invoices.at(-1)!.total)).toBe(preview.total.amount);
    const lines = await tenant.rows(
      'select amount from invoice_lines where tenant_id = $1 and invoice_id = $2 order by position',
      invoices.at(-1)!.id,
    );
    expect(lines.map(({ amount }) => Number(amount))).toEqual(preview.lines.map(({ amount }: Facts) => amount.amount));
  });

  test('the same key changes once, another change under it is refused', async () => {
    const { id } = await tenant.aSubscription();
    const input = { id, quantity: 4, ...key() };
    await tenant.ask(change('updateSubscription'), { input });
    await tenant.ask(change('updateSubscription'), { input });
    expect(await tenant.refusal(change('updateSubscription'), { input: { ...input, quantity: 5 } })).toBe(
      'IDEMPOTENCY_CONFLICT',
    );
    expect((await read(id)).quantity).toBe(4);
  });

  test('refuses what cannot be changed so', async () => {
    const { id } = await tenant.aSubscription();
    const refusalOf = (fields: object) =>
      tenant.refusal(change('updateSubscription'), { input: { id, ...fields, ...key() } });
    expect(await refusalOf({})).toBe('BAD_USER_INPUT');
    expect(await refusalOf({ unitAmount: { amount: 100, currency: 'eur' } })).toBe('BAD_USER_INPUT');
    expect(await refusalOf({ unitAmount: { amount: 100_000_000, currency: 'usd' } })).toBe('AMOUNT_TOO_LARGE');
    expect(await refusalOf({ quantity: 0 })).toBe('BAD_USER_INPUT');
  });

  test('an end with the period can be taken back; what then holds is the end of the contract', async () => {
    const endsAt = new Date((tenant.now() + 200 * day) * 1_000);
    const { id } = await tenant.aSubscription({ contract: { ends_at: endsAt } });
    const before = await read(id);
    const fields = 'cancelAtPeriodEnd cancelAt nextChargeAt status';
    const ending = await tenant.ask(change('cancelSubscription', fields), { input: { id } });
    expect(ending.cancelSubscription.subscription).toMatchObject({
      cancelAtPeriodEnd: true,
      nextChargeAt: null,
      status: 'ACTIVE',
    });
    const undone = await tenant.ask(change('cancelSubscription', fields), { input: { id, undo: true } });
    const { cancelAt, nextChargeAt } = before;
    expect(undone.cancelSubscription.subscription).toMatchObject({ cancelAtPeriodEnd: false, cancelAt, nextChargeAt });
    expect(await tenant.refusal(change('cancelSubscription'), { input: { id, undo: true } })).toBe('INVALID_STATE');
  });

  test('an end with the period comes with the period, and nothing is charged any more', async () => {
    const { id } = await tenant.aSubscription();
    await tenant.ask(change('cancelSubscription'), { input: { id } });
    await tenant.advance(32 * day);
    expect(await read(id)).toMatchObject({ status: 'CANCELED', endedAt: expect.anything(), nextChargeAt: null });
    expect(await invoicesOf(id)).toHaveLength(1);
    expect(await tenant.refusal(change('cancelSubscription'), { input: { id } })).toBe('INVALID_STATE');
  });

  test('a contract that ends is billed no longer', async () => {
    const endsAt = new Date((tenant.now() + 45 * day) * 1_000);
    const { id } = await tenant.aSubscription({ contract: { ends_at: endsAt } });
    await tenant.advance(32 * day);
    expect(await read(id)).toMatchObject({ status: 'ACTIVE', nextChargeAt: null });
    await tenant.advance(20 * day);
    expect(await read(id)).toMatchObject({ status: 'CANCELED' });
    expect(await invoicesOf(id)).toHaveLength(2);
  });

  test('a pause leaves the status, and its invoices are withdrawn; then it is collected again', async () => {
    const { id } = await tenant.aSubscription();
    const fields = 'status collectionPaused pauseBehavior nextChargeAt';
    const paused = await tenant.ask(change('pauseSubscription', fields), { input: { id } });
    expect(paused.pauseSubscription.subscription).toEqual({
      status: 'ACTIVE',
      collectionPaused: true,
      pauseBehavior: 'VOID',
      nextChargeAt: null,
    });
    await tenant.advance(32 * day);
    expect((await invoicesOf(id)).map(({ status }) => status)).toEqual(['PAID', 'VOID']);
    const resumed = await tenant.ask(change('resumeSubscription', fields), { input: { id } });
    expect(resumed.resumeSubscription.subscription).toMatchObject({
      collectionPaused: false,
      pauseBehavior: null,
      nextChargeAt: expect.anything(),
    });
    await tenant.advance(31 * day);
    expect((await invoicesOf(id)).map(({ status }) => status)).toEqual(['PAID', 'VOID', 'PAID']);
    expect(await tenant.refusal(change('resumeSubscription'), { input: { id } })).toBe('INVALID_STATE');
  });

  test('a subscription that is stopped makes no periods, and begins a new one when it is resumed', async () => {
    const { id } = await tenant.aSubscription();
    const stopped = await tenant.ask(change('pauseSubscription', 'status nextChargeAt'), {
      input: { id, behavior: 'STOP' },
    });
    expect(stopped.pauseSubscription.subscription).toEqual({ status: 'PAUSED', nextChargeAt: null });
    await tenant.advance(40 * day);
    expect(await invoicesOf(id)).toHaveLength(1);
    const resumed = await tenant.ask(change('resumeSubscription', 'status'), { input: { id, ...key() } });
    expect(resumed.resumeSubscription.subscription.status).toBe('ACTIVE');
    await tenant.settled();
    expect(await invoicesOf(id)).toMatchObject([{ status: 'PAID' }, { status: 'PAID' }]);
  });
});

describe('what Stripe reports', () => {
  beforeEach(aTenantOfItsOwn);

  test('a renewal that fails is past due and tried again; a better card settles it', async () => {
    const { id, customer } = await tenant.aSubscription({ method: 'pm_card_visa' });
    const bad = await tenant.stripe<{ id: string }>('POST', '/payment_methods/pm_card_chargeCustomerFail/attach', {
      customer: customer.stripeId,
    });
    const [{ stripe_subscription_id: stripeId }] = (await tenant.rows(
      'select stripe_subscription_id from stripe_subscriptions where tenant_id = $1 and id = $2',
      id,
    )) as [Facts];
    await tenant.stripe('POST', `/subscriptions/${stripeId}`, { default_payment_method: bad.id });
    await tenant.advance(32 * day);
    expect(await read(id)).toMatchObject({ status: 'PAST_DUE' });
    const [, failed] = await invoicesOf(id);
    expect(failed).toMatchObject({ status: 'OPEN', payment_status: 'FAILED' });
    const [cycle] = await tenant.rows(
      'select attempts, next_attempt_at from stripe_invoices where tenant_id = $1 and invoice_id = $2',
      failed!.id,
    );
    expect(cycle).toMatchObject({ attempts: 1, next_attempt_at: expect.any(Date) });
    const good = await tenant.stripe<{ id: string }>('POST', '/payment_methods/pm_card_visa/attach', {
      customer: customer.stripeId,
    });
    await tenant.stripe('POST', `/subscriptions/${stripeId}`, { default_payment_method: good.id });
    await tenant.advance(4 * day);
    expect(await read(id)).toMatchObject({ status: 'ACTIVE' });
    expect((await invoicesOf(id))[1]).toMatchObject({ status: 'PAID', payment_status: 'PAID' });
  });

  test('a subscription that was made in the dashboard appears, with its invoices; one of an unknown customer does not', async () => {
    const customer = await tenant.aCustomer();
    const stranger = await tenant.stripe<{ id: string }>('POST', '/customers', {});
    const price = await tenant.stripe<{ id: string }>('POST', '/prices', {
      currency: 'usd',
      unit_amount: '1500',
      'recurring[interval]': 'month',
      'recurring[interval_count]': '6',
      'product_data[name]': 'Backup',
    });
    const form = { customer: customer.stripeId, 'items[0][price]': price.id, 'items[0][quantity]': '2' };
    const made = await tenant.stripe<{ id: string }>('POST', '/subscriptions', form);
    await tenant.stripe('POST', '/subscriptions', {
      ...form,
      customer: stranger.id,
      payment_behavior: 'default_incomplete',
    });
    await tenant.settled();
    const [row] = await tenant.rows(
      'select * from stripe_subscriptions where tenant_id = $1 and stripe_subscription_id = $2',
      made.id,
    );
    expect(row).toMatchObject({
      customer_id: customer.id,
      contract_id: null,
      quantity: 2,
      billing_interval: 'QUARTER',
      interval_count: 2,
    });
    expect(await invoicesOf(row!.id)).toMatchObject([{ status: 'PAID', total: '3000' }]);
    const [strangers] = await tenant.rows(
      `select count(*)::int as n from stripe_webhook_events where stripe_account_id = $2 and $1::uuid is not null and status = 'DEAD'`,
      tenant.accountId,
    );
    expect(strangers).toEqual({ n: 0 });
  });

  test('an invoice that is voided or written off at Stripe is so here', async () => {
    const customer = await tenant.aCustomer(null);
    const ids = await Promise.all(
      [0, 1].map(async () => {
        const contractId = await tenant.aContract(customer.id);
        const { createSubscription } = await tenant.ask(createMutation, { input: { ...key(), contractId } });
        return createSubscription.subscription.id as string;
      }),
    );
    await tenant.settled();
    const [voided, writtenOff] = await Promise.all(
      ids.map(async (id) => {
        const [row] = await tenant.rows(
          'select stripe_invoice_id from stripe_invoices where tenant_id = $1 and subscription_id = $2',
          id,
        );
        return row!.stripe_invoice_id as string;
      }),
    );
    await tenant.stripe('POST', `/invoices/${voided}/void`, {});
    await tenant.stripe('POST', `/invoices/${writtenOff}/mark_uncollectible`, {});
    await tenant.settled();
    expect(await invoicesOf(ids[0]!)).toMatchObject([{ status: 'VOID' }]);
    expect(await invoicesOf(ids[1]!)).toMatchObject([{ status: 'UNCOLLECTIBLE' }]);
  });
});
