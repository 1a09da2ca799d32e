import { readFileSync } from 'node:fs';
import { ConfigError, loadConfig, settings } from '../src/config.js';

const valid = {
  DATABASE_URL: 'postgres://app@127.0.0.1/psa',
  STRIPE_TEST_PUBLISHABLE_KEY: 'pk_test_local_1',
  STRIPE_TEST_SECRET_KEY: 'sk_test_local_1',
  JWT_SECRET: 'x'.repeat(32),
  JWT_ISSUER: 'https://psa.test',
  JWT_AUDIENCE: 'psa-payments',
};
const live = {
  ...valid,
  STRIPE_MODE: 'live',
  STRIPE_LIVE_PUBLISHABLE_KEY: 'pk_live_local_1',
  STRIPE_LIVE_SECRET_KEY: 'sk_live_local_1',
  LINK_SECRET: 'y'.repeat(32),
};

function problemsOf(env: Record<string, string | undefined>): readonly string[] {
  try {
    loadConfig(env);
    return [];
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return (error as ConfigError).problems;
  }
}

test('what is not set has the value that the example names', () => {
  expect(loadConfig(valid)).toMatchObject({
    processRole: 'all',
    port: 4000,
    publicUrl: 'http://localhost:4000',
    returnUrlOrigins: ['http://localhost:4000'],
    trustProxy: false,
    explorer: false,
    introspection: false,
    stripe: {
      livemode: false,
      secretKey: 'sk_test_local_1',
      accountsApi: 'v2',
      webhookSecrets: { snapshot: [], thin: [] },
    },
  });
});

test('an empty value counts as not set', () => {
  const empty = Object.fromEntries(Object.keys(settings.shape).map((name) => [name, '']));
  expect(loadConfig({ ...empty, ...valid })).toEqual(loadConfig(valid));
});

test('lists are separated by commas', () => {
  const config = loadConfig({
    ...valid,
    STRIPE_WEBHOOK_SECRET: 'whsec_a, whsec_b',
    RETURN_URL_ORIGINS: 'https://a.example,http://localhost:3000',
  });
  expect(config.stripe.webhookSecrets.snapshot).toEqual(['whsec_a', 'whsec_b']);
  expect(config.returnUrlOrigins).toEqual(['https://a.example', 'http://localhost:3000']);
});

test('all culprits are named at once, and no value is shown', () => {
  const problems = problemsOf({
    PORT: 'seven',
    PROCESS_ROLE: 'both',
    STRIPE_TEST_SECRET_KEY: 'very-secret',
    JWT_SECRET: 'short-secret',
    SMTP_URL: 'mail',
  }).join('\n');
  for (const name of [
    'PORT',
    'PROCESS_ROLE',
    'DATABASE_URL must be',
    'STRIPE_TEST_PUBLISHABLE_KEY must be set',
    'STRIPE_TEST_SECRET_KEY must begin with sk_test_',
    'JWT_SECRET must have at least 32',
    'JWT_ISSUER must be set',
    'JWT_AUDIENCE must be set',
    'SMTP_URL',
  ]) {
    expect(problems).toContain(name);
  }
  expect(problems).not.toMatch(/very-secret|short-secret/);
});

test('a mail server needs an address that mails come from', () => {
  const server = { ...valid, SMTP_URL: 'smtp://localhost:587' };
  expect(loadConfig(valid).mail).toBeNull();
  expect(problemsOf(server)).toEqual(['MAIL_FROM must be set when SMTP_URL is: the address that mails come from.']);
  expect(problemsOf({ ...server, MAIL_FROM: 'Billing <billing@example.com>' }).join()).toContain('MAIL_FROM must be');
  expect(loadConfig({ ...server, MAIL_FROM: 'billing@example.com' }).mail).toEqual({
    smtpUrl: 'smtp://localhost:587',
    from: 'billing@example.com',
    font: null,
  });
});

