import { aListener, aStripe, failure, type Listener, type TestStripe, type Loose } from './support/stripe.js';

let local: TestStripe;
let hook: Listener;
let secrets: { connect: string; thin: string };
beforeAll(async () => {
  local = await aStripe();
  hook = await aListener();
  const endpoint = await local.stripe.webhookEndpoints.create({ url: hook.url, enabled_events: ['*'], connect: true });
  const destination = await local.stripe.v2.core.eventDestinations.create({
    name: 'thin',
    type: 'webhook_endpoint',
    event_payload: 'thin',
    enabled_events: ['v2.core.*', 'v1.account.updated'],
    events_from: ['@self', '@accounts'],
    webhook_endpoint: { url: hook.url },
    include: ['webhook_endpoint.signing_secret'],
  });
  secrets = { connect: endpoint.secret!, thin: destination.webhook_endpoint!.signing_secret! };
});
afterAll(async () => {
  await local.stop();
  await hook.close();
});
beforeEach(() => void hook.posted.splice(0));

const anAccount = () =>
  local.stripe.v2.core.accounts.create({
    contact_email: 'owner@msp.test',
    display_name: 'An MSP',
    dashboard: 'full',
    identity: { country: 'US', entity_type: 'company' },
    configuration: { merchant: { capabilities: { card_payments: { requested: true } } } },
    defaults: { responsibilities: { fees_collector: 'stripe', losses_collector: 'stripe' } },
    include: ['configuration.merchant', 'requirements', 'defaults'],
  });
const aLink = (account: string) =>
  local.stripe.v2.core.accountLinks.create({
    account,
    use_case: {
      type: 'account_onboarding',
      account_onboarding: { refresh_url: 'https://psa.test/refresh', return_url: 'https://psa.test/return' },
    },
  });
const open = (url: string) => fetch(url, { redirect: 'manual' });
const submit = async (page: string, url: string, result: string) => {
  const session = /name="session" value="(\w+)"/.exec(page)![1]!;
  return fetch(url, { method: 'POST', redirect: 'manual', body: new URLSearchParams({ session, result }) });
};

describe('accounts, v1 and v2', () => {
  test('a new account can do nothing yet and says what is missing; v1 and v2 see the same', async () => {
    const account = await anAccount();
    expect(account.configuration!.merchant!.capabilities!.card_payments!.status).toBe('restricted');
    expect(account.requirements!.summary!.minimum_deadline!.status).toBe('past_due');
    const v1 = await local.stripe.accounts.retrieve(account.id);
    expect(v1).toMatchObject({
      charges_enabled: false,
      payouts_enabled: false,
      details_submitted: false,
      email: 'owner@msp.test',
      type: 'standard',
    });
    expect(v1.requirements).toMatchObject({ disabled_reason: 'requirements.past_due' });
    expect(v1.requirements!.currently_due).toContain('external_account');
    expect(v1.controller).toMatchObject({
      fees: { payer: 'account' },
      losses: { payments: 'stripe' },
      stripe_dashboard: { type: 'full' },
    });
  });

  test('sections appear only when they are included', async () => {
    const { id } = await anAccount();
    const bare = await local.stripe.v2.core.accounts.retrieve(id);
    for (const section of ['configuration', 'requirements', 'defaults', 'identity'])
      expect(bare).not.toHaveProperty(section);
    expect((await local.stripe.v2.core.accounts.retrieve(id, { include: ['identity'] })).identity).toMatchObject({
      country: 'US',
      entity_type: 'company',
    });
  });

  test('type and controller exclude each other; each v1 type has its controller', async () => {
    expect(
      (await failure(local.stripe.accounts.create({ type: 'express', controller: { fees: { payer: 'account' } } })))
        .statusCode,
    ).toBe(400);
    const express = await local.stripe.accounts.create({ type: 'express' });
    expect(express.controller).toMatchObject({
      fees: { payer: 'application_express' },
      losses: { payments: 'application' },
      stripe_dashboard: { type: 'express' },
    });
  });

  test('an account that collects its own requirements meets them through the API', async () => {
    const { id } = await local.stripe.accounts.create({
      type: 'custom',
      country: 'US',
      capabilities: { card_payments: { requested: true } },
    });
    await local.stripe.accounts.update(id, {
      business_type: 'individual',
      business_profile: { mcc: '7372', url: 'https://msp.test' },
      individual: { first_name: 'A', last_name: 'B', email: 'a@b.test', dob: { day: 1, month: 2, year: 1990 } },
      tos_acceptance: { date: 1_700_000_000, ip: '127.0.0.1' },
    });
    expect((await local.stripe.accounts.retrieve(id)).requirements!.currently_due).toEqual(['external_account']);
    await local.stripe.accounts.update(id, { external_account: 'btok_us' });
    expect(await local.stripe.accounts.retrieve(id)).toMatchObject({ charges_enabled: true, details_submitted: true });
  });

  test('lists hold the connected accounts only, and page', async () => {
    const v1 = await local.stripe.accounts.list({ limit: 2 });
    expect(v1.data).toHaveLength(2);
    const all = await local.stripe.v2.core.accounts.list({ limit: 2 }).autoPagingToArray({ limit: 1000 });
    expect(all.length).toBeGreaterThan(2);
    expect(all.map(({ id }) => id)).not.toContain(local.sandbox.platform);
  });
});

