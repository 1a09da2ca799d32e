import { type TestApp, startApp } from '../support/harness.js';
import { aCustomer, anInvoice } from '../support/factories.js';
import { until } from '../support/until.js';

let app: TestApp;

beforeAll(async () => {
  app = await startApp();
});

afterAll(() => app.stop());

const create = `mutation ($input: CreatePaymentIntentInput!) {
  createPaymentIntent(input: $input) { clientSecret publishableKey stripeAccountId payment { id status amount { amount currency formatted } } }
}`;
const read = `query ($id: UUID!) {
  payment(id: $id) {
    status receiptUrl succeededAt refundState disputeState failure { code declineCode message }
    applicationFee { amount formatted } stripeFee { amount formatted } net { amount formatted }
    invoice { id status paymentStatus amountDue { amount } amountPaid { amount } paidAt } customer { id } paymentMethod { id last4 }
  }
}`;

async function aTenantWithInvoice(invoice = {}) {
  const tenant = await app.aConnectedTenant({ application_fee_percent: '2.50' });
  const token = await app.token(tenant, 'billing');
  const { id: customerId } = await aCustomer(app.db, { tenantId: tenant.id });
  const { id: invoiceId } = await anInvoice(app.db, { tenantId: tenant.id, customerId, ...invoice });
  return { tenant, token, customerId, invoiceId };
}

/** What Stripe.js does in the payer's browser. */
function confirmInBrowser(accountId: string, clientSecret: string, paymentMethod: string) {
  const [intent] = clientSecret.split('_secret_');
  return app.sandbox.api('POST', `/v1/payment_intents/${intent}/confirm`, {
    account: accountId,
    asBrowser: true,
    form: { client_secret: clientSecret, payment_method: paymentMethod },
  });
}

test('an invoice of 100.00 is paid in the browser: 3.20 go to Stripe, 2.50 to the platform, 94.30 stay', async () => {
  const { token, invoiceId, tenant, customerId } = await aTenantWithInvoice();
  const { createPaymentIntent: asked } = await app.ask(create, { input: { idempotencyKey: 'k1', invoiceId } }, token);
  expect(asked).toMatchObject({
    stripeAccountId: tenant.accountId,
    publishableKey: app.sandbox.publishableKey,
    payment: { status: 'PENDING', amount: { amount: 10_000, currency: 'usd', formatted: 'USD 100.00' } },
  });
  await confirmInBrowser(asked.stripeAccountId, asked.clientSecret, 'pm_card_visa');

  const payment = await until(async () => {
    const { payment } = await app.ask(read, { id: asked.payment.id }, token);
    return payment.net && payment;
  }, 'the fees are booked');
  expect(payment).toMatchObject({
    status: 'SUCCEEDED',
    failure: null,
    refundState: 'NONE',
    disputeState: 'NONE',
    stripeFee: { amount: 320, formatted: 'USD 3.20' },
    applicationFee: { amount: 250, formatted: 'USD 2.50' },
    net: { amount: 9_430, formatted: 'USD 94.30' },
    invoice: {
      id: invoiceId,
      status: 'PAID',
      paymentStatus: 'PAID',
      amountDue: { amount: 0 },
      amountPaid: { amount: 10_000 },
    },
    customer: { id: customerId },
  });
  expect(payment.receiptUrl).toMatch(/^http/);
  expect(payment.invoice.paidAt).toBe(payment.succeededAt);
  const { invoice } = await app.ask(
    `query ($id: Int!) { invoice(id: $id) { payments(first: 5) { nodes { id status } } } }`,
    { id: invoiceId },
    token,
  );
  expect(invoice.payments.nodes).toEqual([{ id: asked.payment.id, status: 'SUCCEEDED' }]);
});

test('a declined payer may try again with another card', async () => {
  const { token, invoiceId } = await aTenantWithInvoice();
  const { createPaymentIntent: asked } = await app.ask(create, { input: { idempotencyKey: 'k1', invoiceId } }, token);
  const { stripeAccountId, clientSecret, payment } = asked;
  await confirmInBrowser(stripeAccountId, clientSecret, 'pm_card_visa_chargeDeclinedInsufficientFunds').catch(
    () => undefined,
  );
  const failed = await until(async () => {
    const { payment: now } = await app.ask(read, { id: payment.id }, token);
    return now.status === 'FAILED' && now;
  }, 'the payment failed');
  expect(failed).toMatchObject({
    failure: { code: 'card_declined', declineCode: 'insufficient_funds' },
    invoice: { status: 'OPEN', paymentStatus: 'FAILED', amountDue: { amount: 10_000 } },
  });
  await confirmInBrowser(stripeAccountId, clientSecret, 'pm_card_visa');
  const paid = await until(async () => {
    const { payment: now } = await app.ask(read, { id: payment.id }, token);
    return now.net && now;
  }, 'the payment came in');
  expect(paid).toMatchObject({ status: 'SUCCEEDED', failure: null, invoice: { paymentStatus: 'PAID' } });
});

