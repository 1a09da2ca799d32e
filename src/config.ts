import { hkdfSync } from 'node:crypto';
import { existsSync } from 'node:fs';
import * as z from 'zod';
import { isAddress } from './shared/address.js';

/** Settings that the process cannot run with. One line per culprit; values are not shown, they may be secrets. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';

  constructor(readonly problems: readonly string[]) {
    super(`The configuration is wrong:\n${problems.map((problem) => `  - ${problem}`).join('\n')}`);
  }
}

const port = (fallback: number) => z.coerce.number().int().min(0).max(65_535).default(fallback);
const count = (fallback: number, min = 1) => z.coerce.number().int().min(min).max(1_000_000).default(fallback);
const flag = z
  .enum(['true', 'false', '1', '0'])
  .transform((value) => value === 'true' || value === '1')
  .optional();
const listOf = (element: z.ZodType<string, string>) =>
  z
    .string()
    .default('')
    .transform((text) =>
      text
        .split(',')
        .map((part) => part.trim())
        .filter((part) => part !== ''),
    )
    .pipe(z.array(element));
const webUrl = z.url({ protocol: /^https?$/, error: 'must be an http or https URL' });
const postgresUrl = z.url({ protocol: /^postgres(ql)?$/, error: 'must be a postgres:// URL' });
const key = (prefix: string, shape: RegExp) => z.string().regex(shape, `must begin with ${prefix}`).optional();
const webhookSecret = z.string().regex(/^whsec_/, 'must be a list of secrets that begin with whsec_');
const origin = webUrl.refine(
  (url) => URL.canParse(url) && new URL(url).origin === url,
  'must be a list of origins, like https://app.example.com',
);

/** Every setting there is. Empty counts as not set. `.env.example` says what each is for. */
export const settings = z.object({
  NODE_ENV: z.enum(['development', 'test', 'production']).default('production'),
  PROCESS_ROLE: z.enum(['api', 'worker', 'all']).default('all'),
  HOST: z.string().default('0.0.0.0'),
  PORT: port(4000),
  METRICS_PORT: port(9464),
  PUBLIC_URL: webUrl.optional(),
  TRUST_PROXY: z
    .string()
    .regex(/^(\d{1,2}|[0-9a-fA-F:.,/ ]+|loopback)$/, 'must be a number of proxies or a list of networks')
    .optional(),
  SHUTDOWN_TIMEOUT_MS: count(30_000),

  DATABASE_URL: postgresUrl,
  MIGRATION_DATABASE_URL: postgresUrl.optional(),
  DATABASE_DIRECT_URL: postgresUrl.optional(),
  DATABASE_POOL_SIZE: count(10),
  READ_CONNECTIONS: count(4),

  STRIPE_MODE: z.enum(['test', 'live']).default('test'),
  STRIPE_TEST_PUBLISHABLE_KEY: key('pk_test_', /^pk_test_/),
  STRIPE_TEST_SECRET_KEY: key('sk_test_ or rk_test_', /^[sr]k_test_/),
  STRIPE_LIVE_PUBLISHABLE_KEY: key('pk_live_', /^pk_live_/),
  STRIPE_LIVE_SECRET_KEY: key('sk_live_ or rk_live_', /^[sr]k_live_/),
  STRIPE_WEBHOOK_SECRET: listOf(webhookSecret),
  STRIPE_WEBHOOK_SECRET_THIN: listOf(webhookSecret),
  STRIPE_CLIENT_ID: z.string().regex(/^ca_/, 'must begin with ca_').optional(),
  STRIPE_ACCOUNTS_API: z.enum(['v1', 'v2']).default('v2'),
  STRIPE_API_BASE: webUrl.optional(),
  STRIPE_TIMEOUT_MS: count(15_000),
  SANDBOX_PORT: port(12111),

  JWT_SECRET: z.string().min(32, 'must have at least 32 characters').optional(),
  JWKS_URL: webUrl.optional(),
  JWT_ISSUER: z.string({ error: 'must be set: the `iss` of the tokens' }),
  JWT_AUDIENCE: z.string({ error: 'must be set: the `aud` of the tokens' }),

  RETURN_URL_ORIGINS: listOf(origin),
  LINK_SECRET: z.string().min(32, 'must have at least 32 characters').optional(),
  SMTP_URL: z.url({ protocol: /^smtps?$/, error: 'must be an smtp:// URL' }).optional(),
  MAIL_FONT: z
    .string()
    .refine((path) => existsSync(path), 'must be the path of a font file')
    .optional(),
  MAIL_FROM: z.string().refine(isAddress, 'must be one e-mail address, without a name: billing@example.com').optional(),

  RATE_LIMIT_PER_MINUTE: count(3_000),
  EVENT_RETENTION_DAYS: count(400),
  LOG_LEVEL: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).default('info'),
  EXPLORER: flag,
  EXPLORER_TOKEN: z.string().optional(),
  INTROSPECTION: flag,
  PERSISTED_DOCUMENTS: z.string().optional(),
  PERSISTED_ONLY: flag,
});