describe('thin events', () => {
  test('are listed newest first; the links to other pages keep what the list was narrowed down by', async () => {
    const { id } = await anAccount();
    await local.control(`/accounts/${id}/onboard`, {});
    await local.control(`/accounts/${id}`, { past_due: ['company.tax_id'] });
    const { events } = local.stripe.v2.core;
    const all = await events.list({ object_id: id, limit: 100 }).autoPagingToArray({ limit: 1000 });
    expect(all.length).toBeGreaterThan(5);
    expect(all.map(({ created }) => created)).toEqual(
      all
        .map(({ created }) => created)
        .sort()
        .reverse(),
    );
    const types = [...new Set(all.map(({ type }) => type))].slice(0, 2);
    const oldest = all.at(-1)!.created;
    const gt = oldest as unknown as number; // stamps of v2 are text
    const expected = all.filter(({ type, created }) => types.includes(type) && created > oldest);
    expect(expected.length).toBeGreaterThan(2);
    const first = await events.list({ object_id: id, types, created: { gt }, limit: 1 });
    expect((await failure(events.list({ created: { gt: 1_700_000_000 } }))).statusCode).toBe(400);
    expect(first.next_page_url).toMatch(/^\/v2\/core\/events\?/);
    const narrowed = await events
      .list({ object_id: id, types, created: { gt }, limit: 1 })
      .autoPagingToArray({ limit: 1000 });
    expect(narrowed.map((event) => event.id)).toEqual(expected.map((event) => event.id));
  });
});

describe('onboarding', () => {
  test('a browser clicks through, comes back, and the account can charge', async () => {
    const { id } = await anAccount();
    const { url } = await aLink(id);
    const page = await open(url);
    expect(page.status).toBe(200);
    const back = await submit(await page.text(), url, 'complete');
    expect(back.headers.get('location')).toBe('https://psa.test/return');
    const account = await local.stripe.v2.core.accounts.retrieve(id, {
      include: ['configuration.merchant', 'requirements'],
    });
    expect(account.configuration!.merchant!.capabilities!.card_payments!.status).toBe('active');
    expect(account.requirements!.entries).toEqual([]);
    expect(await local.stripe.accounts.retrieve(id)).toMatchObject({
      charges_enabled: true,
      payouts_enabled: true,
      details_submitted: true,
    });
  });

  test('returning does not mean that it is complete', async () => {
    const { id } = await anAccount();
    const { url } = await aLink(id);
    const back = await submit(await (await open(url)).text(), url, 'leave');
    expect(back.headers.get('location')).toBe('https://psa.test/return');
    expect((await local.stripe.accounts.retrieve(id)).details_submitted).toBe(false);
  });

  test('a link works once and not for long; then it leads to the refresh URL', async () => {
    const { id } = await anAccount();
    const used = await aLink(id);
    await open(used.url);
    expect((await open(used.url)).headers.get('location')).toBe('https://psa.test/refresh');
    const { url } = await local.stripe.accountLinks.create({
      account: id,
      type: 'account_onboarding',
      refresh_url: 'https://psa.test/refresh',
      return_url: 'https://psa.test/return',
    });
    await local.control('/advance', { seconds: 301 });
    expect((await open(url)).headers.get('location')).toBe('https://psa.test/refresh');
  });

  test('a link needs an account and proper URLs', async () => {
    const link = (account: string, refresh_url: string) =>
      failure(
        local.stripe.accountLinks.create({
          account,
          type: 'account_onboarding',
          refresh_url,
          return_url: 'https://psa.test',
        }),
      );
    expect((await link('acct_nobody', 'https://psa.test')).code).toBe('account_invalid');
    expect((await link((await anAccount()).id, 'javascript:alert(1)')).code).toBe('url_invalid');
  });
});

