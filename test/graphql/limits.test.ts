import { gzipSync } from 'node:zlib';
import { aTenant } from '../support/factories.js';
import { aToken } from '../support/tokens.js';
import { type Stage, startStage } from './stage.js';

let app: Stage;
let token: string;

beforeAll(async () => {
  app = await startStage({ INTROSPECTION: 'false' });
  token = await aToken({ tenantId: (await aTenant(app.db)).id });
});

afterAll(() => app?.stop());

const nested = (depth: number): string =>
  depth === 0 ? 'id' : depth % 2 ? `invoice { ${nested(depth - 1)} }` : `payments { nodes { ${nested(depth - 1)} } }`;

test.each([
  ['more than 15 aliases', `{ ${Array.from({ length: 17 }, (_, i) => `a${i}: viewer { subject }`).join(' ')} }`],
  [
    'more than 8 directives',
    `{ viewer { ${Array.from({ length: 9 }, () => 'subject @include(if: true)').join(' ')} } }`,
  ],
  ['the same directive over and over', `{ viewer ${'@include(if: true) '.repeat(20)} { subject } }`],
  ['more than 10 levels', `{ payments { nodes { ${nested(9)} } } }`],
  ['more than 1,000 tokens', `{ viewer { ${'subject '.repeat(1_000)} } }`],
  [
    'too much in all',
    `{ invoices(first: 100) { nodes { payments(first: 100) { nodes { id status amount { amount } createdAt } } } } }`,
  ],
  [
    'too many rows by variables',
    `query ($n: Int = 100) { invoices(first: $n) { nodes { payments(first: $n) { nodes { invoice { payments(first: $n) { nodes { id } } } } } } } }`,
  ],
])('a document with %s is refused', async (_, query) => {
  const { errors, data } = await app.ask(query, {}, token);
  expect(data ?? null).toBeNull();
  expect(errors!.some(({ extensions }) => extensions.code === 'QUERY_TOO_COMPLEX')).toBe(true);
});

test('what people really ask for is not refused', async () => {
  const query = `{ payments(first: 100) { nodes { id status amount { amount currency formatted } createdAt customer { id name }
    invoice { id number status total { formatted } customer { name } } } pageInfo { endCursor hasNextPage } } }`;
  expect((await app.ask(query, {}, token)).errors).toBeUndefined();
});

test('several operations in one request are refused', async () => {
  const response = await app.post([{ query: '{ viewer { subject } }' }, { query: '{ viewer { subject } }' }], {
    authorization: `Bearer ${token}`,
  });
  expect(response.status).toBe(400);
  expect(await response.json()).toMatchObject({ errors: [{ extensions: { code: 'BAD_USER_INPUT' } }] });
});

test('the schema is not shown, nor guessed at in error messages', async () => {
  for (const query of ['{ __schema { types { name } } }', '{ __type(name: "Payment") { name } }']) {
    expect((await app.ask(query, {}, token)).errors![0]!.extensions.code).toBe('BAD_USER_INPUT');
  }
  const { errors } = await app.ask('{ paymentz { nodes { id } } }', {}, token);
  expect(JSON.stringify(errors)).not.toContain('Did you mean');
});

describe('requests that a foreign page could send', () => {
  test.each(['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x'])(
    'a body as %s is refused',
    async (type) => {
      const response = await app.post(JSON.stringify({ query: '{ viewer { subject } }' }), {
        'content-type': type,
        authorization: `Bearer ${token}`,
      });
      expect(response.status).toBe(400);
    },
  );

  test.each(['GET', 'PUT', 'DELETE', 'HEAD', 'OPTIONS'])('%s is refused', async (method) => {
    const response = await fetch(`${app.url}/graphql?query={viewer{subject}}`, {
      method,
      headers: { authorization: `Bearer ${token}` },
    });
    expect(response.status).toBe(405);
    expect(response.headers.get('access-control-allow-origin')).toBeNull();
  });
});

describe('bodies', () => {
  const send = (body: string | Uint8Array<ArrayBuffer>, headers: Record<string, string> = {}) =>
    fetch(`${app.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}`, ...headers },
      body,
    });

  test.each([
    ['that is no JSON', '{', 400],
    ['that is empty', '', 400],
    ['without a query', '{}', 400],
    ['with a query that is no text', '{"query": 1}', 400],
    ['with variables that are no object', '{"query": "{ viewer { subject } }", "variables": "x"}', 400],
    ['of 300 kB', JSON.stringify({ query: `#${'x'.repeat(300_000)}` }), 413],
  ])('a body %s is refused', async (_, body, status) => {
    const response = await send(body);
    expect(response.status).toBe(status);
    expect(await response.json()).toMatchObject({ errors: [{ extensions: { code: 'BAD_USER_INPUT' } }] });
  });

  test('a compressed body is refused: it can be a thousand times as large as it arrives', async () => {
    const response = await send(new Uint8Array(gzipSync('{"query":"{ viewer { subject } }"}')), {
      'content-encoding': 'gzip',
    });
    expect(response.status).toBe(415);
  });
});

test('a noisy tenant is refused, and its neighbour is not', async () => {
  const calm = await startStage({ RATE_LIMIT_PER_MINUTE: '20' }, app.db);
  const neighbour = await aToken({ tenantId: (await aTenant(app.db)).id });
  const asks = (by?: string) =>
    calm.post({ query: '{ viewer { subject } }' }, by ? { authorization: `Bearer ${by}` } : {});
  const noisy = await Promise.all(Array.from({ length: 30 }, () => asks(token)));
  expect(noisy.filter(({ status }) => status === 200)).toHaveLength(20);
  const refused = noisy.find(({ status }) => status === 429)!;
  expect(await refused.json()).toMatchObject({ errors: [{ extensions: { code: 'RATE_LIMITED' } }] });
  expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
  expect((await asks(neighbour)).status).toBe(200);
  // Another user of the same tenant shares its limit; who guesses tokens is counted by address.
  const guesses = await Promise.all(Array.from({ length: 30 }, (_, i) => asks(`guess.${i}.x`)));
  await calm.stop();
  expect(guesses.filter(({ status }) => status === 401)).toHaveLength(20);
  expect(guesses.filter(({ status }) => status === 429)).toHaveLength(10);
});

test('answers carry the headers that keep browsers careful', async () => {
  const { headers } = await app.post({ query: '{ viewer { subject } }' }, { authorization: `Bearer ${token}` });
  expect(headers.get('x-content-type-options')).toBe('nosniff');
  expect(headers.get('content-security-policy')).toContain("default-src 'self'");
  expect(headers.get('x-powered-by')).toBeNull();
  expect(headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
  expect(headers.get('cache-control')).toBe('no-store');
});
