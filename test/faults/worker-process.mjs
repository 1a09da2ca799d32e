// A worker and a receiver in a process of their own, to be killed. DATABASE_URL, FAILPOINT, LEASE_MS. Prints the port it listens on.
import { createServer } from 'node:http';
import { pino } from 'pino';
import { Database } from '../../dist/src/db/database.js';
import { createOrm } from '../../dist/src/db/orm.js';
import { systemClock } from '../../dist/src/shared/clock.js';
import { StripeService } from '../../dist/src/stripe/stripe.service.js';
import { HandlerIndex } from '../../dist/src/webhooks/handler-index.js';
import { createWebhookReceiver, createWebhookWorker } from '../../dist/src/webhooks/webhooks.js';

const { DATABASE_URL: url, LEASE_MS: leaseMs = '1500', PAUSE_MS: pauseMs = '0' } = process.env;
const logger = pino({ level: process.env.LOG_LEVEL ?? 'silent' });
const database = new Database(createOrm({ url, entities: [] }), false);

async function apply(em, event, context, fetched) {
  if (event.data.object.id.startsWith('pi_fetched') && !fetched) return 'fetch';
  if (event.data.object.id.startsWith('pi_killer')) process.kill(process.pid, 'SIGKILL');
  if (pauseMs !== '0') await em.execute(`select pg_sleep(${Number(pauseMs)} / 1000.0)`);
  await em.execute(
    `insert into audit_log (tenant_id, livemode, actor, action, subject_type, subject_id) values (?, ?, 'stripe', 'note', 'event', ?)`,
    [context.tenantId, context.livemode, event.id],
  );
  return 'done';
}

/** Half of the objects are done in a crowd, the others one by one. */
async function applyMany(rows, events) {
  const outcomes = [];
  for (const { event } of events) {
    const { id } = event.data.object;
    const outcome = id.startsWith('pi_fetched') ? 'fetch' : id.charCodeAt(id.length - 1) % 2 ? 'single' : 'done';
    outcomes.push(outcome);
    if (outcome !== 'done') continue;
    if (id.startsWith('pi_killer')) process.kill(process.pid, 'SIGKILL');
    if (pauseMs !== '0') await rows.ask(`select to_json(pg_sleep($1::float8 / 1000)::text)`, pauseMs);
    rows.tell(
      `insert into audit_log (tenant_id, livemode, actor, action, subject_type, subject_id) values ($1, false, 'stripe', 'note', 'event', $2)`,
      rows.tenantId,
      event.id,
    );
  }
  return outcomes;
}

const stripe = new StripeService({
  secretKey: 'sk_test_local_webhooks',
  publishableKey: 'pk_test_local_webhooks',
  livemode: false,
  apiBase: 'http://127.0.0.1:1',
  logger,
});
const settings = {
  database,
  stripe,
  handlers: new HandlerIndex({
    'payment_intent.succeeded': {
      apply,
      applyMany,
      load: () => Promise.resolve('report'),
      version: () => Promise.resolve(null),
    },
  }),
  secrets: { snapshot: ['whsec_test_local_one'], thin: [] },
  url,
  clock: systemClock,
  logger,
  worker: { leaseMs: Number(leaseMs), pollMs: 100, batchSize: 50 },
};
const receiver = createWebhookReceiver(settings, () => 'test');
const server = createServer((request, response) => receiver.handle(request, response)).listen(0, '127.0.0.1', () => {
  console.log(server.address().port);
  if (process.env.ROLE !== 'receiver') createWebhookWorker(settings).start();
});
