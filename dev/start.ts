import { existsSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createApp } from '../src/app.js';
import { ConfigError, loadConfig } from '../src/config.js';
import { grantRuntimeRoles } from '../src/db/grants.js';
import { migrateUp, MigrationError } from '../src/db/migrator.js';
import { connectDemoTenants } from './connect-demo.js';
import { issueTokens, readDevFile, removeDevFile, writeDevFile, type DevFile } from './dev-file.js';
import {
  isEmbedded,
  loadDotEnv,
  localDirectory,
  localSecrets,
  startLocalDatabase,
  writePrivately,
} from './local-directory.js';
import { startLocalStripe, type LocalStripe } from './local-stripe.js';
import { freePort } from './postgres.js';
import { commandLine, isAlive } from './processes.js';
import { demoTenants, seedRows } from './seed.js';

/** Undoes what was started, last first. */
class Teardown {
  readonly #steps: (() => Promise<unknown> | void)[] = [];
  #running: Promise<void> | undefined;

  add(step: () => Promise<unknown> | void): void {
    this.#steps.unshift(step);
  }

  get isRunning(): boolean {
    return this.#running !== undefined;
  }

  run(): Promise<void> {
    return (this.#running ??= this.#runAll());
  }

  async #runAll(): Promise<void> {
    for (const step of this.#steps) {
      try {
        await step();
      } catch (error) {
        console.error(error); // the rest has to be stopped all the same
      }
    }
  }
}

const lockFile = join(localDirectory, 'start.pid');

/** One running system per checkout: a second one would stop the first one's database under it. */
async function takeLock(): Promise<void> {
  const pid = existsSync(lockFile) ? (JSON.parse(await readFile(lockFile, 'utf8')) as { pid: number }).pid : 0;
  if (pid && pid !== process.pid && isAlive(pid) && /start\.js/.test(commandLine(pid))) {
    const url = (await readDevFile())?.graphqlUrl;
    throw new StartError(`It is running already (process ${pid}${url ? `, ${url}` : ''}). Stop that one first.`);
  }
  await writePrivately(lockFile, { pid: process.pid });
}

/** Something the person at the terminal has to put right. */
class StartError extends Error {}

/** Given out, but perhaps not listened on yet. */
const reserved = new Set<number>();

/** The wanted port, or the next free one, with a word about it. */
async function port(setting: string | undefined, fallback: number, what: string): Promise<number> {
  const wanted = Number(setting ?? fallback);
  if (!Number.isInteger(wanted) || wanted < 0 || wanted > 65_535)
    throw new StartError(`${what}: ${setting} is not a port.`);
  let found = await freePort(wanted);
  while (reserved.has(found)) found = await freePort(found + 1);
  reserved.add(found);
  if (wanted && found !== wanted) console.log(`Port ${wanted} is taken; ${what} uses ${found}.`);
  return found;
}

