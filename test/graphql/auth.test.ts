import { createServer, type Server } from 'node:http';
import { type AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, type GenerateKeyPairResult, SignJWT, type JWTPayload } from 'jose';
import { Authenticator } from '../../src/graphql/auth.js';
import { systemClock } from '../../src/shared/clock.js';
import { aTenant } from '../support/factories.js';
import { aToken, jwt } from '../support/tokens.js';
import { type Stage, startStage } from './stage.js';

const whoAmI = '{ viewer { subject role tenant { id } user { id name } } }';
let app: Stage;
let tenant: { id: string };
let other: { id: string };

beforeAll(async () => {
  app = await startStage();
  [tenant, other] = [await aTenant(app.db), await aTenant(app.db)];
});

afterAll(() => app?.stop());

const ask = (token?: string) => app.ask(whoAmI, {}, token);

test('a good token says who is asking', async () => {
  const { data } = await ask(await aToken({ tenantId: tenant.id, role: 'billing', subject: 'ann' }));
  expect(data.viewer).toEqual({ subject: 'ann', role: 'BILLING', tenant: { id: tenant.id }, user: null });
});

test('a platform admin belongs to no tenant, whatever else the token says', async () => {
  const { data } = await ask(await aToken({ tenantId: tenant.id, role: 'platform_admin' }));
  expect(data.viewer).toMatchObject({ role: 'PLATFORM_ADMIN', tenant: null, user: null });
  expect(
    (await app.ask('{ customers { nodes { id } } }', {}, await aToken({ role: 'platform_admin' }))).errors![0],
  ).toMatchObject({
    extensions: { code: 'FORBIDDEN' },
  });
});

test("the user is the PSA's, by id or by e-mail address, and never another tenant's", async () => {
  const [{ id }] = (await app.db.query(
    `insert into users (tenant_id, email, name, role) values ('${tenant.id}', 'ann@psa.example', 'Ann', 'admin') returning id`,
  )) as [{ id: number }];
  const userOf = async (tenantId: string, subject: string) =>
    (await ask(await aToken({ tenantId, subject }))).data.viewer.user;
  expect(await userOf(tenant.id, String(id))).toEqual({ id, name: 'Ann' });
  expect(await userOf(tenant.id, 'ann@psa.example')).toEqual({ id, name: 'Ann' });
  expect(await userOf(other.id, String(id))).toBeNull();
  expect(await userOf(other.id, 'ann@psa.example')).toBeNull();
});

test('without a token nothing but the shape of the answer is told', async () => {
  const { status, data, errors } = await ask();
  expect({ status, data, code: errors![0]!.extensions.code }).toEqual({
    status: 200,
    data: null,
    code: 'UNAUTHENTICATED',
  });
});

const sign = (claims: JWTPayload, header: Record<string, string> = {}) =>
  new SignJWT(claims)
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT', ...header })
    .sign(new TextEncoder().encode(jwt.secret));
const inAnHour = () => Math.floor(Date.now() / 1000) + 3600;
const good = () => ({
  sub: 'ann',
  role: 'admin',
  tenant_id: tenant.id,
  iss: jwt.issuer,
  aud: jwt.audience,
  exp: inAnHour(),
});

const encoded = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');

test.each<[string, () => Promise<string> | string]>([
  ['signed with another secret', () => aToken({ tenantId: tenant.id, secret: 'another-secret-0123456789-0123456789' })],
  ['expired', () => aToken({ tenantId: tenant.id, expires: '-1s' })],
  ['that never expires', () => sign({ ...good(), exp: undefined })],
  ['not valid yet', () => sign({ ...good(), nbf: inAnHour() })],
  ['of another issuer', () => aToken({ tenantId: tenant.id, issuer: 'https://evil.test' })],
  ['for another audience', () => aToken({ tenantId: tenant.id, audience: 'somebody-else' })],
  ['without an audience', () => sign({ ...good(), aud: undefined })],
  ['without a subject', () => sign({ ...good(), sub: undefined })],
  ['with an empty subject', () => sign({ ...good(), sub: '' })],
  ['of an unknown role', () => aToken({ tenantId: tenant.id, role: 'root' })],
  ['without a role', () => sign({ ...good(), role: undefined })],
  ['of a tenant role without a tenant', () => aToken({ role: 'admin' })],
  ['with a tenant that is no UUID', () => aToken({ tenantId: "x' or true --" })],
  ['with an HMAC that is not allowed', () => aToken({ tenantId: tenant.id, algorithm: 'HS512', secret: jwt.secret })],
  ['that is an ID token', () => aToken({ tenantId: tenant.id, type: 'id+jwt' })],
  ['that is a logout token', () => aToken({ tenantId: tenant.id, type: 'logout+jwt' })],
  ['without a signature (alg none)', () => `${encoded({ alg: 'none', typ: 'JWT' })}.${encoded(good())}.`],
  ['with its signature cut off', async () => (await aToken({ tenantId: tenant.id })).replace(/[^.]*$/, '')],
  [
    'whose claims were changed',
    async () => {
      const [header, , signature] = (await aToken({ tenantId: tenant.id })).split('.');
      return `${header}.${encoded({ ...good(), tenant_id: other.id })}.${signature}`;
    },
  ],
  ['that is too long', () => sign({ ...good(), padding: 'x'.repeat(9_000) })],
  ['that is none', () => 'hello'],
])('a token %s is refused', async (_, make) => {
  const response = await app.post({ query: whoAmI }, { authorization: `Bearer ${await make()}` });
  expect(response.status).toBe(401);
  expect(response.headers.get('www-authenticate')).toContain('Bearer');
  expect(await response.json()).toEqual({
    errors: [{ message: expect.any(String), extensions: { code: 'UNAUTHENTICATED' } }],
  });
});

