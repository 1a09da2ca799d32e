import { entities } from '../../mikro-orm.config.js';
import { Database } from '../../src/db/database.js';
import { createOrm } from '../../src/db/orm.js';
import { systemClock } from '../../src/shared/clock.js';
import { StripeService } from '../../src/stripe/stripe.service.js';
import { type TestDatabase } from '../support/database.js';
import { type TestSandbox } from '../support/sandbox.js';
import { silent } from './stage.js';

/** What jobs are made of, for tests that run one by hand. */
export interface Parts {
  readonly database: Database;
  readonly stripe: StripeService;
  readonly clock: typeof systemClock;
  readonly logger: typeof silent;
  close(): Promise<void>;
}

/** The parts of a server on this database, that talks to this Stripe. */
export function partsOn(db: Pick<TestDatabase, 'url'>, sandbox: TestSandbox): Parts {
  const orm = createOrm({ url: db.url, entities });
  const { secretKey, publishableKey, url: apiBase } = sandbox;
  const stripe = new StripeService({ secretKey, publishableKey, livemode: false, apiBase, logger: silent });
  return {
    database: new Database(orm, false),
    stripe,
    clock: systemClock,
    logger: silent,
    close: async () => {
      stripe.close();
      await orm.close(true);
    },
  };
}