test('a payment that needs its payer waits for them', async () => {
  const { token, invoiceId } = await aTenantWithInvoice();
  const { createPaymentIntent: asked } = await app.ask(create, { input: { idempotencyKey: 'k1', invoiceId } }, token);
  await confirmInBrowser(asked.stripeAccountId, asked.clientSecret, 'pm_card_threeDSecure2Required');
  await until(async () => {
    const { payment } = await app.ask(read, { id: asked.payment.id }, token);
    return payment.status === 'ACTION_REQUIRED';
  }, 'the payment waits for its payer');
});

const attach = `mutation ($input: AttachPaymentMethodInput!) {
  attachPaymentMethod(input: $input) { paymentMethod { id type brand last4 expMonth expYear isDefault status customer { id } } }
}`;

test('a saved card is charged without the payer; a declined one is an error and a state', async () => {
  const { token, invoiceId, customerId } = await aTenantWithInvoice();
  const methodOf = async (stripePaymentMethodId: string, setAsDefault = false) =>
    (await app.ask(attach, { input: { customerId, stripePaymentMethodId, setAsDefault } }, token)).attachPaymentMethod
      .paymentMethod;
  const bad = await methodOf('pm_card_chargeCustomerFail');
  const input = { invoiceId, confirm: true, offSession: true };
  const refusal = await app.graphql(
    create,
    { input: { ...input, idempotencyKey: 'k1', paymentMethodId: bad.id } },
    token,
  );
  expect(refusal.errors).toMatchObject([
    {
      extensions: {
        code: 'CARD_DECLINED',
        declineCode: 'generic_decline',
        paymentId: expect.any(String),
        stripeRequestId: expect.any(String),
      },
    },
  ]);
  const id = refusal.errors![0]!.extensions.paymentId;
  expect(await app.ask(read, { id }, token)).toMatchObject({
    payment: { status: 'FAILED', failure: { code: 'card_declined' }, invoice: { paymentStatus: 'FAILED' } },
  });
  const again = await app.graphql(
    create,
    { input: { ...input, idempotencyKey: 'k1', paymentMethodId: bad.id } },
    token,
  );
  expect(again.errors).toEqual(refusal.errors);

  const good = await methodOf('pm_card_visa', true);
  expect(good).toMatchObject({
    type: 'CARD',
    brand: 'visa',
    last4: '4242',
    isDefault: true,
    status: 'ACTIVE',
    customer: { id: customerId },
  });
  const { createPaymentIntent: paid } = await app.ask(
    create,
    { input: { ...input, idempotencyKey: 'k2', paymentMethodId: good.id } },
    token,
  );
  expect(paid.payment).toMatchObject({ status: 'SUCCEEDED' });
  const payment = await until(async () => {
    const { payment: now } = await app.ask(read, { id: paid.payment.id }, token);
    return now.net && now;
  }, 'the fees are booked');
  expect(payment).toMatchObject({
    invoice: { status: 'PAID' },
    paymentMethod: { id: good.id, last4: '4242' },
    net: { amount: 9_430 },
  });
});

test('a card whose bank wants the payer there is not charged without them', async () => {
  const { token, invoiceId, customerId } = await aTenantWithInvoice();
  const stripePaymentMethodId = 'pm_card_authenticationRequired';
  const { attachPaymentMethod } = await app.ask(attach, { input: { customerId, stripePaymentMethodId } }, token);
  const input = { invoiceId, confirm: true, paymentMethodId: attachPaymentMethod.paymentMethod.id };
  const absent = await app.graphql(create, { input: { ...input, idempotencyKey: 'k1', offSession: true } }, token);
  expect(absent.errors).toMatchObject([{ extensions: { code: 'PAYMENT_ACTION_REQUIRED' } }]);
  const { payment } = await app.ask(read, { id: absent.errors![0]!.extensions.paymentId }, token);
  expect(payment).toMatchObject({ status: 'FAILED', failure: { code: 'authentication_required' } });
  const present = await app.ask(create, { input: { ...input, idempotencyKey: 'k2' } }, token);
  expect(present.createPaymentIntent).toMatchObject({
    clientSecret: expect.any(String),
    payment: { status: 'ACTION_REQUIRED' },
  });
});

