import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { assertExchangesValid, type Exchange, SchemaChecker } from './support/schema-check.mjs';

const refund = {
  id: 're_3Q1abcdefghijkl',
  object: 'refund',
  amount: 500,
  balance_transaction: 'txn_3Q1abcdefghijkl',
  charge: 'ch_3Q1abcdefghijkl',
  created: 1_790_000_000,
  currency: 'eur',
  customer: null,
  customer_account: null,
  metadata: { order: '7' },
  payment_intent: 'pi_3Q1abcdefghijkl',
  payment_method: null,
  reason: 'requested_by_customer',
  receipt_number: null,
  source_transfer_reversal: null,
  status: 'succeeded',
  transfer_reversal: null,
};

const event = {
  id: 'evt_1',
  object: 'event',
  api_version: '2026-10-28.endive',
  created: 1_790_000_000,
  data: { object: refund, previous_attributes: { status: 'pending' } },
  livemode: false,
  pending_webhooks: 1,
  request: { id: 'req_1', idempotency_key: null },
  type: 'refund.updated',
};

const thin = {
  id: 'evt_2',
  object: 'v2.core.event',
  type: 'v1.refund.updated',
  created: '2026-11-23T17:00:00.000Z',
  livemode: false,
  related_object: { id: refund.id, type: 'refund', url: `/v1/refunds/${refund.id}` },
  snapshot_event: 'evt_1',
};

const created = (changes: object = {}, params: object = {}): Exchange => ({
  method: 'POST',
  path: '/v1/refunds',
  params: { payment_intent: refund.payment_intent, amount: '500', refund_application_fee: 'true', ...params },
  status: 200,
  body: { ...refund, ...changes },
});

describe('the checker of recorded traffic', () => {
  const checker = new SchemaChecker();
  const faults = (record: Parameters<SchemaChecker['check']>[0]) => checker.check(record).map(({ at }) => at);

  test('passes a request and an answer as Stripe types them', () => {
    expect(faults(created())).toEqual([]);
    expect(faults({ method: 'GET', path: '/v1/refunds/re_1?expand[0]=charge', status: 200, body: refund })).toEqual([]);
    expect(
      faults({
        method: 'GET',
        path: '/v1/refunds',
        params: { created: { gte: '1790000000' }, limit: '3' },
        status: 200,
        body: { object: 'list', url: '/v1/refunds', has_more: false, data: [refund] },
      }),
    ).toEqual([]);
  });

  test('finds a field that is missing, one that is unknown, one of the wrong type and a value outside of its enum', () => {
    const { currency, ...incomplete } = refund;
    expect(currency).toBe('eur');
    expect(faults({ ...created(), body: incomplete })).toEqual(['answer /currency: missing']);
    expect(faults(created({ paid_back: true }))).toEqual(['answer /paid_back: unknown']);
    expect(faults(created({ amount: '500' }))).toEqual(['answer /amount: must be number, is "500"']);
    expect(faults(created({ reason: 'regret' }))).toEqual([
      expect.stringMatching(/^answer \/reason: "regret" is none of /),
    ]);
  });

  test('looks into lists and expanded objects', () => {
    const list = {
      object: 'list',
      url: '/v1/refunds',
      has_more: false,
      data: [refund, { ...refund, charge: { object: 'charge' } }],
    };
    const found = faults({ method: 'GET', path: '/v1/refunds', status: 200, body: list });
    expect(found).toContain('answer /data/*/charge/amount_captured: missing');
  });

  test('finds a parameter that Stripe does not know, if the local Stripe accepted it', () => {
    const error = {
      type: 'invalid_request_error',
      code: 'parameter_unknown',
      message: 'Received unknown parameter: colour',
      param: 'colour',
    };
    expect(faults(created({}, { colour: 'red' }))).toEqual(['request /colour: unknown']);
    expect(faults({ ...created({}, { colour: 'red' }), status: 400, body: { error } })).toEqual([]);
    expect(faults({ ...created(), status: 400, body: { error: { ...error, hint: 'x' } } })).toEqual([
      'error /error/hint: unknown',
    ]);
  });

  test('finds an answer on a path that the SDK does not call', () => {
    expect(faults({ method: 'POST', path: '/v1/refunds/re_1/undo', status: 200, body: refund })).toEqual([
      'request: the SDK knows no such call',
    ]);
    expect(faults({ method: 'POST', path: '/_control/clock/advance', status: 200, body: {} })).toEqual([]);
  });

  test('checks a delivered event by its type, snapshot and thin', () => {
    expect(faults({ event })).toEqual([]);
    expect(faults({ event: thin })).toEqual([]);
    expect(faults({ event: { ...event, type: 'charge.refunded' } })).toContain(
      'event /data/object/object: must be "charge", is "refund"',
    );
    expect(faults({ event: { ...event, type: 'refund.regretted' } })).toEqual(['event: the SDK knows no such event']);
    expect(faults({ event: { ...event, data: { object: refund, previous_attributes: { state: 1 } } } })).toEqual([
      'event /data/previous_attributes/state: unknown',
    ]);
    expect(faults({ event: { ...thin, data: refund } })).toEqual(['event /data: unknown']);
  });

  test('checks the parameters of API v2 by their JSON types', () => {
    const post = (params: object) =>
      faults({ method: 'POST', path: '/v2/core/account_links', params, status: 200, body: link });
    const link = {
      object: 'v2.core.account_link',
      account: 'acct_1',
      created: '2026-11-23T17:00:00.000Z',
      expires_at: '2026-11-23T17:10:00.000Z',
      livemode: false,
      url: 'http://127.0.0.1/onboard',
      use_case: { type: 'account_onboarding', account_onboarding: { refresh_url: 'http://a', return_url: null } },
    };
    const onboarding = { refresh_url: 'http://a', return_url: 'http://b' };
    expect(
      post({ account: 'acct_1', use_case: { type: 'account_onboarding', account_onboarding: onboarding } }),
    ).toEqual([]);
    expect(post({ account: 1, use_case: { type: 'account_onboarding' } })).toEqual([
      'request /account: must be string, is 1',
    ]);
  });

  test('sums up a recorded file and fails with every fault once', async () => {
    const file = join(mkdtempSync(join(tmpdir(), 'exchanges-')), 'one.jsonl');
    const write = (...records: object[]) =>
      writeFileSync(file, records.map((record) => `${JSON.stringify(record)}\n`).join(''));
    write(created(), { event });
    await expect(assertExchangesValid(file, checker)).resolves.toBe(2);
    write(created({ surprise: 1 }), created({ surprise: 2 }), { event });
    await expect(assertExchangesValid(file, checker)).rejects.toThrow(
      /in 1 ways.*\n {2}POST \/v1\/refunds · answer \/surprise: unknown {2}\(2 times\)/,
    );
  });
});
