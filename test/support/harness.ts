import { createApp } from '../../src/app.js';
import { loadConfig } from '../../src/config.js';
import { type Uuid } from '../../src/shared/uuid.js';
import { aPort } from './port.js';
import { createTestDatabase, type TestDatabase } from './database.js';
import { aStripeConfig, aTenant, type Row, type TenantRow } from './factories.js';
import { startSandbox, type SandboxOptions, type TestSandbox } from './sandbox.js';
import { aToken, jwt, type Role } from './tokens.js';

export interface AppOptions {
  /** Settings on top of those of a test; empty unsets one. */
  readonly env?: Record<string, string>;
  readonly sandbox?: SandboxOptions;
  /** Another test app to share the database and the local Stripe with. Its owner stops those. */
  readonly beside?: TestApp;
  /** Whether jobs run by the clock. Not unless asked: a test runs the jobs that it is about itself. */
  readonly schedules?: boolean;
}

export interface GraphqlAnswer<T> {
  readonly status: number;
  readonly data: T | null;
  readonly errors?: {
    readonly message: string;
    readonly path?: string[];
    readonly extensions: { readonly code: string } & Row;
  }[];
}

/** The real server with its own database and its own local Stripe. */
export interface TestApp {
  /** Without a slash at the end. */
  readonly url: string;
  readonly db: TestDatabase;
  readonly sandbox: TestSandbox;
  /** What it was configured with, to start the same as a process of its own. */
  readonly env: Record<string, string>;
  /** One GraphQL request, whatever it answers. */
  graphql<T = Record<string, any>>(query: string, variables?: object, token?: string): Promise<GraphqlAnswer<T>>; // eslint-disable-line @typescript-eslint/no-explicit-any -- tests look into answers of any shape
  /** One GraphQL request that has to succeed. */
  ask<T = Record<string, any>>(query: string, variables: object, token: string): Promise<T>; // eslint-disable-line @typescript-eslint/no-explicit-any -- as above
  /** A token of somebody of that tenant. */
  token(tenant: { readonly id: Uuid } | { readonly tenantId: Uuid }, role?: Role): Promise<string>;
  /** A tenant with an account at the local Stripe that can take payments. Overrides are columns of `stripe_config`. */
  aConnectedTenant(overrides?: Row): Promise<TenantRow & { readonly accountId: string }>;
  stop(): Promise<void>;
}

/** What the server under test is configured with. */
export function testEnvironment(db: TestDatabase, sandbox: TestSandbox, port: number): Record<string, string> {
  return {
    NODE_ENV: 'test',
    HOST: '127.0.0.1',
    PORT: String(port),
    METRICS_PORT: '0',
    PUBLIC_URL: `http://127.0.0.1:${port}`,
    PROCESS_ROLE: 'all',
    LOG_LEVEL: process.env.TEST_LOG_LEVEL ?? 'fatal',
    DATABASE_URL: db.url,
    // Each connection is a process: as many as one test needs, not as many as there is room for.
    DATABASE_POOL_SIZE: '4',
    READ_CONNECTIONS: '1',
    STRIPE_MODE: 'test',
    STRIPE_TEST_SECRET_KEY: sandbox.secretKey,
    STRIPE_TEST_PUBLISHABLE_KEY: sandbox.publishableKey,
    STRIPE_WEBHOOK_SECRET: sandbox.webhookSecrets.snapshot,
    STRIPE_WEBHOOK_SECRET_THIN: sandbox.webhookSecrets.thin,
    STRIPE_API_BASE: sandbox.url,
    JWT_SECRET: jwt.secret,
    JWT_ISSUER: jwt.issuer,
    JWT_AUDIENCE: jwt.audience,
    INTROSPECTION: 'true',
  };
}

/** Starts everything a test of the whole server needs; takes about half a second. */
export async function startApp(options: AppOptions = {}): Promise<TestApp> {
  const port = await aPort();
  const { beside } = options;
  const webhookUrl = `http://127.0.0.1:${port}/api/stripe/webhook`;
  const [db, sandbox] = beside
    ? [beside.db, beside.sandbox]
    : await Promise.all([createTestDatabase(), startSandbox({ webhookUrl, ...options.sandbox })]);
  const env = { ...testEnvironment(db, sandbox, port), ...options.env };
  const app = await createApp(loadConfig(env), { schedules: options.schedules ?? false });
  const { url } = await app.start();

  const graphql: TestApp['graphql'] = async <T>(query: string, variables: object = {}, token?: string) => {
    const response = await fetch(`${url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) },
      body: JSON.stringify({ query, variables }),
    });
    return { status: response.status, ...((await response.json()) as Omit<GraphqlAnswer<T>, 'status'>) };
  };
  return {
    url,
    db,
    sandbox,
    env,
    graphql,
    ask: async <T>(query: string, variables: object, token: string) => {
      const { data, errors } = await graphql<T>(query, variables, token);
      if (errors) throw new Error(errors.map(({ extensions, message }) => `${extensions.code}: ${message}`).join('\n'));
      return data!;
    },
    token: (tenant, role = 'admin') => aToken({ tenantId: 'id' in tenant ? tenant.id : tenant.tenantId, role }),
    aConnectedTenant: async (overrides = {}) => {
      const tenant = await aTenant(db);
      const form = {
        country: 'US',
        'controller[stripe_dashboard][type]': 'express',
        'controller[fees][payer]': 'account',
        'controller[losses][payments]': 'stripe',
        'capabilities[card_payments][requested]': 'true',
        'capabilities[transfers][requested]': 'true',
      };
      const { id } = await sandbox.api<{ id: string }>('POST', '/v1/accounts', { form });
      await aStripeConfig(db, { tenantId: tenant.id, stripe_account_id: id, ...overrides });
      await sandbox.control(`/accounts/${id}/onboard`, {});
      return { ...tenant, accountId: id };
    },
    stop: async () => {
      await app.stop();
      if (beside) return;
      await sandbox.stop();
      await db.drop();
    },
  };
}
