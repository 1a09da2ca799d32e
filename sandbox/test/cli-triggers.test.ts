import { startSandbox, type RunningSandbox } from '../src/server.js';
import { StripeCli } from '../tools/stripe-cli.mjs';

// A small dose, one of each kind; `npm run triggers -w local-stripe` runs all that the CLI knows.
const events = [
  'balance.available',
  'charge.dispute.closed',
  'charge.refund.updated',
  'charge.succeeded',
  'charge.captured',
  'charge.failed',
  'customer.deleted',
  'payment_intent.requires_action',
  'payment_intent.succeeded',
  'payment_method.attached',
  'payout.created',
  'setup_intent.setup_failed',
];

describe("Stripe's own CLI", () => {
  const apiKey = 'sk_test_local_cli';
  const cli = new StripeCli();
  let local: RunningSandbox;
  let account: string;

  const call = async (
    method: string,
    path: string,
    form?: Record<string, string>,
    headers: object = {},
  ): Promise<{ id: string; data: unknown[] }> => {
    const body = form && { body: new URLSearchParams(form) };
    const response = await fetch(`${local.url}${path}`, {
      method,
      headers: { authorization: `Bearer ${apiKey}`, ...headers },
      ...body,
    });
    return response.json() as Promise<{ id: string; data: unknown[] }>;
  };

  beforeAll(async () => {
    local = await startSandbox();
    ({ id: account } = await call('POST', '/v1/accounts', { country: 'US', type: 'standard' }));
    await call('POST', `/_control/accounts/${account}/onboard`, {});
  });
  afterAll(async () => {
    cli.close();
    await local.stop();
  });

  test('knows more than a hundred events', async () => {
    expect((await cli.events()).length).toBeGreaterThan(100);
  });

  test.each(events)('triggers %s on the platform and on a connected account', async (event) => {
    const target = { apiBase: local.url, apiKey };
    const results = await Promise.all([cli.trigger(event, target), cli.trigger(event, { ...target, account })]);
    expect(results.map(({ ok, reason }) => ({ ok, reason }))).toEqual([
      { ok: true, reason: '' },
      { ok: true, reason: '' },
    ]);
    for (const headers of [{}, { 'stripe-account': account }]) {
      const seen = await call('GET', `/v1/events?type=${event}`, undefined, headers);
      expect(seen.data.length).toBeGreaterThan(0);
    }
  });
});
