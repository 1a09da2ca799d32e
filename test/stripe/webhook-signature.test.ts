import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import Stripe from 'stripe';
import { verifyWebhook, WebhookSignatureError, type WebhookSecrets } from '../../src/stripe/webhook-signature.js';

const sdk = new Stripe('sk_test_local_signatures');
const at = 1_764_000_000;
const now = new Date(at * 1_000);
const snapshot = JSON.stringify({ id: 'evt_1', object: 'event', type: 'charge.updated', data: { object: {} } });
const thin = JSON.stringify({ id: 'evt_2', object: 'v2.core.event', type: 'v2.core.account.updated' });
const secrets: WebhookSecrets = { snapshot: ['whsec_s_new', 'whsec_s_old'], thin: ['whsec_t_new', '', 'whsec_t_old'] };

const sign = (payload: string, secret: string, timestamp = at) =>
  sdk.webhooks.generateTestHeaderString({ payload, secret, timestamp });

const verify = (payload: string, header: string | undefined, using = secrets) =>
  verifyWebhook(Buffer.from(payload), header, using, now);

function reasonOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof WebhookSignatureError) return error.reason;
    throw error;
  }
  return 'accepted';
}

test.each(['whsec_s_new', 'whsec_s_old'])('a snapshot event signed with %s is read', (secret) => {
  expect(verify(snapshot, sign(snapshot, secret))).toMatchObject({ kind: 'SNAPSHOT', event: { id: 'evt_1' } });
});

test.each(['whsec_t_new', 'whsec_t_old'])('a thin event signed with %s is read', (secret) => {
  expect(verify(thin, sign(thin, secret))).toMatchObject({ kind: 'THIN', notification: { id: 'evt_2' } });
});

test('one secret may serve both kinds, as with the CLI', () => {
  const both = { snapshot: ['whsec_cli'], thin: ['whsec_cli'] };
  expect(verify(snapshot, sign(snapshot, 'whsec_cli'), both).kind).toBe('SNAPSHOT');
  expect(verify(thin, sign(thin, 'whsec_cli'), both).kind).toBe('THIN');
});

test('a thin event signed with the secret for snapshots is refused', () => {
  expect(reasonOf(() => verify(thin, sign(thin, 'whsec_s_new')))).toBe('wrong-kind');
});

test('one matching signature among several is enough', () => {
  const [time, good] = sign(snapshot, 'whsec_s_new').split(',');
  expect(verify(snapshot, `${time},v0=1,v1=${'0'.repeat(64)},${good}`).kind).toBe('SNAPSHOT');
});

test.each<[string, string, () => string | undefined]>([
  ['missing', 'no header', () => undefined],
  ['missing', 'an empty header', () => ''],
  ['malformed', 'a header of another shape', () => 'sha256=abc'],
  ['malformed', 'no time', () => sign(snapshot, 'whsec_s_new').replace(/^t=\d+,/, '')],
  ['malformed', 'a time that is no number', () => `t=NaN,v1=${hmac(`NaN.${snapshot}`, 'whsec_s_new')}`],
  ['malformed', 'only another scheme', () => sign(snapshot, 'whsec_s_new').replace('v1=', 'v0=')],
  ['mismatch', 'a secret that is not ours', () => sign(snapshot, 'whsec_other')],
  ['mismatch', 'a blank secret, although one is configured', () => `t=${at},v1=${hmac(`${at}.${snapshot}`, '')}`],
  ['mismatch', 'another body', () => sign(`${snapshot} `, 'whsec_s_new')],
  ['mismatch', 'another time', () => sign(snapshot, 'whsec_s_new').replace(`t=${at}`, `t=${at + 1}`)],
  ['stale', '301 s ago', () => sign(snapshot, 'whsec_s_new', at - 301)],
  ['future', '301 s ahead', () => sign(snapshot, 'whsec_s_new', at + 301)],
  ['accepted', '300 s ago', () => sign(snapshot, 'whsec_s_new', at - 300)],
  ['accepted', '300 s ahead', () => sign(snapshot, 'whsec_s_new', at + 300)],
  ['wrong-kind', 'the other kind’s secret', () => sign(snapshot, 'whsec_t_new')],
])('%s: %s', (reason, _, header) => {
  expect(reasonOf(() => verify(snapshot, header()))).toBe(reason);
});

test.each(['', 'hello', 'null', '[]', '{}', '{"id":"evt_1"}'])('authentic, but no event: %p', (body) => {
  expect(reasonOf(() => verify(body, sign(body, 'whsec_s_new')))).toBe('not-json');
});

test('with no secrets at all nothing is authentic', () => {
  const none = { snapshot: [' '], thin: [] };
  expect(reasonOf(() => verify(snapshot, `t=${at},v1=${hmac(`${at}.${snapshot}`, ' ')}`, none))).toBe('mismatch');
});

test('the SDK judges every signature as we do, but for times ahead of ours', () => {
  const secret = fc.constantFrom('whsec_s_new', 'whsec_s_old', 'whsec_t_new', 'whsec_t_old', 'whsec_stranger');
  const payload = fc
    .record({ type: fc.string({ minLength: 1 }), note: fc.string({ unit: 'grapheme' }), isThin: fc.boolean() })
    .map(({ isThin, ...rest }) => JSON.stringify({ id: 'evt_1', object: isThin ? 'v2.core.event' : 'event', ...rest }));
  const damage = fc.constantFrom<(header: string) => string>(
    (header) => header,
    (header) => header.replace(/.$/, (last) => (last === '0' ? '1' : '0')),
    (header) => header.replace('v1=', 'v2='),
    (header) => `${header},v1=${'f'.repeat(64)}`,
    (header) => header.split(',').reverse().join(','),
  );
  fc.assert(
    fc.property(payload, secret, fc.integer({ min: -600, max: 600 }), damage, (body, signedWith, offset, harm) => {
      const header = harm(sign(body, signedWith, at + offset));
      const theirs = judgeBySdk(body, header);
      const ours = reasonOf(() => verify(body, header));
      if (offset > 300) expect(ours).not.toBe('accepted');
      else expect(ours === 'accepted').toBe(theirs);
    }),
    { numRuns: 2_000 },
  );
});

test('a thousand deliveries take well under a second', () => {
  const body = JSON.stringify({ id: 'evt_1', object: 'event', type: 'charge.updated', filler: 'x'.repeat(4_000) });
  const header = sign(body, 'whsec_s_old');
  const start = performance.now();
  for (let i = 0; i < 1_000; i += 1) verify(body, header);
  expect(performance.now() - start).toBeLessThan(500);
});

/** As Stripe's documentation has it: the parser of the kind, with each secret of the kind in turn. */
function judgeBySdk(body: string, header: string): boolean {
  const read = [
    ...secrets.snapshot.map(
      (secret) => () => sdk.webhooks.constructEvent(body, header, secret, 300, undefined, at * 1_000),
    ),
    ...secrets.thin.map((secret) => () => sdk.parseEventNotification(body, header, secret, 300, undefined, at * 1_000)),
  ];
  return read.some((attempt) => {
    try {
      return Boolean(attempt());
    } catch {
      return false;
    }
  });
}

function hmac(text: string, secret: string): string {
  return createHmac('sha256', secret).update(text).digest('hex');
}