export type Config = ReturnType<typeof arrange>;

/**
 * Reads the environment once, at the start.
 * @throws ConfigError naming everything that is wrong with it
 * @example const config = loadConfig(process.env);
 */
export function loadConfig(env: Readonly<Record<string, string | undefined>>): Config {
  const set = Object.fromEntries(
    Object.keys(settings.shape).flatMap((name) => (env[name]?.trim() ? [[name, env[name].trim()]] : [])),
  );
  const parsed = settings.safeParse(set);
  const problems = [...(parsed.error?.issues.map(problemOf) ?? []), ...contradictions(set)];
  if (problems.length || !parsed.success) throw new ConfigError([...new Set(problems)]);
  return arrange(parsed.data);
}

/** What is right by itself, but not together. Looks at the raw settings, so that it can speak even when others are wrong. */
function contradictions(env: Readonly<Record<string, string | undefined>>): string[] {
  const mode = env.STRIPE_MODE === 'live' ? 'live' : 'test';
  const found: string[] = [];
  for (const name of [`STRIPE_${mode.toUpperCase()}_PUBLISHABLE_KEY`, `STRIPE_${mode.toUpperCase()}_SECRET_KEY`]) {
    if (!env[name]) found.push(`${name} must be set: STRIPE_MODE is ${mode}.`);
  }
  if (mode === 'live' && env.STRIPE_API_BASE) {
    found.push('STRIPE_API_BASE must not be set when STRIPE_MODE is live: live keys go to Stripe and nowhere else.');
  }
  if (mode === 'live' && !env.LINK_SECRET) {
    found.push(
      'LINK_SECRET must be set when STRIPE_MODE is live: links that customers hold must outlive a change of the Stripe key.',
    );
  }
  if (env.SMTP_URL && !env.MAIL_FROM) {
    found.push('MAIL_FROM must be set when SMTP_URL is: the address that mails come from.');
  }
  if (!env.JWT_SECRET === !env.JWKS_URL) {
    found.push('JWT_SECRET or JWKS_URL must be set, and not both: it says who may issue tokens.');
  }
  if (env.NODE_ENV !== 'development' && env.NODE_ENV !== 'test' && env.EXPLORER_TOKEN) {
    found.push('EXPLORER_TOKEN must not be set in production: it is shown to everybody who opens the explorer.');
  }
  if (/^(true|1)$/.test(env.PERSISTED_ONLY ?? '') && !env.PERSISTED_DOCUMENTS) {
    found.push('PERSISTED_DOCUMENTS must be set when PERSISTED_ONLY is: nothing would be answered.');
  }
  return found;
}

function problemOf({ path, message, code }: z.core.$ZodIssue): string {
  const text = code === 'invalid_type' && /received undefined/.test(message) ? 'must be set' : message;
  return `${String(path[0])} ${text.replace(/^Invalid/, 'is invalid: Invalid')}.`;
}