async function startDevelopment(teardown: Teardown): Promise<DevFile> {
  const env = process.env;
  const secrets = await localSecrets();
  await takeLock();
  teardown.add(() => rm(lockFile, { force: true }));
  await removeDevFile();

  const database = await startLocalDatabase(secrets);
  teardown.add(() => database.server.stop());
  await migrateUp({ ownerUrl: database.ownerUrl, log: console.log });
  await grantRuntimeRoles(database.ownerUrl, database.url);
  await seedRows(database.adminUrl);

  const appPort = await port(env.PORT, 4_000, 'the API');
  const metricsPort = await port(env.METRICS_PORT, 9_464, 'metrics');
  const publicUrl = env.PUBLIC_URL ?? `http://localhost:${appPort}`;
  const webhookUrl = `http://127.0.0.1:${appPort}/api/stripe/webhook`;
  const webhookSecrets = {
    snapshot: env.STRIPE_WEBHOOK_SECRET ?? secrets.webhooks.snapshot,
    thin: env.STRIPE_WEBHOOK_SECRET_THIN ?? secrets.webhooks.thin,
  };
  // With a key of one's own it is Stripe that is meant, not the local one.
  const local = env.STRIPE_TEST_SECRET_KEY
    ? null
    : await startLocalStripe({
        port: await port(env.SANDBOX_PORT, 12_111, 'the local Stripe'),
        secretKey: secrets.stripe.secretKey,
        webhookUrl,
        webhookSecrets,
        dataFile: join(localDirectory, 'stripe.json'),
      });
  if (local) {
    teardown.add(() => local.stop());
    stopWith(local, teardown);
  }

  const own = given(env);
  // With a mail server of one's own it is that one which is meant.
  const inbox = own.SMTP_URL ? null : await (await import('./local-inbox.js')).startLocalInbox(8_025);
  if (inbox) teardown.add(() => inbox.stop());
  const issuer = {
    secret: own.JWT_SECRET ?? secrets.jwt,
    issuer: own.JWT_ISSUER ?? 'psa-payments-dev',
    audience: own.JWT_AUDIENCE ?? 'psa-payments',
  };
  const tokens = await issueTokens(issuer, demoTenants);
  const settings: NodeJS.ProcessEnv = {
    NODE_ENV: 'development',
    // What is open here is for this machine: an explorer with a token in it, for one.
    HOST: '127.0.0.1',
    LOG_LEVEL: 'warn',
    EXPLORER: 'true',
    EXPLORER_TOKEN: tokens.tenants[0]!.admin,
    STRIPE_MODE: 'test',
    JWT_ISSUER: issuer.issuer,
    JWT_AUDIENCE: issuer.audience,
    ...(own.JWKS_URL ? {} : { JWT_SECRET: issuer.secret }),
    ...(local && {
      STRIPE_TEST_SECRET_KEY: secrets.stripe.secretKey,
      STRIPE_TEST_PUBLISHABLE_KEY: secrets.stripe.publishableKey,
      STRIPE_API_BASE: local.url,
    }),
    ...(inbox && { SMTP_URL: inbox.smtpUrl, MAIL_FROM: 'billing@platform.example' }),
    ...own,
    DATABASE_URL: database.url,
    STRIPE_WEBHOOK_SECRET: webhookSecrets.snapshot,
    STRIPE_WEBHOOK_SECRET_THIN: webhookSecrets.thin,
    PORT: String(appPort),
    METRICS_PORT: String(metricsPort),
    PUBLIC_URL: publicUrl,
    PROCESS_ROLE: 'all',
  };
  const app = await createApp(loadConfig(settings));
  teardown.add(() => app.stop());
  await app.start();

  const dev: DevFile = {
    graphqlUrl: `http://localhost:${appPort}/graphql`,
    webhookUrl,
    sandboxUrl: local?.url ?? null,
    databaseUrl: database.url,
    publishableKey: settings.STRIPE_TEST_PUBLISHABLE_KEY ?? '',
    webhookSecrets,
    tokens,
    inboxUrl: inbox?.url ?? null,
  };
  if (local) {
    await connectDemoTenants(dev).catch((error: Error) => {
      // Everything else works, and shows what is wrong better than a start that fails.
      console.error(`The demo tenants' accounts could not be brought up: ${error.message}`);
    });
  }
  await writeDevFile(dev);
  teardown.add(removeDevFile);
  return dev;
}

/** Without its Stripe the system is of no use, and an answer "unavailable" would puzzle. */
function stopWith(local: LocalStripe, teardown: Teardown): void {
  void local.ended.then(async () => {
    if (teardown.isRunning) return;
    console.error('The local Stripe has ended; stopping.');
    await teardown.run();
    process.exit(1);
  });
}

/** Settings that are there; an empty line in `.env` is none. */
function given(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''));
}

function welcome({ graphqlUrl, sandboxUrl, inboxUrl, tokens }: DevFile): string {
  const [tenant] = tokens.tenants;
  return `
  GraphQL and its explorer   ${graphqlUrl}
  ${sandboxUrl ? `The local Stripe           ${sandboxUrl}` : 'Stripe                     the one your key belongs to'}
  ${inboxUrl ? `Mails arrive here          ${inboxUrl}` : 'Mails go to                SMTP_URL'}
  Everything a program needs .local/dev.json

  A token to paste (admin of ${tenant!.name}, good for 30 days), as header Authorization:

Bearer ${tenant!.admin}

  Next: npm run demo          the whole way, from a new account to a paid invoice
  Stop: Ctrl-C                .local/ keeps everything; delete it to start afresh
`;
}

/** Stops on the first signal; a second one, when somebody has lost patience, ends it at once. */
function onSignals(teardown: Teardown): void {
  let first = 0;
  const stop = () => {
    // npm passes Ctrl-C on to a process that the terminal has told already.
    if (first && performance.now() - first < 500) return;
    if (first) process.exit(130);
    first = performance.now();
    void teardown.run().then(() => process.exit(0));
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, stop);
}

loadDotEnv();
if (isEmbedded(process.env)) {
  const teardown = new Teardown();
  onSignals(teardown);
  try {
    console.log(welcome(await startDevelopment(teardown)));
  } catch (error) {
    if (!teardown.isRunning) {
      const foreseen = error instanceof StartError || error instanceof ConfigError || error instanceof MigrationError;
      console.error(foreseen ? error.message : error);
    }
    await teardown.run();
    process.exit(1);
  }
} else {
  await import('../src/main.js');
}