test.each(['Basic dXNlcjpwYXNz', 'Bearer', 'Token x', 'Bearer a b'])(
  '"Authorization: %s" is refused',
  async (authorization) => {
    expect((await app.post({ query: whoAmI }, { authorization })).status).toBe(401);
  },
);

test('a tenant named in a header, a variable or the query string is ignored', async () => {
  const token = await aToken({ tenantId: tenant.id });
  const response = await fetch(`${app.url}/graphql?tenant_id=${other.id}`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      authorization: `Bearer ${token}`,
      'x-tenant-id': other.id,
      'tenant-id': other.id,
    },
    body: JSON.stringify({ query: whoAmI, variables: { tenantId: other.id, tenant_id: other.id } }),
  });
  expect(((await response.json()) as { data: { viewer: { tenant: { id: string } } } }).data.viewer.tenant.id).toBe(
    tenant.id,
  );
});

test('a token of the access-token type is taken', async () => {
  expect((await ask(await aToken({ tenantId: tenant.id, type: 'at+jwt' }))).data.viewer.subject).toBe('user-1');
});

test('a token stops working when it expires, also when it was checked before', async () => {
  let now = new Date();
  const authenticator = new Authenticator(jwt, { now: () => now });
  const header = `Bearer ${await aToken({ tenantId: tenant.id, expires: '30s' })}`;
  expect(await authenticator.authenticate(header)).toMatchObject({ tenantId: tenant.id });
  now = new Date(now.getTime() + 29_000);
  expect(await authenticator.authenticate(header)).toMatchObject({ tenantId: tenant.id });
  now = new Date(now.getTime() + 2_000);
  await expect(authenticator.authenticate(header)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
});

describe('with published keys', () => {
  let issuer: Server;
  let fetches = 0;
  let published: object[] = [];
  let authenticator: Authenticator;
  let keys: GenerateKeyPairResult;

  const tokenOf = (kid: string, key: GenerateKeyPairResult['privateKey'], alg = 'RS256') =>
    new SignJWT(good()).setProtectedHeader({ alg, typ: 'JWT', kid }).sign(key);

  beforeAll(async () => {
    keys = await generateKeyPair('RS256', { extractable: true });
    published = [{ ...(await exportJWK(keys.publicKey)), kid: 'one', alg: 'RS256', use: 'sig' }];
    issuer = createServer((_request, response) => {
      fetches += 1;
      response.setHeader('content-type', 'application/json').end(JSON.stringify({ keys: published }));
    });
    await new Promise<void>((resolve) => issuer.listen(0, '127.0.0.1', resolve));
    const jwksUrl = `http://127.0.0.1:${(issuer.address() as AddressInfo).port}/jwks`;
    authenticator = new Authenticator({ jwksUrl, issuer: jwt.issuer, audience: jwt.audience }, systemClock);
  });

  afterAll(() => new Promise((resolve) => issuer.close(resolve)));

  test('a token of a published key is taken', async () => {
    const viewer = await authenticator.authenticate(`Bearer ${await tokenOf('one', keys.privateKey)}`);
    expect(viewer).toEqual({ subject: 'ann', role: 'admin', tenantId: tenant.id });
  });

  test('a thousand unknown key ids do not flood the issuer', async () => {
    const before = fetches;
    const stranger = await generateKeyPair('RS256');
    const tokens = await Promise.all(
      Array.from({ length: 100 }, (_, i) => tokenOf(`random-${i}`, stranger.privateKey)),
    );
    for (const token of tokens) {
      await expect(authenticator.authenticate(`Bearer ${token}`)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    }
    expect(fetches - before).toBeLessThanOrEqual(1);
  });

  test('the public key is not taken for the secret of an HMAC', async () => {
    const { n } = await exportJWK(keys.publicKey);
    const forged = await new SignJWT(good())
      .setProtectedHeader({ alg: 'HS256', typ: 'JWT', kid: 'one' })
      .sign(new TextEncoder().encode(n));
    await expect(authenticator.authenticate(`Bearer ${forged}`)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
  });

  test('that the keys cannot be had is not the fault of the token', async () => {
    const dead = new Authenticator(
      { jwksUrl: 'http://127.0.0.1:1/jwks', issuer: jwt.issuer, audience: jwt.audience },
      systemClock,
    );
    const token = await tokenOf('one', keys.privateKey);
    await expect(dead.authenticate(`Bearer ${token}`)).rejects.not.toMatchObject({ code: 'UNAUTHENTICATED' });
  });
});
