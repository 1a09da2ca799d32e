import { randomUUID } from 'node:crypto';
import { loadConfig } from '../../src/config.js';
import { linkLifetime, LinkStates, type LinkState } from '../../src/features/onboarding/link-state.js';
import { aTenant, type TenantRow } from '../support/factories.js';
import { startApp, type TestApp } from '../support/harness.js';
import { until } from '../support/until.js';
import { fillIn, redirectOf } from './hosted-form.js';

let app: TestApp;
let tenant: TenantRow;
let token: string;

beforeAll(async () => {
  app = await startApp({
    env: { STRIPE_CLIENT_ID: 'ca_local', RETURN_URL_ORIGINS: 'https://psa.example,https://other.example' },
  });
});
afterAll(() => app.stop());
beforeEach(async () => {
  tenant = await aTenant(app.db, { name: 'Nord IT' });
  token = await app.token(tenant);
});

const configQuery = `{ stripeConfig { id stripeAccountId onboarding chargesEnabled payoutsEnabled detailsSubmitted livemode
  applicationFeePercent applicationFeeFixed createdAt updatedAt
  requirements { currentlyDue eventuallyDue pastDue pendingVerification errors { code reason requirement } deadline disabledReason } } }`;
const createMutation = `mutation ($input: CreateConnectAccountInput!) {
  createConnectAccount(input: $input) { stripeConfig { id stripeAccountId onboarding livemode } } }`;
const linkMutation = `mutation ($input: CreateAccountLinkInput!) { createAccountLink(input: $input) { url expiresAt } }`;
const disconnectMutation = `mutation { disconnectAccount { isRevoked stripeConfig { onboarding chargesEnabled } } }`;

const anInput = (more: object = {}) => ({
  email: 'owner@nord.example',
  country: 'DE',
  idempotencyKey: randomUUID(),
  ...more,
});
const create = async (more: object = {}) =>
  (await app.ask(createMutation, { input: anInput(more) }, token)).createConnectAccount.stripeConfig as {
    id: string;
    stripeAccountId: string;
  };
const refused = async (query: string, variables: object = {}, as = token) => {
  const { errors } = await app.graphql(query, variables, as);
  return errors?.[0]?.extensions;
};
const link = async (more: object = {}) =>
  (await app.ask(linkMutation, { input: more }, token)).createAccountLink as { url: string; expiresAt: string };
const config = async () => (await app.ask(configQuery, {}, token)).stripeConfig;
const becomes = (status: string) =>
  until(async () => (await config()).onboarding === status, `the account is ${status}`);
const accountsAtStripe = async () =>
  (
    await app.sandbox.api<{ data: { id: string; metadata: Record<string, string> }[] }>('GET', '/v1/accounts', {
      form: { limit: '100' },
    })
  ).data.filter(({ metadata }) => metadata.tenant_id === tenant.id);

test('a tenant is onboarded: account, form, and what Stripe says of it', async () => {
  expect(await config()).toBeNull();
  const { id, stripeAccountId } = await create();
  expect(await config()).toMatchObject({
    id,
    stripeAccountId,
    onboarding: 'NOT_STARTED',
    chargesEnabled: false,
    livemode: false,
    applicationFeePercent: '0.00',
    applicationFeeFixed: 0,
  });
  expect((await config()).requirements.currentlyDue).not.toEqual([]);

  const first = await link({ returnPath: '/settings/stripe?tab=1' });
  expect(Date.parse(first.expiresAt)).toBeGreaterThan(Date.now());
  expect((await config()).onboarding).toBe('IN_PROGRESS');

  // Coming back is not being done.
  const left = await fillIn(first.url, 'leave');
  expect(left.startsWith(`${app.url}/api/stripe/onboarding-complete?state=`)).toBe(true);
  expect(await redirectOf(left)).toBe('https://psa.example/settings/stripe?tab=1');
  expect((await config()).onboarding).toBe('IN_PROGRESS');

  const complete = await fillIn((await link({ returnPath: 'https://other.example/done' })).url);
  expect(await redirectOf(complete)).toBe('https://other.example/done');
  expect(await config()).toMatchObject({
    onboarding: 'ACTIVE',
    chargesEnabled: true,
    payoutsEnabled: true,
    detailsSubmitted: true,
    requirements: { currentlyDue: [], pastDue: [], disabledReason: null },
  });
});