describe('keys', () => {
  test.each([
    [
      'a live secret key where the test key belongs',
      { ...valid, STRIPE_TEST_SECRET_KEY: 'sk_live_1' },
      'STRIPE_TEST_SECRET_KEY',
    ],
    [
      'a live publishable key where the test key belongs',
      { ...valid, STRIPE_TEST_PUBLISHABLE_KEY: 'pk_live_1' },
      'STRIPE_TEST_PUBLISHABLE_KEY',
    ],
    [
      'a test secret key where the live key belongs',
      { ...live, STRIPE_LIVE_SECRET_KEY: 'sk_test_1' },
      'STRIPE_LIVE_SECRET_KEY',
    ],
    [
      'a test publishable key where the live key belongs',
      { ...live, STRIPE_LIVE_PUBLISHABLE_KEY: 'pk_test_1' },
      'STRIPE_LIVE_PUBLISHABLE_KEY',
    ],
    [
      'only live keys without STRIPE_MODE=live',
      { ...live, STRIPE_MODE: '', STRIPE_TEST_SECRET_KEY: '' },
      'STRIPE_TEST_SECRET_KEY',
    ],
    ['only test keys with STRIPE_MODE=live', { ...valid, STRIPE_MODE: 'live' }, 'STRIPE_LIVE_SECRET_KEY'],
    ['no secret for links in live mode', { ...live, LINK_SECRET: '' }, 'LINK_SECRET'],
    [
      'a publishable key where the secret key belongs',
      { ...valid, STRIPE_TEST_SECRET_KEY: 'pk_test_1' },
      'STRIPE_TEST_SECRET_KEY',
    ],
  ])('%s is refused', (_, env, culprit) => {
    expect(problemsOf(env).join()).toContain(culprit);
  });

  test('the mode chooses between two complete pairs', () => {
    expect(loadConfig({ ...live, STRIPE_MODE: 'test' }).stripe).toMatchObject({
      livemode: false,
      secretKey: 'sk_test_local_1',
    });
    expect(loadConfig(live).stripe).toMatchObject({
      livemode: true,
      secretKey: 'sk_live_local_1',
      publishableKey: 'pk_live_local_1',
    });
  });

  test('live keys go nowhere but to Stripe', () => {
    expect(problemsOf({ ...live, STRIPE_API_BASE: 'http://localhost:12111' }).join()).toContain('STRIPE_API_BASE');
    expect(loadConfig({ ...valid, STRIPE_API_BASE: 'http://localhost:12111' }).stripe.apiBase).toBe(
      'http://localhost:12111',
    );
  });
});

test('tokens are checked by a secret or by published keys, not by both and not by neither', () => {
  expect(problemsOf({ ...valid, JWT_SECRET: '' }).join()).toContain('JWT_SECRET or JWKS_URL');
  expect(problemsOf({ ...valid, JWKS_URL: 'https://psa.test/jwks' }).join()).toContain('not both');
  expect(loadConfig({ ...valid, JWT_SECRET: '', JWKS_URL: 'https://psa.test/jwks' }).auth.jwksUrl).toBe(
    'https://psa.test/jwks',
  );
});

test('a token is not shown to everybody in production', () => {
  expect(problemsOf({ ...valid, EXPLORER_TOKEN: 'x' }).join()).toContain('EXPLORER_TOKEN');
  expect(loadConfig({ ...valid, NODE_ENV: 'development', EXPLORER: '1', EXPLORER_TOKEN: 'x' })).toMatchObject({
    explorer: true,
    introspection: true,
  });
});

test.each(['true', '*', 'all'])('TRUST_PROXY=%s is refused: anybody could claim any address', (value) => {
  expect(problemsOf({ ...valid, TRUST_PROXY: value }).join()).toContain('TRUST_PROXY');
});

test.each(['https://a.example/', 'https://a.example/path', 'javascript:alert(1)', '*'])('%s is no origin', (value) => {
  expect(problemsOf({ ...valid, RETURN_URL_ORIGINS: value }).join()).toContain('RETURN_URL_ORIGINS');
});

test('.env.example lists every setting, each with a comment, and its values are valid', () => {
  const lines = readFileSync('.env.example', 'utf8').split('\n');
  const names = lines.flatMap((line, i) => {
    const name = /^([A-Z0-9_]+)=/.exec(line)?.[1];
    if (name) expect(lines[i - 1]).toMatch(/^# \S/);
    return name ? [name] : [];
  });
  expect(names.toSorted()).toEqual(Object.keys(settings.shape).toSorted());
  const example = Object.fromEntries(
    lines.filter((line) => /^[A-Z]/.test(line)).map((line) => line.split('=') as [string, string]),
  );
  expect(loadConfig({ ...example, ...valid })).toEqual(loadConfig(valid));
});
