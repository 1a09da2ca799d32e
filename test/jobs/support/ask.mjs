// One server process that carries out one request and says what came of it; with a failpoint it dies on the way.
// On its input: { failpoint, url, secretKey, publishableKey, apiBase, tenantId, method, request } as JSON, see test/support/one-request.ts.
import { text } from 'node:stream/consumers';
// What takes long to load, and knows nothing of failpoints, before it is known what to do.
import 'reflect-metadata';
import '@mikro-orm/postgresql';
import 'stripe';
import 'type-graphql';

const asked = await text(process.stdin);
if (!asked) process.exit();
const { failpoint, url, tenantId, method, request, ...settings } = JSON.parse(asked);
if (failpoint) process.env.FAILPOINT = failpoint;

const { entities } = await import('../../../dist/mikro-orm.config.js');
const { Database } = await import('../../../dist/src/db/database.js');
const { createOrm } = await import('../../../dist/src/db/orm.js');
const { PaymentService } = await import('../../../dist/src/features/payments/payment.service.js');
const { Commands } = await import('../../../dist/src/jobs/commands/commands.js');
const { StripeService } = await import('../../../dist/src/stripe/stripe.service.js');

const orm = createOrm({ url, entities });
const stripe = new StripeService({ ...settings, livemode: false });
const commands = new Commands(new Database(orm, false).tenant(tenantId), stripe);
const answer = await new PaymentService(commands, stripe, 'user-1')
  [method](request)
  .catch(({ code, message }) => ({ code, message }));
process.stdout.write(JSON.stringify(answer));
await orm.close(true);
stripe.close();
