import 'reflect-metadata';
import { MikroORM, defineConfig, type EntityClass, type Options } from '@mikro-orm/postgresql';
import { ReflectMetadataProvider } from '@mikro-orm/decorators/legacy';
import { type Logger } from '../shared/logger.js';
import type pg from 'pg';
import { returnLostConnections } from './lost-connections.js';
import { sendOpeningWithFirst } from './opening.js';

export interface OrmSettings {
  /** Connection string of the runtime role. */
  readonly url: string;
  /** Connections this process may open for units of work. */
  readonly poolSize?: number;
  /** Milliseconds after which a query is given up that got no answer: 15,000. PostgreSQL itself ends a statement after 10 seconds. */
  readonly queryTimeoutMs?: number;
  readonly entities: EntityClass<object>[];
  readonly logger?: Logger;
}

/** MikroORM's options as this project uses them; the same for the server, the command line and the drift check. */
export function ormOptions(settings: OrmSettings): Options {
  return defineConfig({
    clientUrl: settings.url,
    entities: settings.entities,
    metadataProvider: ReflectMetadataProvider,
    metadataCache: { enabled: false },
    discovery: { warnWhenNoEntities: false },
    pool: { min: 0, max: settings.poolSize ?? 10 },
    driverOptions: {
      onPoolCreated: (pool: pg.Pool) => {
        returnLostConnections(pool);
        sendOpeningWithFirst(pool);
      },
      connectionTimeoutMillis: 5_000,
      // A hung server must not hold a request for ever. What PostgreSQL itself ends is set with each transaction (see Database): a pooler
      // like PgBouncer refuses connections that ask for settings.
      query_timeout: settings.queryTimeoutMs ?? 15_000,
      keepAlive: true,
    },
    forceUtcTimezone: true,
    allowGlobalContext: false,
    ...(settings.logger && { logger: (message: string) => settings.logger?.debug({ source: 'mikro-orm' }, message) }),
    schemaGenerator: { ignorePolicies: true, ignoreTriggers: true, ignoreRoutines: true },
  });
}

/** Opens the ORM without touching the database; connections are made when first needed. */
export function createOrm(settings: OrmSettings): MikroORM {
  return new MikroORM(ormOptions(settings));
}