function arrange(env: z.output<typeof settings>) {
  const livemode = env.STRIPE_MODE === 'live';
  const secretKey = (livemode ? env.STRIPE_LIVE_SECRET_KEY : env.STRIPE_TEST_SECRET_KEY)!;
  const publicUrl = (env.PUBLIC_URL ?? `http://localhost:${env.PORT}`).replace(/\/$/, '');
  const explorer = env.EXPLORER ?? false;
  return {
    environment: env.NODE_ENV,
    processRole: env.PROCESS_ROLE,
    host: env.HOST,
    /** 0 lets the system choose. */
    port: env.PORT,
    metricsPort: env.METRICS_PORT,
    /** Where browsers and Stripe reach this server; no slash at the end. */
    publicUrl,
    trustProxy: trustProxyOf(env.TRUST_PROXY),
    shutdownTimeoutMs: env.SHUTDOWN_TIMEOUT_MS,
    logLevel: env.LOG_LEVEL,
    database: {
      /** The runtime role. */
      url: env.DATABASE_URL,
      /** The role that owns the tables. Only for migrating. */
      migrationUrl: env.MIGRATION_DATABASE_URL,
      /** The same role past any pooler, for what needs a session: LISTEN. */
      listenUrl: env.DATABASE_DIRECT_URL,
      poolSize: env.DATABASE_POOL_SIZE,
      readConnections: env.READ_CONNECTIONS,
    },
    stripe: {
      livemode,
      secretKey,
      publishableKey: (livemode ? env.STRIPE_LIVE_PUBLISHABLE_KEY : env.STRIPE_TEST_PUBLISHABLE_KEY)!,
      webhookSecrets: { snapshot: env.STRIPE_WEBHOOK_SECRET, thin: env.STRIPE_WEBHOOK_SECRET_THIN },
      clientId: env.STRIPE_CLIENT_ID,
      accountsApi: env.STRIPE_ACCOUNTS_API,
      apiBase: env.STRIPE_API_BASE,
      timeoutMs: env.STRIPE_TIMEOUT_MS,
    },
    sandboxPort: env.SANDBOX_PORT,
    auth: {
      secret: env.JWT_SECRET,
      jwksUrl: env.JWKS_URL,
      issuer: env.JWT_ISSUER,
      audience: env.JWT_AUDIENCE,
    },
    /** The first is where paths are on. Never empty. */
    returnUrlOrigins: env.RETURN_URL_ORIGINS.length ? env.RETURN_URL_ORIGINS : [new URL(publicUrl).origin],
    /** Signs what leaves the server and comes back: the same for all processes of an installation. */
    linkSecret: env.LINK_SECRET ?? Buffer.from(hkdfSync('sha256', secretKey, '', 'links', 32)).toString('base64url'),
    /** Null: nothing is mailed, and nothing is taken down to be mailed. */
    mail: env.SMTP_URL ? { smtpUrl: env.SMTP_URL, from: env.MAIL_FROM!, font: env.MAIL_FONT ?? null } : null,
    /** Requests a tenant may make. */
    rateLimitPerMinute: env.RATE_LIMIT_PER_MINUTE,
    eventRetentionDays: env.EVENT_RETENTION_DAYS,
    explorer,
    /** A token that the explorer starts with. Development only. */
    explorerToken: env.EXPLORER_TOKEN,
    introspection: env.INTROSPECTION ?? explorer,
    persistedDocuments: env.PERSISTED_DOCUMENTS
      ? { path: env.PERSISTED_DOCUMENTS, isStrict: env.PERSISTED_ONLY ?? false }
      : null,
  };
}

/** Never `true`: then anybody could claim any address. */
function trustProxyOf(setting: string | undefined): number | string | false {
  if (setting === undefined) return false;
  return /^\d+$/.test(setting) ? Number(setting) : setting;
}
