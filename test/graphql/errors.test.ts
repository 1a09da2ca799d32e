import { crc32 } from 'node:zlib';
import { buildSchema, graphql, type GraphQLError } from 'graphql';
import { pino } from 'pino';
import { errorFormatter } from '../../src/graphql/errors.js';
import { AppError, badInput, errorCodes } from '../../src/shared/errors.js';
import { aTenant } from '../support/factories.js';
import { aToken } from '../support/tokens.js';
import { type Stage, startStage } from './stage.js';

let app: Stage;
let token: string;

beforeAll(async () => {
  app = await startStage();
  token = await aToken({ tenantId: (await aTenant(app.db)).id });
});

afterAll(() => app?.stop());

const nulIn = 'mutation ($input: CreatePaymentIntentInput!) { createPaymentIntent(input: $input) { payment { id } } }';

/** A list, asked for behind a place that nobody was shown. */
function after(list: string, checked: string, place: unknown[]): string {
  const values = JSON.stringify(place);
  const cursor = Buffer.from(
    crc32(checked + values)
      .toString(16)
      .padStart(8, '0') + values,
  ).toString('base64url');
  return `{ ${list}(after: "${cursor}") { nodes { id } } }`;
}

test.each<[string, string, object, string | undefined]>([
  ['a field that is not there', '{ nope }', {}, undefined],
  ['a document that cannot be read', '{ viewer { ', {}, undefined],
  ['an argument of the wrong type', '{ customer(id: "seven") { id } }', {}, 'id'],
  ['an argument that is missing', '{ customer { id } }', {}, undefined],
  ['a variable of the wrong type', 'query ($id: Int!) { customer(id: $id) { id } }', { id: 'seven' }, 'id'],
  ['a variable that is missing', 'query ($id: Int!) { customer(id: $id) { id } }', {}, 'id'],
  ['a page that is too large', '{ customers(first: 101) { nodes { id } } }', {}, 'first'],
  ['a cursor that is none', '{ customers(after: "x") { nodes { id } } }', {}, 'after'],
  [
    'a field of an input in the document',
    'mutation { createPaymentIntent(input: { idempotencyKey: "k", amount: 1.5 }) { payment { id } } }',
    {},
    'input.amount',
  ],
  [
    'a field of an input in a variable',
    'mutation ($input: CreatePaymentIntentInput!) { createPaymentIntent(input: $input) { payment { id } } }',
    { input: { idempotencyKey: 'k', amount: 1.5 } },
    'input.amount',
  ],
  [
    'a filter in the document',
    '{ payments(filter: { createdAfter: "yesterday" }) { nodes { id } } }',
    {},
    'filter.createdAfter',
  ],
  ['a NUL in a variable', nulIn, { input: { idempotencyKey: 'k', description: 'a\0b' } }, 'input.description'],
  [
    'a NUL in the document',
    'mutation { createPaymentIntent(input: { idempotencyKey: "k", description: "a\\u0000b" }) { payment { id } } }',
    {},
    'input.description',
  ],
  ['a NUL in what is looked for', 'query ($q: String!) { customers(search: $q) { nodes { id } } }', { q: '\0' }, 'q'],
  ['a cursor beyond all numbers', after('customers', 'Customer asc name id ', ['A', 2 ** 31]), {}, 'after'],
  ['a cursor of no text', after('customers', 'Customer asc name id ', ['A\0', 1]), {}, 'after'],
  [
    'a cursor beyond all times',
    after('invoices', 'Invoice desc createdAt id ', [253_402_300_800_000_000, 1]),
    {},
    'after',
  ],
])('%s is the fault of the input, and says where', async (_, query, variables, field) => {
  const { errors } = await app.ask(query, variables, token);
  expect(errors![0]!.extensions).toEqual({ code: 'BAD_USER_INPUT', ...(field && { field }) });
});

describe('what an error tells', () => {
  const lines: string[] = [];
  const logger = pino({ level: 'error' }, { write: (line: string) => void lines.push(line) });
  const format = errorFormatter(logger);
  const schema = buildSchema('type Query { f: String }');

  async function told(thrown: unknown) {
    lines.length = 0;
    const { errors } = await graphql({ schema, source: '{ f }', rootValue: { f: () => { throw thrown; } } }); // prettier-ignore
    const [error] = errors as [GraphQLError];
    return format(error.toJSON(), error);
  }

  test('what was meant for the client arrives in full, and is not logged as a bug', async () => {
    const answer = await told(
      new AppError('CARD_DECLINED', 'The card was declined.', { declineCode: 'lost_card', stripeRequestId: 'req_1' }),
    );
    expect(answer).toMatchObject({
      message: 'The card was declined.',
      path: ['f'],
      extensions: { code: 'CARD_DECLINED', declineCode: 'lost_card', stripeRequestId: 'req_1' },
    });
    expect((await told(badInput('input.amount', 'Too small.'))).extensions).toEqual({
      code: 'BAD_USER_INPUT',
      field: 'input.amount',
    });
    expect(lines).toEqual([]);
  });

  test('the cause of an error is never told', async () => {
    const cause = new Error('secret cause');
    expect(JSON.stringify(await told(new AppError('STRIPE_UNAVAILABLE', 'Later.', {}, { cause })))).not.toContain(
      'secret',
    );
  });

  test.each([
    ['a pool whose places are all taken', new Error('timeout exceeded when trying to connect')],
    ['a server that takes nobody any more', Object.assign(new Error('sorry, too many clients'), { code: '53300' })],
  ])('%s is no bug: the client may try again', async (_, thrown) => {
    const { message, extensions } = await told(thrown);
    expect(extensions).toEqual({ code: 'INTERNAL' });
    expect(message).toBe('The server has too much to do just now. Try again.');
    expect(lines).toEqual([]);
  });

  test.each([
    ['an error', new Error('password=hunter2')],
    [
      'an error that calls itself an input error',
      Object.assign(new Error('password=hunter2'), { extensions: { code: 'BAD_USER_INPUT' } }),
    ],
    ['something that is no error', 'password=hunter2'],
  ])('%s is masked, and logged in full', async (_, thrown) => {
    const answer = await told(thrown);
    expect(answer.extensions).toEqual({ code: 'INTERNAL' });
    expect(JSON.stringify(answer)).not.toContain('hunter2');
    expect(lines.join()).toContain('hunter2');
  });
});

test('a failure of the database is masked', async () => {
  await app.db.query('alter table customers rename column email to e_mail');
  const { errors } = await app.ask('{ customers { nodes { email } } }', {}, token);
  await app.db.query('alter table customers rename column e_mail to email');
  expect(errors![0]).toMatchObject({ extensions: { code: 'INTERNAL' } });
  expect(JSON.stringify(errors)).not.toMatch(/does not exist|email|customers\.|42703/);
});

test('there are no stack traces', async () => {
  const { errors } = await app.ask('{ customers(first: 0) { nodes { id } } }', {}, token);
  expect(JSON.stringify(errors)).not.toMatch(/stacktrace|\.js:|\.ts:/);
});

test('the list of codes is closed', () => {
  expect(errorCodes).toHaveLength(new Set(errorCodes).size);
});
