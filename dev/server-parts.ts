import { entities } from '../mikro-orm.config.js';
import { ConfigError, loadConfig, type Config } from '../src/config.js';
import { Database } from '../src/db/database.js';
import { createOrm } from '../src/db/orm.js';
import { assertSafeRole } from '../src/db/runtime-role.js';
import { systemClock } from '../src/shared/clock.js';
import { createLogger } from '../src/shared/logger.js';
import { StripeService } from '../src/stripe/stripe.service.js';
import { readDevFile } from './dev-file.js';
import { isEmbedded, loadDotEnv, localSecrets } from './local-directory.js';

/** What jobs at the command line are made of: the same database and the same Stripe as the server's. */
export interface ServerParts {
  readonly config: Config;
  readonly database: Database;
  readonly stripe: StripeService;
  readonly clock: typeof systemClock;
  readonly logger: ReturnType<typeof createLogger>;
  close(): Promise<void>;
}

/** Something the person at the terminal has to put right. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** Of the server that is configured, or of the `npm start` that runs on this machine. */
export async function connectParts(): Promise<ServerParts> {
  const config = loadConfig(isEmbedded(process.env) ? await localEnvironment() : process.env);
  const { url, poolSize } = config.database;
  await assertSafeRole(url);
  const logger = createLogger('error');
  const orm = createOrm({ url, poolSize, entities, logger });
  const { livemode, secretKey, publishableKey, apiBase } = config.stripe;
  const stripe = new StripeService({ secretKey, publishableKey, livemode, ...(apiBase && { apiBase }), logger });
  return {
    config,
    database: new Database(orm, livemode),
    stripe,
    clock: systemClock,
    logger,
    close: async () => {
      stripe.close();
      await orm.close(true);
    },
  };
}

async function localEnvironment(): Promise<NodeJS.ProcessEnv> {
  const dev = await readDevFile();
  if (!dev)
    throw new UsageError('Nothing runs here: start it with `npm start`, or set DATABASE_URL and the Stripe keys.');
  const secrets = await localSecrets();
  return {
    NODE_ENV: 'development',
    STRIPE_MODE: 'test',
    STRIPE_TEST_SECRET_KEY: secrets.stripe.secretKey,
    STRIPE_TEST_PUBLISHABLE_KEY: dev.publishableKey,
    ...(dev.sandboxUrl && { STRIPE_API_BASE: dev.sandboxUrl }),
    JWT_SECRET: secrets.jwt,
    JWT_ISSUER: 'psa-payments-dev',
    JWT_AUDIENCE: 'psa-payments',
    ...process.env,
    DATABASE_URL: dev.databaseUrl,
  };
}

/**
 * Runs a command and ends with its exit code: 0 done, 1 failed, 2 misused, and 3 where it says so.
 * @param usage printed with what is wrong with the arguments
 */
export async function runCommand(usage: string, work: () => Promise<number>): Promise<void> {
  loadDotEnv();
  try {
    process.exitCode = await work();
  } catch (error) {
    const isMisuse = error instanceof UsageError || (error as { code?: string }).code?.startsWith('ERR_PARSE_ARGS');
    if (isMisuse) console.error(`${(error as Error).message}\n\n${usage}`);
    else console.error(error instanceof ConfigError ? error.message : error);
    process.exitCode = isMisuse ? 2 : 1;
  }
}