test('money is held, and a part of it taken with the fee of that part', async () => {
  const { token, customerId } = await aTenantWithInvoice();
  const { attachPaymentMethod } = await app.ask(
    attach,
    { input: { customerId, stripePaymentMethodId: 'pm_card_visa' } },
    token,
  );
  const paymentMethodId = attachPaymentMethod.paymentMethod.id;
  const input = { customerId, amount: 20_000, currency: 'usd', paymentMethodId, confirm: true, captureLater: true };
  const { createPaymentIntent: held } = await app.ask(create, { input: { ...input, idempotencyKey: 'k1' } }, token);
  expect(held.payment.status).toBe('AUTHORIZED');
  const capture = `mutation ($input: CapturePaymentInput!) { capturePayment(input: $input) { payment { status } } }`;
  const variables = { input: { paymentId: held.payment.id, amount: 10_000, idempotencyKey: 'k2' } };
  expect(await app.ask(capture, variables, token)).toEqual({ capturePayment: { payment: { status: 'SUCCEEDED' } } });
  const payment = await until(async () => {
    const { payment: now } = await app.ask(read, { id: held.payment.id }, token);
    return now.net && now;
  }, 'the fees are booked');
  expect(payment).toMatchObject({
    applicationFee: { amount: 250 },
    stripeFee: { amount: 320 },
    net: { amount: 9_430 },
  });
  const twice = await app.graphql(capture, { input: { ...variables.input, idempotencyKey: 'k3' } }, token);
  expect(twice.errors).toMatchObject([{ extensions: { code: 'INVALID_STATE', field: 'input.paymentId' } }]);
});

test('a payment is given up, and then nothing can come of it', async () => {
  const { token, invoiceId } = await aTenantWithInvoice();
  const { createPaymentIntent: asked } = await app.ask(create, { input: { idempotencyKey: 'k1', invoiceId } }, token);
  const cancel = `mutation ($input: CancelPaymentInput!) { cancelPayment(input: $input) { payment { status } } }`;
  const input = { paymentId: asked.payment.id, reason: 'ABANDONED' };
  expect(await app.ask(cancel, { input }, token)).toEqual({ cancelPayment: { payment: { status: 'CANCELED' } } });
  const again = await app.graphql(cancel, { input }, token);
  expect(again.errors).toMatchObject([{ extensions: { code: 'INVALID_STATE', field: 'input.paymentId' } }]);
});

test('a payment made in the dashboard is seen here, too', async () => {
  const { tenant, token } = await aTenantWithInvoice();
  const form = {
    amount: '4200',
    currency: 'usd',
    confirm: 'true',
    payment_method: 'pm_card_visa',
    'automatic_payment_methods[enabled]': 'true',
    'automatic_payment_methods[allow_redirects]': 'never',
  };
  const { id } = await app.sandbox.api<{ id: string }>('POST', '/v1/payment_intents', {
    account: tenant.accountId,
    form,
  });
  const [payment, ...others] = await until(async () => {
    const { payments } = await app.ask(
      `{ payments { nodes { amount { amount } status stripePaymentIntentId net { amount } } } }`,
      {},
      token,
    );
    return payments.nodes[0]?.net && payments.nodes;
  }, 'the payment is here');
  expect(others).toEqual([]);
  expect(payment).toMatchObject({ amount: { amount: 4_200 }, status: 'SUCCEEDED', stripePaymentIntentId: id });
});

