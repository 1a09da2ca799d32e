// Tells endpoints what is due, in a process of its own; run with FAILPOINT to die on the way. DATABASE_URL, LINK_KEY.
import { pino } from 'pino';
import { entities } from '../../dist/mikro-orm.config.js';
import { Database } from '../../dist/src/db/database.js';
import { createOrm } from '../../dist/src/db/orm.js';
import { AddressGuard } from '../../dist/src/features/webhook-endpoints/endpoint-address.js';
import { EndpointSecrets } from '../../dist/src/features/webhook-endpoints/endpoint-secret.js';
import { WebhookSender } from '../../dist/src/features/webhook-endpoints/webhook-sender.js';
import { systemClock } from '../../dist/src/shared/clock.js';

const orm = createOrm({ url: process.env.DATABASE_URL, entities });
const sender = new WebhookSender({
  database: new Database(orm, false),
  secrets: new EndpointSecrets(process.env.LINK_KEY),
  guard: new AddressGuard(true),
  clock: systemClock,
  logger: pino({ level: 'silent' }),
});
await sender.sendDue();
await orm.close(true);