test('what happens at Stripe arrives without anybody coming back', async () => {
  const { stripeAccountId: account } = await create();
  await app.sandbox.control(`/accounts/${account}/onboard`, {});
  await becomes('ACTIVE');

  await app.sandbox.control(`/accounts/${account}`, { past_due: ['company.tax_id'] });
  await becomes('RESTRICTED');
  const { requirements, chargesEnabled } = await config();
  expect(requirements.pastDue).toContain('company.tax_id');
  expect(requirements.disabledReason).toBe('requirements.past_due');
  expect(chargesEnabled).toBe(false);

  await app.sandbox.control(`/accounts/${account}/onboard`, {});
  await becomes('ACTIVE');
});

test('snapshot and thin events about an account are both understood, and none is left over', async () => {
  const { stripeAccountId: account } = await create();
  await app.sandbox.control(`/accounts/${account}/onboard`, {});
  await becomes('ACTIVE');
  const eventsBy = (state: string) =>
    app.db.query<{ type: string; kind: string }>(
      `select distinct type, kind from stripe_webhook_events where stripe_account_id = $1 and status = $2`,
      [account, state],
    );
  await until(async () => {
    const settled = await eventsBy('PROCESSED');
    const open = await app.db.query('select from stripe_webhook_queue where stripe_account_id = $1', [account]);
    const [snapshot, thin] = ['SNAPSHOT', 'THIN'].map((one) => settled.some(({ kind }) => kind === one));
    return snapshot && thin && open.length === 0;
  }, 'all events are settled');
  const settled = await eventsBy('PROCESSED');
  expect(settled).toEqual(expect.arrayContaining([{ type: 'account.updated', kind: 'SNAPSHOT' }]));
  expect(settled.map(({ type }) => type).filter((type) => type.startsWith('v2.core.account'))).not.toEqual([]);
  expect(await eventsBy('DEAD')).toEqual([]);
  expect((await config()).onboarding).toBe('ACTIVE');
});

test('the news that come late do not undo what was read since', async () => {
  const { stripeAccountId: account } = await create();
  await app.sandbox.control('/deliveries/hold', {});
  await app.sandbox.control(`/accounts/${account}`, { past_due: ['company.tax_id'] });
  await app.sandbox.control(`/accounts/${account}/onboard`, {});
  await app.ask('mutation { syncConnectAccount { stripeConfig { onboarding } } }', {}, token);
  expect((await config()).onboarding).toBe('ACTIVE');
  await app.sandbox.control('/deliveries/release', {});
  await until(
    async () =>
      (
        await app.db.query(`select from stripe_webhook_events where stripe_account_id = $1 and status = 'PROCESSED'`, [
          account,
        ])
      ).length >= 2,
    'the events were processed',
  );
  expect((await config()).onboarding).toBe('ACTIVE');
});

test('the same key makes the same account, and no other key makes a second one', async () => {
  const input = anInput();
  const [one, two] = await Promise.all([create(input), create(input)]);
  expect(two).toEqual(one);
  expect(await create(input)).toEqual(one);
  expect(await refused(createMutation, { input: { ...input, country: 'FR' } })).toMatchObject({
    code: 'IDEMPOTENCY_CONFLICT',
    field: 'input.idempotencyKey',
  });
  expect(await refused(createMutation, { input: anInput() })).toMatchObject({ code: 'INVALID_STATE' });
  expect(await accountsAtStripe()).toHaveLength(1);
});

test('of two requests with different keys at the same moment one makes an account', async () => {
  const answers = await Promise.all([1, 2, 3].map(() => app.graphql(createMutation, { input: anInput() }, token)));
  expect(answers.filter(({ errors }) => !errors)).toHaveLength(1);
  for (const { errors } of answers.filter((answer) => answer.errors))
    expect(['CONFLICT', 'INVALID_STATE']).toContain(errors![0]!.extensions.code);
  expect(await accountsAtStripe()).toHaveLength(1);
});

test('a link that was used leads to a new one, by way of our own address', async () => {
  await create();
  const { url } = await link({ returnPath: '/done' });
  await fillIn(url, 'leave');
  const refresh = await redirectOf(url);
  expect(refresh.startsWith(`${app.url}/api/stripe/onboarding-refresh?state=`)).toBe(true);
  const renewed = await redirectOf(refresh);
  expect(renewed.startsWith(app.sandbox.url)).toBe(true);
  expect(renewed).not.toBe(url);
  expect(await redirectOf(await fillIn(renewed))).toBe('https://psa.example/done');
  expect((await config()).onboarding).toBe('ACTIVE');
});