test('a method that the browser saved appears once, whoever reports it first', async () => {
  const { tenant, token, customerId } = await aTenantWithInvoice();
  const setup = `mutation ($input: CreateSetupIntentInput!) { createSetupIntent(input: $input) { clientSecret publishableKey stripeAccountId } }`;
  const { createSetupIntent: asked } = await app.ask(setup, { input: { customerId } }, token);
  const [intent] = asked.clientSecret.split('_secret_');
  await app.sandbox.api('POST', `/v1/setup_intents/${intent}/confirm`, {
    account: tenant.accountId,
    asBrowser: true,
    form: { client_secret: asked.clientSecret, payment_method: 'pm_card_mastercard' },
  });
  const list = `query ($customerId: Int!) { paymentMethods(customerId: $customerId) { id brand isDefault status stripePaymentMethodId } }`;
  const [method] = await until(async () => {
    const { paymentMethods } = await app.ask(list, { customerId }, token);
    return paymentMethods.length > 0 && paymentMethods;
  }, 'the method is here');
  expect(method).toMatchObject({ brand: 'mastercard', isDefault: false, status: 'ACTIVE' });

  const choose = `mutation ($input: SetDefaultPaymentMethodInput!) { setDefaultPaymentMethod(input: $input) { paymentMethod { isDefault } } }`;
  const input = { paymentMethodId: method.id };
  expect(await app.ask(choose, { input }, token)).toEqual({
    setDefaultPaymentMethod: { paymentMethod: { isDefault: true } },
  });
  const account = tenant.accountId;
  const path = `/v1/payment_methods/${method.stripePaymentMethodId}`;
  const { customer } = await app.sandbox.api<{ customer: string }>('GET', path, { account });
  expect(await app.sandbox.api('GET', `/v1/customers/${customer}`, { account })).toMatchObject({
    invoice_settings: { default_payment_method: method.stripePaymentMethodId },
  });

  const detach = `mutation ($input: DetachPaymentMethodInput!) { detachPaymentMethod(input: $input) { paymentMethod { status isDefault } } }`;
  expect(await app.ask(detach, { input }, token)).toEqual({
    detachPaymentMethod: { paymentMethod: { status: 'DETACHED', isDefault: false } },
  });
  expect(await app.ask(list, { customerId }, token)).toEqual({ paymentMethods: [] });
  expect((await app.graphql(detach, { input }, token)).errors).toMatchObject([
    { extensions: { code: 'INVALID_STATE' } },
  ]);
});

test('who did what is there for admins to read', async () => {
  const { tenant, token, invoiceId } = await aTenantWithInvoice();
  const { createPaymentIntent: asked } = await app.ask(create, { input: { idempotencyKey: 'k1', invoiceId } }, token);
  const query = `{ auditLog { nodes { actor action subjectType subjectId details at } } }`;
  const { auditLog } = await app.ask(query, {}, await app.token(tenant, 'admin'));
  expect(auditLog.nodes).toMatchObject([
    {
      actor: 'user-1',
      action: 'payment.create',
      subjectType: 'payment',
      subjectId: asked.payment.id,
      details: { amount: 10_000, currency: 'usd', invoiceId },
    },
  ]);
  expect((await app.graphql(query, {}, token)).errors).toMatchObject([{ extensions: { code: 'FORBIDDEN' } }]);
});

test('deliveries that come twice and in any order end in the same books as at Stripe', async () => {
  const { tenant, token, customerId } = await aTenantWithInvoice();
  const { attachPaymentMethod } = await app.ask(
    attach,
    { input: { customerId, stripePaymentMethodId: 'pm_card_visa' } },
    token,
  );
  const paymentMethodId = attachPaymentMethod.paymentMethod.id;
  await app.sandbox.control('/deliveries/faults', { duplicate: 0.5, reorder_ms: 400, seed: 7 });
  const totals = [10_000, 2_500, 999, 4_200, 50, 77_777];
  const invoices = await Promise.all(
    totals.map((total) => anInvoice(app.db, { tenantId: tenant.id, customerId, total })),
  );
  await Promise.all(
    invoices.map(({ id: invoiceId }) =>
      app.ask(
        create,
        { input: { idempotencyKey: `chaos-${invoiceId}`, invoiceId, paymentMethodId, confirm: true } },
        token,
      ),
    ),
  );
  const nodes = await until(async () => {
    const { payments } = await app.ask(
      `{ payments { nodes { status amount { amount } stripeFee { amount } applicationFee { amount } net { amount } invoice { status paymentStatus } } } }`,
      {},
      token,
    );
    return payments.nodes.every(({ net }: { net: unknown }) => net) && payments.nodes;
  }, 'all fees are booked');
  await app.sandbox.control('/deliveries/faults', undefined, 'DELETE');
  expect(nodes).toHaveLength(totals.length);
  let sum = 0;
  for (const { status, amount, stripeFee, applicationFee, net, invoice } of nodes) {
    expect(status).toBe('SUCCEEDED');
    expect(invoice).toEqual({ status: 'PAID', paymentStatus: 'PAID' });
    expect(stripeFee.amount + applicationFee.amount + net.amount).toBe(amount.amount);
    sum += net.amount;
  }
  const balance = await app.sandbox.api<{ available: Amounts; pending: Amounts }>('GET', '/v1/balance', {
    account: tenant.accountId,
  });
  const atStripe = [...balance.available, ...balance.pending].reduce((total, { amount }) => total + amount, 0);
  expect(sum).toBe(atStripe);
});

type Amounts = { readonly amount: number }[];
