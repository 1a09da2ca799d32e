import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { aLiveClient, toldOf } from '../live/support.js';
import { aStripeConfig, aTenant } from '../support/factories.js';
import { aToken } from '../support/tokens.js';
import { until } from '../support/until.js';
import { type Stage, startStage } from './stage.js';

const known = 'query Who($yes: Boolean!) { viewer { subject role @include(if: $yes) } }';
const id = createHash('sha256').update(known).digest('hex');
const operation = { id, name: 'Who', type: 'query', body: known };
const followed = 'subscription Account { stripeConfigUpdated { chargesEnabled } }';
const followedId = createHash('sha256').update(followed).digest('hex');
const subscription = { id: followedId, name: 'Account', type: 'subscription', body: followed };
const manifestOf = (operations: object[], rest = {}) =>
  JSON.stringify({ format: 'apollo-persisted-query-manifest', version: 1, operations, ...rest });

let directory: string;
let path: string;
let open: Stage;
let strict: Stage;
let authorization: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'manifest-'));
  path = join(directory, 'manifest.json');
  await writeFile(path, manifestOf([operation, subscription]));
  open = await startStage({ PERSISTED_DOCUMENTS: path });
  strict = await startStage({ PERSISTED_DOCUMENTS: path, PERSISTED_ONLY: 'true' }, open.db);
  authorization = `Bearer ${await aToken({ tenantId: (await aTenant(open.db)).id })}`;
});

afterAll(async () => {
  await strict?.stop();
  await open?.stop();
  await rm(directory, { recursive: true, force: true });
});

const byId = (sha256Hash: string) => ({
  variables: { yes: true },
  extensions: { persistedQuery: { version: 1, sha256Hash } },
});
const send = async (to: Stage, body: object) => {
  const response = await to.post(body, { authorization });
  return { status: response.status, ...((await response.json()) as object) };
};
const answer = { status: 200, data: { viewer: { subject: 'user-1', role: 'ADMIN' } } };
const refusal = (field: string) => ({ status: 400, errors: [{ extensions: { code: 'BAD_USER_INPUT', field } }] });

test('a document is answered by its id, with the variables of the request', async () => {
  expect(await send(open, byId(id))).toEqual(answer);
  expect(await send(strict, byId(id))).toEqual(answer);
});

test('an unknown id is refused', async () => {
  for (const app of [open, strict]) {
    expect(await send(app, byId('0'.repeat(64)))).toMatchObject(refusal('extensions.persistedQuery'));
  }
});

test('in strict mode any other document is refused, whatever id it comes with', async () => {
  const query = '{ viewer { subject } }';
  expect(await send(open, { query })).toMatchObject({ status: 200 });
  for (const body of [{ query }, { ...byId(id), query }, {}, { query: 1 }]) {
    expect(await send(strict, body)).toMatchObject(refusal('query'));
  }
  expect(await send(strict, { query: known, variables: { yes: true } })).toEqual(answer);
});

test('what is followed over WebSocket is held against the list, too', async () => {
  const { tenantId } = await aStripeConfig(open.db);
  const client = aLiveClient(strict, await aToken({ tenantId }));
  const byText = client.follow(followed);
  const named = client.follow('', {}, byId(followedId).extensions);
  expect(await toldOf(byText, 1)).toMatchObject([{ chargesEnabled: true }]);
  expect(await toldOf(named, 1)).toMatchObject([{ chargesEnabled: true }]);
  for (const refused of [
    client.follow('subscription { stripeConfigUpdated { id } }'),
    client.follow('subscription { stripeConfigUpdated { id } }', {}, byId(followedId).extensions),
    client.follow('', {}, byId('0'.repeat(64)).extensions),
  ]) {
    await until(() => refused.errors.length > 0, 'it is refused');
    expect(refused).toMatchObject({ told: [], errors: [{ extensions: { code: 'BAD_USER_INPUT' } }] });
  }
  await client.dispose();
});

test('nobody can add to the list', async () => {
  const query = '{ viewer { role } }';
  const sha256Hash = createHash('sha256').update(query).digest('hex');
  await send(open, { query, extensions: { persistedQuery: { version: 1, sha256Hash } } });
  expect(await send(open, byId(sha256Hash))).toMatchObject(refusal('extensions.persistedQuery'));
});

test.each([
  ['is no JSON', '{', 'is no JSON'],
  ['has another format', manifestOf([], { format: 'relay' }), 'is no manifest'],
  [
    'has a document that does not fit the schema',
    manifestOf([{ ...operation, body: '{ nothing }' }]),
    'Who does not fit the schema',
  ],
  ['has an id twice', manifestOf([operation, operation]), 'is there twice'],
])('a manifest that %s stops the start', async (_, text, message) => {
  const wrong = join(directory, 'wrong.json');
  await writeFile(wrong, text);
  await expect(startStage({ PERSISTED_DOCUMENTS: wrong }, open.db)).rejects.toThrow(message);
});
