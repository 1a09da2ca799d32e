import { randomUUID } from 'node:crypto';
import { type StripeService } from '../../src/stripe/stripe.service.js';
import { type AccountId, stripeKey } from '../../src/stripe/types.js';
import { serviceAt } from './fake-stripe.js';
import { startLocalStripe } from './local-stripe.js';

let local: Awaited<ReturnType<typeof startLocalStripe>>;

beforeAll(async () => {
  local = await startLocalStripe();
});

afterAll(() => local.stop());

describe.each(['v2', 'v1'] as const)('accounts through %s', (accountsApi) => {
  let service: StripeService;
  let id: AccountId;
  const tenant = randomUUID();
  const since = new Date();
  const input = {
    country: 'DE',
    email: 'owner@nord.test',
    businessName: 'Nord IT',
    metadata: { tenant_id: tenant },
  };

  beforeAll(() => {
    service = serviceAt(local.url, { accountsApi, clientId: 'ca_local', timeoutMs: 5_000 });
  });

  afterAll(() => service.close());

  test('an account is made once, however often the same key is sent', async () => {
    const keyed = { key: stripeKey(tenant, 'account') };
    const account = await service.createConnectAccount(input, keyed);
    expect(account).toMatchObject({
      livemode: false,
      chargesEnabled: false,
      payoutsEnabled: false,
      detailsSubmitted: false,
      country: 'DE',
      metadata: { tenant_id: tenant },
    });
    expect(account.requirements.currentlyDue).not.toEqual([]);
    id = account.id;
    await expect(service.createConnectAccount(input, keyed)).resolves.toMatchObject({ id });
    await expect(service.createConnectAccount({ ...input, businessName: 'Other' }, keyed)).rejects.toMatchObject({
      code: 'IDEMPOTENCY_CONFLICT',
    });
  });

  test('the answer to its creation being lost, it is found by what was written on it', async () => {
    await expect(service.findAccount({ metadata: { tenant_id: tenant }, since })).resolves.toMatchObject({ id });
    await expect(service.findAccount({ metadata: { tenant_id: randomUUID() }, since })).resolves.toBeNull();
  });

  test('an account whose creation was cut off after the effect is not made twice', async () => {
    const other = randomUUID();
    await local.control('faults', { kind: 'truncate', method: 'POST', times: 1 });
    const account = await service.createConnectAccount(
      { ...input, metadata: { tenant_id: other } },
      { key: stripeKey(other, 'account') },
    );
    const found = await service.findAccount({ metadata: { tenant_id: other }, since });
    expect(found?.id).toBe(account.id);
  });

  test('a link leads into onboarding and says until when', async () => {
    const link = await service.createAccountLink(
      { accountId: id, refreshUrl: 'http://localhost:4000/refresh', returnUrl: 'http://localhost:4000/done' },
      { key: stripeKey(randomUUID(), 'account-link') },
    );
    expect(link.url).toMatch(/^http/);
    expect(link.expiresAt.getTime()).toBeGreaterThan(Date.now());
  });

  test('after onboarding it can charge, and nothing is due', async () => {
    await local.control(`accounts/${id}/onboard`);
    await expect(service.retrieveAccount(id)).resolves.toMatchObject({
      chargesEnabled: true,
      payoutsEnabled: true,
      detailsSubmitted: true,
      requirements: { currentlyDue: [], pastDue: [], disabledReason: null },
    });
  });

  test('once disconnected it is out of reach', async () => {
    await service.disconnectAccount(id, { key: stripeKey(randomUUID(), 'disconnect') });
    await expect(service.retrieveAccount(id)).rejects.toMatchObject({
      code: 'ACCOUNT_DISCONNECTED',
      outcome: 'refused',
    });
    await expect(service.forAccount(id).retrieveBalance()).rejects.toMatchObject({ code: 'ACCOUNT_DISCONNECTED' });
  });
});