describe('an address that a browser comes back to', () => {
  const get = (purpose: string, state: string) =>
    fetch(`${app.url}/api/stripe/onboarding-${purpose}?state=${state}`, { redirect: 'manual' });
  const sign = async (purpose: 'complete' | 'refresh', more: Partial<LinkState> = {}, age = 0) => {
    const { stripeAccountId } = await config();
    const states = new LinkStates(loadConfig(app.env).linkSecret, { now: () => new Date(Date.now() - age) });
    return states.sign(purpose, {
      tenantId: tenant.id,
      accountId: stripeAccountId,
      livemode: false,
      type: 'ONBOARDING',
      returnUrl: 'https://psa.example/done',
      refreshUrl: 'https://psa.example/again?x=1',
      ...more,
    });
  };

  test('leads nowhere when it was not signed by us, and tells nothing', async () => {
    await create();
    const state = await sign('refresh');
    for (const bad of ['', 'x', state.slice(0, -2), `${state}x`, `x${state}`]) {
      for (const purpose of ['complete', 'refresh']) expect((await get(purpose, bad)).status).toBe(400);
    }
    expect((await get('complete', state)).status).toBe(400);
  });

  test('is of no use for a page that is not allowed any more', async () => {
    await create();
    expect((await get('refresh', await sign('refresh', { returnUrl: 'https://gone.example/' }))).status).toBe(400);
  });

  test('leads back to the PSA, and to no new link, when it is too old', async () => {
    await create();
    const { status, headers } = await get('refresh', await sign('refresh', {}, linkLifetime.refresh + 1_000));
    expect(status).toBe(303);
    expect(headers.get('location')).toBe('https://psa.example/again?x=1&onboarding=link_expired');
    expect(headers.get('cache-control')).toBe('no-store');
    expect(headers.get('referrer-policy')).toBe('no-referrer');
    const old = await get('complete', await sign('complete', {}, linkLifetime.complete + 1_000));
    expect(old.headers.get('location')).toBe('https://psa.example/done');
  });

  test('gives no way into an account that was disconnected since', async () => {
    await create();
    const state = await sign('refresh');
    await app.ask(disconnectMutation, {}, token);
    const { headers } = await get('refresh', state);
    expect(headers.get('location')).toBe('https://psa.example/again?x=1&onboarding=account_disconnected');
    await create();
    expect((await get('refresh', state)).headers.get('location')).toContain('onboarding=account_disconnected');
  });

  test('lets its visitor go on although Stripe is down', async () => {
    await create();
    await app.sandbox.control('/faults', { kind: '503', method: 'GET', path: '/v1/accounts', times: 3 });
    const { headers } = await get('complete', await sign('complete'));
    expect(headers.get('location')).toBe('https://psa.example/done');
    await app.sandbox.control('/faults', undefined, 'DELETE');
  });
});

test('an account made by the first generation of the API is onboarded the same way', async () => {
  const other = await startApp({ beside: app, env: { STRIPE_ACCOUNTS_API: 'v1' } });
  try {
    await other.ask(createMutation, { input: anInput() }, token);
    const { url } = (await other.ask(linkMutation, { input: { type: 'UPDATE', returnPath: '/' } }, token))
      .createAccountLink as { url: string };
    await redirectOf(await fillIn(url));
    expect((await config()).onboarding).toBe('ACTIVE');
  } finally {
    await other.stop();
  }
});

test('a tenant that withdraws its permission at Stripe is disconnected, and keeps its history', async () => {
  const { id, stripeAccountId: account } = await create();
  await app.sandbox.control(`/accounts/${account}/onboard`, {});
  await becomes('ACTIVE');
  await app.sandbox.control(`/accounts/${account}/deauthorize`, {});
  await becomes('DISCONNECTED');
  expect(await config()).toMatchObject({ id, stripeAccountId: account, chargesEnabled: false, payoutsEnabled: false });
  expect(await refused(linkMutation, { input: {} })).toMatchObject({ code: 'ACCOUNT_DISCONNECTED' });
  expect(await refused('mutation { syncConnectAccount { stripeConfig { id } } }')).toMatchObject({
    code: 'ACCOUNT_DISCONNECTED',
  });
  const log = await app.db.query(`select actor, action from audit_log where tenant_id = $1 order by id`, [tenant.id]);
  expect(log.at(0)).toMatchObject({ action: 'stripe-account.create' });
  expect(log.at(-1)).toEqual({ actor: 'stripe', action: 'stripe-account.disconnect' });
  const [made] = await app.db.query(
    `select params from commands where tenant_id = $1 and kind = 'onboarding.create-account'`,
    [tenant.id],
  );
  expect(Object.keys(made!.params as object).sort()).toEqual(['country', 'metadata']);

  const again = await create();
  expect(again).toMatchObject({ id, onboarding: 'NOT_STARTED' });
  expect(again.stripeAccountId).not.toBe(account);
  expect(
    await app.db.query(
      `select stripe_account_id as id, disconnected_at is not null as gone from stripe_accounts where tenant_id = $1 order by created_at`,
      [tenant.id],
    ),
  ).toEqual([
    { id: account, gone: true },
    { id: again.stripeAccountId, gone: false },
  ]);
});

