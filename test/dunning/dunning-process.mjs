// One worker that does what is due of dunning, once; run with FAILPOINT to die on the way.
// argv: { url, secretKey, publishableKey, apiBase, publicUrl, now } as JSON.
import { pino } from 'pino';
import { entities } from '../../dist/mikro-orm.config.js';
import { Database } from '../../dist/src/db/database.js';
import { createOrm } from '../../dist/src/db/orm.js';
import { DunningRounds } from '../../dist/src/features/dunning/dunning-rounds.js';
import { PayLinks } from '../../dist/src/features/pay-page/pay-links.js';
import { StripeService } from '../../dist/src/stripe/stripe.service.js';

const { url, now, publicUrl, ...settings } = JSON.parse(process.argv[2]);
const orm = createOrm({ url, entities });
const logger = pino({ level: 'silent' });
const stripe = new StripeService({ ...settings, livemode: false, logger });
const clock = { now: () => new Date(now) };
const payLinks = new PayLinks({ publicUrl, secret: 'a secret of tests', clock });
const rounds = new DunningRounds({ database: new Database(orm, false, true), stripe, payLinks, clock, logger });
await rounds.run({ signal: new AbortController().signal });
await orm.close(true);
stripe.close();
