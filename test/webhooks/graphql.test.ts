import { randomUUID } from 'node:crypto';
import { startApp, type TestApp } from '../support/harness.js';
import { until } from '../support/until.js';
import { anEvent, post, sign } from './stage.js';

let app: TestApp;
let tenants: { id: string; accountId: string; admin: string }[];

beforeAll(async () => {
  app = await startApp();
  tenants = await Promise.all(
    [1, 2].map(async () => {
      const tenant = await app.aConnectedTenant();
      return { id: tenant.id, accountId: tenant.accountId, admin: await app.token(tenant, 'admin') };
    }),
  );
});
afterAll(() => app.stop());

const webhookEvents = `query ($first: Int, $after: String, $filter: WebhookEventFilter) {
  webhookEvents(first: $first, after: $after, filter: $filter) {
    nodes { id stripeEventId type kind status stripeAccountId livemode attempts lastError payload stripeCreatedAt receivedAt processedAt nextAttemptAt }
    pageInfo { hasNextPage endCursor }
  }
}`;
interface Page {
  readonly nodes: { readonly stripeEventId: string }[];
  readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor: string };
}

const replay = `mutation ($id: UUID!) { replayWebhookEvent(input: { id: $id }) { webhookEvent { id status attempts } } }`;

async function deliver(event: object): Promise<void> {
  const payload = JSON.stringify(event);
  const { status } = await post(`${app.url}/api/stripe/webhook`, payload, {
    'stripe-signature': sign(payload, app.sandbox.webhookSecrets.snapshot),
  });
  expect(status).toBe(200);
}
const ofType = async (token: string, type: string) =>
  (await app.ask(webhookEvents, { filter: { type: [type] } }, token)).webhookEvents.nodes as Record<string, any>[]; // eslint-disable-line @typescript-eslint/no-explicit-any

test('a tenant sees its own events, newest first, page by page, and no other tenant’s', async () => {
  const [a, b] = tenants as [(typeof tenants)[0], (typeof tenants)[0]];
  const mine = Array.from({ length: 5 }, () => anEvent({ account: a.accountId, type: 'topup.created' }));
  for (const event of mine) await deliver(event);
  await deliver(anEvent({ account: b.accountId, type: 'topup.created' }));
  await deliver(anEvent({ type: 'topup.created' }));

  const seen: string[] = [];
  let after: string | null = null;
  do {
    const variables = { first: 2, after, filter: { type: ['topup.created'], status: ['IGNORED'] } };
    const answer: { webhookEvents: Page } = await app.ask(webhookEvents, variables, a.admin);
    const page = answer.webhookEvents;
    seen.push(...page.nodes.map(({ stripeEventId }) => stripeEventId));
    after = page.pageInfo.hasNextPage ? page.pageInfo.endCursor : null;
  } while (after);
  expect(seen).toEqual(mine.map(({ id }) => id).reverse());
  const [node] = await ofType(a.admin, 'topup.created');
  expect(node).toMatchObject({
    kind: 'SNAPSHOT',
    status: 'IGNORED',
    stripeAccountId: a.accountId,
    livemode: false,
    payload: mine.at(-1),
    stripeCreatedAt: new Date(mine.at(-1)!.created * 1_000).toISOString(),
    nextAttemptAt: null,
  });
});

test('one event is found by its id, by its own tenant alone', async () => {
  const [a, b] = tenants as [(typeof tenants)[0], (typeof tenants)[0]];
  await deliver(anEvent({ account: a.accountId, type: 'reader.created' }));
  const [{ id }] = (await ofType(a.admin, 'reader.created')) as [{ id: string }];
  const one = `query ($id: UUID!) { webhookEvent(id: $id) { id type } }`;
  expect(await app.ask(one, { id }, a.admin)).toEqual({ webhookEvent: { id, type: 'reader.created' } });
  expect(await app.ask(one, { id }, b.admin)).toEqual({ webhookEvent: null });
});

test('an event that was given up is processed when it is replayed', async () => {
  const [a, b] = tenants as [(typeof tenants)[0], (typeof tenants)[0]];
  await deliver(
    anEvent({ account: a.accountId, type: 'account.updated', object: { id: a.accountId, object: 'account' } }),
  );
  const [{ id }] = (await until(async () => {
    const events = await ofType(a.admin, 'account.updated');
    return events.length > 0 && events;
  }, 'the event is there')) as [{ id: string }];
  await app.db.query(`update stripe_webhook_events set status = 'DEAD', attempts = 15 where id = $1`, [id]);
  await app.db.query('delete from stripe_webhook_queue where event_id = $1', [id]);
  await app.db.query(
    `insert into stripe_webhook_queue (event_id, stripe_created_at, stripe_account_id, livemode, object_key, state)
     select id, stripe_created_at, stripe_account_id, livemode, object_key, 'DEAD' from stripe_webhook_events where id = $1`,
    [id],
  );

  for (const [token, code] of [
    [b.admin, 'NOT_FOUND'],
    [await app.token({ tenantId: a.id as never }, 'billing'), 'FORBIDDEN'],
  ] as const) {
    expect((await app.graphql(replay, { id }, token)).errors![0]!.extensions.code).toBe(code);
  }
  expect((await app.graphql(replay, { id: randomUUID() }, a.admin)).errors![0]!.extensions.code).toBe('NOT_FOUND');

  const { replayWebhookEvent } = await app.ask(replay, { id }, a.admin);
  expect(replayWebhookEvent.webhookEvent.id).toBe(id);
  await until(async () => {
    const rows = await app.db.query<{ status: string }>('select status from stripe_webhook_events where id = $1', [id]);
    return rows[0]!.status !== 'DEAD' && rows[0]!.status !== 'RECEIVED';
  }, 'the event was tried again');
  const audited = await app.db.query(`select actor, details from audit_log where action = 'webhook-event.replay'`);
  expect(audited).toHaveLength(1);
  expect(audited[0]!.details).toMatchObject({ type: 'account.updated', status: 'DEAD' });
});
