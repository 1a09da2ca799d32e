import { randomBytes, randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { type AddressInfo } from 'node:net';
import { pino } from 'pino';
import Stripe from 'stripe';
import { Database } from '../../src/db/database.js';
import { createOrm } from '../../src/db/orm.js';
import { type EventHandler, type EventHandlers } from '../../src/jobs/events.js';
import { clientAddress } from '../../src/shared/client-address.js';
import { systemClock, type Clock } from '../../src/shared/clock.js';
import { type Uuid } from '../../src/shared/uuid.js';
import { StripeService } from '../../src/stripe/stripe.service.js';
import { AtHand } from '../../src/webhooks/at-hand.js';
import { HandlerIndex } from '../../src/webhooks/handler-index.js';
import { Inbox, type InboxSettings } from '../../src/webhooks/inbox.js';
import { webhookRoute } from '../../src/webhooks/route.js';
import { Worker, type WorkerSettings } from '../../src/webhooks/worker.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';

export const secrets = { snapshot: ['whsec_test_local_one', 'whsec_test_local_two'], thin: ['whsec_test_local_thin'] };
export const silent = pino({ level: 'silent' });

export interface Answer {
  readonly status: number;
  readonly body: Record<string, unknown>;
  readonly headers: Headers;
}

export interface Stage {
  readonly db: TestDatabase;
  readonly database: Database;
  readonly url: string;
  readonly handlers: HandlerIndex;
  readonly inbox: Inbox;
  /** Makes a tenant with an account. */
  aTenant(account?: string): Promise<{ id: Uuid; account: string }>;
  /** Signs and delivers. */
  deliver(event: object, secret?: string): Promise<Answer>;
  aWorker(overrides?: Partial<WorkerSettings>): Worker;
  /** What is stored of an event. */
  stored(eventId: string): Promise<{ status: string; attempts: number; last_error: string | null } | undefined>;
  /** What the route has taken in, for a worker of the same process. */
  readonly atHand: AtHand;
  /** The keys that handlers noted, in order, once per application. */
  notes(): Promise<string[]>;
  close(): Promise<void>;
}

interface Options {
  readonly table?: EventHandlers;
  readonly clock?: Clock;
  readonly inbox?: Partial<InboxSettings>;
  /** Another database than a fresh one of the test cluster's. */
  readonly db?: TestDatabase;
  /** Milliseconds after which the worker gives a query up: as the server, unless said. */
  readonly queryTimeoutMs?: number;
  /** Leads the server to the database by another way. */
  readonly via?: (url: string) => Promise<string>;
}

/** The webhook route on a real port, in front of a database of its own. */
export async function aStage({
  table = {},
  clock = systemClock,
  inbox: settings,
  via,
  queryTimeoutMs,
  ...given
}: Options = {}): Promise<Stage> {
  const db = given.db ?? (await createTestDatabase());
  const orm = createOrm({ url: db.url, entities: [], ...(queryTimeoutMs && { queryTimeoutMs }) });
  const database = new Database(orm, false);
  const handlers = new HandlerIndex(table);
  const inbox = new Inbox({ url: (await via?.(db.url)) ?? db.url, logger: silent, ...settings });
  const addressOf = clientAddress(false);
  const atHand = new AtHand();
  const route = webhookRoute({ inbox, handlers, secrets, livemode: false, addressOf, atHand, clock, logger: silent });
  const server = createServer((request, response) => {
    if (route.takes(request)) route.handle(request, response);
    else response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/api/stripe/webhook`;
  const stripe = deadStripe();
  const workers: Worker[] = [];

  return {
    db,
    database,
    url,
    handlers,
    inbox,
    atHand,
    async aTenant(account = `acct_${randomBytes(8).toString('hex')}`) {
      const id = randomUUID() as Uuid;
      await db.query('insert into tenants (id, name) values ($1, $2)', [id, 'Tenant']);
      await know(db, id, account);
      return { id, account };
    },
    deliver: (event, secret) => deliver(url, event, secret),
    aWorker(overrides) {
      const worker = new Worker({
        database,
        handlers,
        stripe,
        url: db.url,
        clock,
        logger: silent,
        pollMs: 200,
        leaseMs: 10_000,
        retry: { firstMs: 20, longestMs: 100, outageMs: 50, attempts: 3 },
        ...overrides,
      });
      workers.push(worker);
      worker.start();
      return worker;
    },
    async stored(eventId) {
      const rows = await db.query<{ status: string; attempts: number; last_error: string | null }>(
        'select status, attempts, last_error from stripe_webhook_events where stripe_event_id = $1',
        [eventId],
      );
      return rows[0];
    },
    async notes() {
      const rows = await db.query<{ subject_id: string }>('select subject_id from audit_log order by id');
      return rows.map((row) => row.subject_id);
    },
    async close() {
      await Promise.all(workers.map((worker) => worker.stop()));
      await new Promise<void>((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      });
      await inbox.close();
      await orm.close(true);
      stripe.close();
      await db.drop();
    },
  };
}

/** Enters an account into the directory. */
export async function know(db: TestDatabase, tenantId: string, account: string): Promise<void> {
  await db.query('insert into stripe_accounts (stripe_account_id, tenant_id, livemode) values ($1, $2, false)', [
    account,
    tenantId,
  ]);
}

/** A service whose every call fails: nothing listens there. */
function deadStripe(): StripeService {
  return new StripeService({
    secretKey: 'sk_test_local_webhooks',
    publishableKey: 'pk_test_local_webhooks',
    livemode: false,
    apiBase: 'http://127.0.0.1:1',
    timeoutMs: 200,
    budgetMs: 300,
    maxNetworkRetries: 0,
    logger: silent,
  });
}

export function sign(payload: string, secret: string, timestamp?: number): string {
  return Stripe.webhooks.generateTestHeaderString({ payload, secret, ...(timestamp && { timestamp }) });
}

/** As Stripe would: to the snapshots' secret or the thin ones', by what it is. */
export async function deliver(url: string, event: object, secret?: string): Promise<Answer> {
  const payload = JSON.stringify(event);
  const isThin = (event as { object?: string }).object === 'v2.core.event';
  return post(url, payload, {
    'stripe-signature': sign(payload, secret ?? (isThin ? secrets.thin[0]! : secrets.snapshot[0]!)),
  });
}

export async function post(url: string, body: string | Buffer, headers: Record<string, string>): Promise<Answer> {
  const response = await fetch(url, {
    method: 'POST',
    body: body as string,
    headers: { 'content-type': 'application/json; charset=utf-8', ...headers },
  });
  return {
    status: response.status,
    body: (await response.json()) as Record<string, unknown>,
    headers: response.headers,
  };
}

let counter = 0;

export interface EventOverrides {
  readonly id?: string;
  readonly type?: string;
  readonly account?: string | null;
  readonly livemode?: boolean;
  /** Seconds since 1970. */
  readonly created?: number;
  readonly object?: Record<string, unknown>;
}

/** A snapshot event of a payment intent, unless said otherwise. */
export function anEvent({ account, object, ...overrides }: EventOverrides = {}) {
  return {
    id: `evt_${randomBytes(10).toString('hex')}`,
    object: 'event',
    api_version: '2026-10-28.endive',
    created: Math.floor(Date.now() / 1_000),
    livemode: false,
    pending_webhooks: 1,
    request: { id: null, idempotency_key: null },
    type: 'payment_intent.succeeded',
    ...(account && { account }),
    ...overrides,
    data: { object: { id: `pi_${++counter}`, object: 'payment_intent', ...object } },
  };
}

export function aThinEvent({ account, ...overrides }: Record<string, unknown> = {}) {
  return {
    id: `evt_test_${randomBytes(10).toString('hex')}`,
    object: 'v2.core.event',
    type: 'v2.core.account[requirements].updated',
    created: new Date().toISOString(),
    livemode: false,
    context: account,
    related_object: { id: account, type: 'v2.core.account', url: `/v2/core/accounts/${String(account)}` },
    ...overrides,
  };
}

interface IntentEvent {
  readonly id: string;
  readonly data: { readonly object: { readonly id: string } };
}

/** Notes each application of an event, as a row that nothing deduplicates: what is applied twice is there twice. */
export const noting: EventHandler<IntentEvent> = {
  async apply(em, event, { tenantId, livemode }) {
    await note(em, tenantId, livemode, event.id);
    return 'done';
  },
};

export async function note(
  em: Parameters<EventHandler<unknown>['apply']>[0],
  tenantId: string,
  livemode: boolean,
  key: string,
): Promise<void> {
  await em.execute(
    `insert into audit_log (tenant_id, livemode, actor, action, subject_type, subject_id) values (?, ?, 'stripe', 'note', 'event', ?)`,
    [tenantId, livemode, key],
  );
}