describe('account events', () => {
  test('each change is told as snapshot and thin, each judged by the SDK with its own secret', async () => {
    const { id } = await anAccount();
    await local.control(`/accounts/${id}/onboard`, {});
    const post = (type: string) =>
      hook.posted.find(({ body }) => body.includes(id) && (JSON.parse(body) as { type: string }).type === type)!;
    await hook.until(() =>
      ['account.updated', 'v2.core.account.updated', 'v1.account.updated'].every((type) => post(type) !== undefined),
    );
    const updated = post('account.updated');
    const event = local.stripe.webhooks.constructEvent(updated.body, updated.signature, secrets.connect);
    expect(event).toMatchObject({ account: id, livemode: false, type: 'account.updated' });
    expect(event.data.previous_attributes).toMatchObject({ charges_enabled: false, details_submitted: false });
    const created = post('v2.core.account.created');
    const notification = local.stripe.parseEventNotification(created.body, created.signature, secrets.thin) as Loose;
    expect((await notification.fetchRelatedObject()).id).toBe(id);
    expect((await notification.fetchEvent()).type).toBe('v2.core.account.created');
    const twin = post('v1.account.updated');
    expect((JSON.parse(twin.body) as { snapshot_event: string }).snapshot_event).toBe(event.id);
    expect(hook.types()).toEqual(
      expect.arrayContaining([
        'capability.updated',
        'v2.core.account[configuration.merchant].capability_status_updated',
        'v2.core.account[requirements].updated',
      ]),
    );
  });

  test('requirements that come due restrict the account when their deadline passes', async () => {
    const { stripeAccount: id } = await local.connected();
    const { now } = await local.control<{ now: number }>('/health');
    await local.control(`/accounts/${id}`, {
      currently_due: ['individual.verification.document'],
      current_deadline: now + 7 * 86_400,
    });
    expect(await local.stripe.accounts.retrieve(id)).toMatchObject({
      charges_enabled: true,
      requirements: {
        currently_due: ['individual.verification.document'],
        past_due: [],
        current_deadline: now + 7 * 86_400,
      },
    });
    const v2 = async () =>
      (await local.stripe.v2.core.accounts.retrieve(id, { include: ['requirements'] })).requirements!;
    expect((await v2()).summary!.minimum_deadline).toEqual({
      status: 'currently_due',
      time: new Date((now + 7 * 86_400) * 1000).toISOString(),
    });
    await local.control('/advance', { seconds: 8 * 86_400 });
    expect((await v2()).summary!.minimum_deadline).toMatchObject({ status: 'past_due' });
    const [told] = (await local.stripe.events.list({ type: 'account.updated' }, { stripeAccount: id })).data;
    expect(told!.data.previous_attributes).toMatchObject({
      charges_enabled: true,
      payouts_enabled: true,
      requirements: { past_due: [], disabled_reason: null },
    });
    const late = await local.stripe.accounts.retrieve(id);
    expect(late).toMatchObject({
      charges_enabled: false,
      requirements: { past_due: ['individual.verification.document'], disabled_reason: 'requirements.past_due' },
    });
    expect(
      (await failure(local.stripe.paymentIntents.create({ amount: 1000, currency: 'usd' }, { stripeAccount: id })))
        .statusCode,
    ).toBe(400);
    await local.stripe.accounts.update(id, { individual: { verification: { document: { front: 'file_front' } } } });
    expect(await local.stripe.accounts.retrieve(id)).toMatchObject({
      charges_enabled: true,
      payouts_enabled: true,
      requirements: { currently_due: [], past_due: [], current_deadline: null, disabled_reason: null },
    });
  });

  test('the last a platform hears of an account is that it left', async () => {
    const { stripeAccount: id } = await local.connected();
    await local.control(`/accounts/${id}/deauthorize`, {});
    await hook.until(() => hook.types().includes('account.application.deauthorized'));
    expect(await failure(local.stripe.accounts.retrieve(id))).toMatchObject({ statusCode: 403 });
  });
});