test('a tenant that leaves takes the access with it, once', async () => {
  expect(await refused(disconnectMutation)).toMatchObject({ code: 'TENANT_NOT_READY' });
  const { stripeAccountId } = await create();
  const expected = { isRevoked: true, stripeConfig: { onboarding: 'DISCONNECTED', chargesEnabled: false } };
  expect((await app.ask(disconnectMutation, {}, token)).disconnectAccount).toEqual(expected);
  expect((await app.ask(disconnectMutation, {}, token)).disconnectAccount).toEqual(expected);
  await expect(app.sandbox.api('GET', `/v1/accounts/${stripeAccountId}`)).rejects.toThrow('account');
  const log = await app.db.query(
    `select 1 from audit_log where tenant_id = $1 and action = 'stripe-account.disconnect'`,
    [tenant.id],
  );
  expect(log).toHaveLength(1);
});

test.each([
  ['three letters for a country', { country: 'DEU' }, 'input.country'],
  ['digits for a country', { country: '12' }, 'input.country'],
  ['nothing for a country', { country: '' }, 'input.country'],
  ['a country without application fees', { country: 'BR' }, 'input.country'],
  ['a name that is too long', { businessName: 'x'.repeat(201) }, 'input.businessName'],
  ['an empty key', { idempotencyKey: '' }, 'input.idempotencyKey'],
  ['a key that is too long', { idempotencyKey: 'k'.repeat(256) }, 'input.idempotencyKey'],
])('an account with %s is refused before anything is written', async (_, wrong, field) => {
  expect(await refused(createMutation, { input: anInput(wrong) })).toMatchObject({ code: 'BAD_USER_INPUT', field });
  expect(await config()).toBeNull();
  expect(await app.db.query('select 1 from commands where tenant_id = $1', [tenant.id])).toEqual([]);
  expect(await accountsAtStripe()).toEqual([]);
});

test('something that is no e-mail address is refused', async () => {
  expect(await refused(createMutation, { input: anInput({ email: 'owner' }) })).toMatchObject({
    code: 'BAD_USER_INPUT',
  });
});

test('an account whose making was not answered is found and finished, and no second one is made meanwhile', async () => {
  await app.sandbox.control('/faults', { kind: 'reset_after', method: 'POST', path: '/v2/core/accounts', times: 3 });
  const input = anInput();
  expect(await refused(createMutation, { input })).toMatchObject({ code: 'OUTCOME_UNKNOWN' });
  const lookInto = (when: string) =>
    app.db.query(`update commands set next_attempt_at = $2::timestamptz where tenant_id = $1`, [tenant.id, when]);
  await lookInto('infinity');
  expect(await config()).toBeNull();
  expect(await refused(createMutation, { input: anInput() })).toMatchObject({ code: 'CONFLICT' });
  await lookInto('now');
  await until(config, 'the account is there');
  expect(await accountsAtStripe()).toHaveLength(1);
  expect((await create(input)).stripeAccountId).toBe((await config()).stripeAccountId);
});

test.each([
  '//evil.example',
  '/\\evil.example',
  'https://evil.example/',
  'https://psa.example@evil.example/',
  'javascript:alert(1)',
])('nobody is sent to %s', async (place) => {
  await create();
  for (const name of ['returnPath', 'refreshPath']) {
    expect(await refused(linkMutation, { input: { [name]: place } })).toMatchObject({
      code: 'BAD_USER_INPUT',
      field: `input.${name}`,
    });
  }
  expect((await config()).onboarding).toBe('NOT_STARTED');
});

test('there is no link and nothing to read before there is an account', async () => {
  expect(await refused(linkMutation, { input: {} })).toMatchObject({ code: 'TENANT_NOT_READY' });
  expect(await refused('mutation { syncConnectAccount { stripeConfig { id } } }')).toMatchObject({
    code: 'TENANT_NOT_READY',
  });
});
