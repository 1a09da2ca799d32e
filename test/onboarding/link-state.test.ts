import { linkLifetime, LinkStates, type LinkState } from '../../src/features/onboarding/link-state.js';
import { newUuid } from '../../src/shared/uuid.js';

let now = 1_800_000_000_000;
const clock = { now: () => new Date(now) };
const states = new LinkStates('a secret of this installation', clock);
const state: LinkState = {
  tenantId: newUuid(),
  accountId: 'acct_1',
  livemode: false,
  type: 'ONBOARDING',
  returnUrl: 'https://app.example.com/done',
  refreshUrl: 'https://app.example.com/again',
};

test('what was signed is read back, by any process that has the secret', () => {
  const token = states.sign('complete', state);
  expect(token).toMatch(/^[\w-]+\.[\w-]+$/);
  expect(new LinkStates('a secret of this installation', clock).read('complete', token)).toMatchObject({
    ...state,
    isExpired: false,
  });
});

test('a state of another installation, of another purpose or with one character changed is not ours', () => {
  const token = states.sign('refresh', state);
  expect(new LinkStates('another secret', clock).read('refresh', token)).toBeNull();
  expect(states.read('complete', token)).toBeNull();
  const [body = '', signature = ''] = token.split('.');
  const forged = Buffer.from(JSON.stringify({ ...state, tenantId: newUuid(), purpose: 'refresh', expires: now * 2 }));
  for (const bad of [
    `${forged.toString('base64url')}.${signature}`,
    `${body}.${'A'.repeat(signature.length)}`,
    `${body}.`,
    body,
    `${token}.x`,
    '',
    '.',
    undefined,
    ['a', 'b'],
    'x'.repeat(9_000),
  ])
    expect(states.read('refresh', bad)).toBeNull();
});

test('a refresh state is good for an hour, and says afterwards only where its user wanted to go', () => {
  const token = states.sign('refresh', state);
  now += linkLifetime.refresh - 1;
  expect(states.read('refresh', token)?.isExpired).toBe(false);
  now += 1;
  expect(states.read('refresh', token)).toMatchObject({ isExpired: true, refreshUrl: state.refreshUrl });
});
