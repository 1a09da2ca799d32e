import { type IncomingHttpHeaders } from 'node:http';
import { invalid, StripeError } from './errors.js';
import { type KeyKind } from './context.js';
import { type Sandbox } from './sandbox.js';

export interface Caller {
  account: string;
  version: string;
  key: KeyKind;
}

/**
 * Who calls, for which account, in which version. {@link https://docs.stripe.com/api/authentication} {@link https://docs.stripe.com/connect/authentication}
 * @throws StripeError 401 without a valid key; 403 `account_invalid` for an account that is not there or not connected any more
 */
export function authenticate(sandbox: Sandbox, headers: IncomingHttpHeaders, raw: Record<string, unknown>): Caller {
  const key = bearer(headers) ?? browserKey(raw);
  if (key === null) {
    throw new StripeError(
      401,
      "You did not provide an API key. You need to provide your API key in the Authorization header, using Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY'). See https://stripe.com/docs/api#authentication for details, or we can help at https://support.stripe.com/.",
    );
  }
  const kind = kindOf(sandbox, key);
  if (kind === null) throw new StripeError(401, `Invalid API Key provided: ${masked(key)}`);
  const version = versionOf(headers['stripe-version'] ?? take(raw, '_stripe_version'), sandbox.version);
  const named = headers['stripe-account'] ?? take(raw, '_stripe_account') ?? contextAccount(headers['stripe-context']);
  const account = typeof named === 'string' && named !== '' ? named : sandbox.platform;
  if (account !== sandbox.platform && !sandbox.isConnected(account)) {
    throw new StripeError(
      403,
      `The provided key '${masked(key)}' does not have access to account '${account}' (or that account does not exist). Application access may have been revoked.`,
      { code: 'account_invalid' },
    );
  }
  return { account, version, key: kind };
}

function bearer(headers: IncomingHttpHeaders): string | null {
  const header = headers.authorization;
  if (!header) return null;
  const [scheme = '', value = ''] = header.split(/\s+/, 2);
  if (/^bearer$/i.test(scheme)) return value;
  if (/^basic$/i.test(scheme)) return Buffer.from(value, 'base64').toString('utf8').split(':')[0] ?? '';
  return null;
}

/** Stripe.js puts its publishable key into the form. */
function browserKey(raw: Record<string, unknown>): string | null {
  const key = raw['key'];
  if (typeof key !== 'string' || !key.startsWith('pk_')) return null;
  delete raw['key'];
  return key;
}

function take(raw: Record<string, unknown>, name: string): string | undefined {
  const value = raw[name];
  if (typeof value !== 'string') return undefined;
  delete raw[name];
  return value;
}

function kindOf(sandbox: Sandbox, key: string): KeyKind | null {
  const pinned = sandbox.options.keys;
  if (/^pk_test_\w+$/.test(key)) return 'publishable';
  if (!/^(sk|rk)_test_\w+$/.test(key)) return null;
  return pinned.length === 0 || pinned.includes(key) ? 'secret' : null;
}

function contextAccount(context: string | string[] | undefined): string | undefined {
  return typeof context === 'string' ? context.split('/').at(-1) : undefined;
}

function versionOf(asked: string | string[] | undefined, fallback: string): string {
  if (asked === undefined) return fallback;
  if (typeof asked !== 'string' || !/^\d{4}-\d\d-\d\d(\.[\w]+)?(;.*)?$/.test(asked))
    throw invalid(`Invalid Stripe API version: ${String(asked)}`);
  return asked;
}

/** A key as Stripe shows it in errors: never whole. */
function masked(key: string): string {
  return key.length > 12 ? `${key.slice(0, 8)}${'*'.repeat(Math.min(24, key.length - 12))}${key.slice(-4)}` : '****';
}
