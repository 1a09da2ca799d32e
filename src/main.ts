import closeWithGrace from 'close-with-grace';
import { createApp } from './app.js';
import { ConfigError, loadConfig } from './config.js';
import { UnsafeRoleError } from './db/runtime-role.js';
import { createLogger } from './shared/logger.js';

/** What a supervisor can tell from the exit code: 78 (EX_CONFIG) will not get better by starting again. */
const exitCode = { failed: 1, misconfigured: 78 } as const;

function stopWith(error: unknown): never {
  const isSetting = error instanceof ConfigError || error instanceof UnsafeRoleError;
  process.stderr.write(`${isSetting ? (error as Error).message : String((error as Error)?.stack ?? error)}\n`);
  process.exit(isSetting ? exitCode.misconfigured : exitCode.failed);
}

try {
  const config = loadConfig(process.env);
  const logger = createLogger(config.logLevel);
  const app = await createApp(config, { logger });
  // SIGTERM, SIGINT, and what nobody caught. A second signal, or the time running out, ends it at once.
  closeWithGrace({ delay: config.shutdownTimeoutMs + 5_000, logger: false }, async ({ signal, err }) => {
    if (err) logger.fatal({ err }, 'An error that nobody caught');
    else logger.info({ signal }, 'Stopping');
    await app.stop();
    logger.info('Stopped');
  });
  await app.start();
} catch (error) {
  stopWith(error);
}
