import { type EntityManager } from '@mikro-orm/postgresql';
import { Counter } from 'prom-client';
import { Webhook } from 'standardwebhooks';
import { type Database, type TenantDb } from '../../db/database.js';
import { type Clock } from '../../shared/clock.js';
import { failpoint } from '../../shared/failpoint.js';
import { type Logger } from '../../shared/logger.js';
import { metrics } from '../../shared/metrics.js';
import { Polling } from '../../shared/repeat.js';
import { newUuid, type Uuid } from '../../shared/uuid.js';
import { audit } from '../audit/audit.js';
import { enqueueAdminMail } from '../mail/outbox.js';
import { type AddressGuard } from './endpoint-address.js';
import { type EndpointSecrets } from './endpoint-secret.js';
import { WebhookDelivery, WebhookDeliveryState } from './webhook-delivery.entity.js';
import { WebhookEndpoint, WebhookEndpointStatus } from './webhook-endpoint.entity.js';
import { type Answer, post } from './webhook-post.js';

const attempts = new Counter({
  name: 'webhook_endpoint_attempts_total',
  help: 'Requests to endpoints of tenants, by what became of the delivery: DELIVERED, PENDING (tried again) or FAILED.',
  labelNames: ['state'],
  registers: [metrics],
});
const disabled = new Counter({
  name: 'webhook_endpoints_disabled_total',
  help: 'Endpoints of tenants that were switched off because nothing arrived for days.',
  registers: [metrics],
});

export interface WebhookSenderSettings {
  readonly database: Database;
  readonly secrets: EndpointSecrets;
  readonly guard: AddressGuard;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Pause between two looks when there was nothing to do: 1,000 ms. */
  readonly idleMs?: number;
  /** How long an endpoint may take to answer: 15,000 ms. */
  readonly timeoutMs?: number;
}

interface Claim {
  readonly tenantId: Uuid;
  readonly id: Uuid;
  readonly endpointId: Uuid;
}

/** A try, and what became of it. */
interface Tried {
  readonly id: Uuid;
  readonly token: Uuid;
  readonly answer: Answer;
}

interface EndpointRow {
  readonly id: Uuid;
  readonly url: string;
  readonly status: WebhookEndpointStatus;
  readonly failing_since: string | Date | null;
}

/** Seconds from one try to the next, as Standard Webhooks has it: three days in all. */
const pauses = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400] as const;
/** Requests at the same time in one process, of one tenant and to one endpoint: who is slow keeps only himself waiting. */
const slots = 32;
const slotsOfTenant = 8;
const slotsOfEndpoint = 4;
const leaseSeconds = 60;
const dayMs = 86_400_000;
/** An endpoint to which nothing has arrived for so long is switched off. */
const patienceMs = 5 * dayMs;

/**
 * Tells tenants' endpoints what happened. Any number of processes may: a delivery is leased to one of them. Who dies after an endpoint has answered
 * and before that is recorded has it told again, under the same `webhook-id`.
 */
export class WebhookSender {
  private readonly polling: Polling;
  private readonly busy = new Map<Promise<void>, Claim>();

  constructor(private readonly settings: WebhookSenderSettings) {
    const { idleMs = 1_000, logger } = settings;
    this.polling = new Polling({
      work: async () => ((await this.take()) > 0 && this.busy.size < slots ? 1 : 0),
      idleMs,
      // What waits for an endpoint's turn goes as soon as that is over.
      sooner: () => this.busy.keys(),
      failure: 'Cannot look for what endpoints are to be told',
      logger,
    });
  }

  start(): void {
    this.polling.start();
  }

  /** Takes nothing new, and waits for what is being sent. */
  async stop(): Promise<void> {
    await this.polling.stop();
    await Promise.all(this.busy.keys());
  }

  /** Sends what is due, and waits for it. @returns how many were sent */
  async sendDue(): Promise<number> {
    let sent = 0;
    for (let taken = await this.take(); taken > 0 || this.busy.size > 0; taken = await this.take()) {
      sent += taken;
      if (this.busy.size) await Promise.race(this.busy.keys());
    }
    return sent;
  }

  /** Begins to send what is due, as far as there is room. @returns how many were taken */
  private async take(): Promise<number> {
    const room = slots - this.busy.size;
    if (room <= 0) return 0;
    const claims = await this.settings.database.worker((em) => this.claim(em, newUuid(), room));
    for (const { token, ...claim } of claims) {
      const sending: Promise<void> = this.deliver(claim, token).finally(() => this.busy.delete(sending));
      this.busy.set(sending, claim);
    }
    return claims.length;
  }

  private claim(em: EntityManager, token: Uuid, room: number): Promise<(Claim & { token: Uuid })[]> {
    const inUse = new Map<Uuid, number>();
    const full = new Set<Uuid>();
    const count = (id: Uuid, limit: number) => {
      const now = (inUse.get(id) ?? 0) + 1;
      inUse.set(id, now);
      if (now >= limit) full.add(id);
    };
    for (const { tenantId, endpointId } of this.busy.values()) {
      count(tenantId, slotsOfTenant);
      count(endpointId, slotsOfEndpoint);
    }
    const used = JSON.stringify(Object.fromEntries(inUse));
    const fullIds = `{${[...full].join(',')}}`;
    return em.execute(
      `with due as (
         select tenant_id, id, row_number() over (partition by tenant_id, endpoint_id order by next_attempt_at, id)
           + coalesce((?::jsonb ->> endpoint_id::text)::int, 0) as place,
           row_number() over (partition by tenant_id order by next_attempt_at, id)
             + coalesce((?::jsonb ->> tenant_id::text)::int, 0) as place_of_tenant, next_attempt_at
         from (
           select tenant_id, id, endpoint_id, next_attempt_at from webhook_deliveries
           where livemode = ? and state = 'PENDING' and next_attempt_at <= now() and (lease_until is null or lease_until < now())
             and endpoint_id <> all (?::uuid[]) and tenant_id <> all (?::uuid[])
           order by next_attempt_at limit 256
         ) first
       ), taken as (
         select d.tenant_id, d.id from webhook_deliveries d join due on due.tenant_id = d.tenant_id and due.id = d.id
         where due.place <= ${slotsOfEndpoint} and due.place_of_tenant <= ${slotsOfTenant}
           and d.state = 'PENDING' and (d.lease_until is null or d.lease_until < now())
         order by due.next_attempt_at limit ${Math.trunc(room)} for update of d skip locked
       )
       update webhook_deliveries d set lease_token = ?, lease_until = now() + interval '${leaseSeconds} seconds', attempts = attempts + 1
       from taken where d.tenant_id = taken.tenant_id and d.id = taken.id
       returning d.tenant_id as "tenantId", d.id, d.endpoint_id as "endpointId", d.lease_token as token`,
      [used, used, this.settings.database.livemode, fullIds, fullIds, token],
    );
  }

  private async deliver({ tenantId, id }: Claim, token: Uuid): Promise<void> {
    const { database, logger, guard, timeoutMs = 15_000 } = this.settings;
    const about = { tenantId, deliveryId: id };
    try {
      const db = database.tenant(tenantId);
      const found = await db.transaction(async (em) => {
        const delivery = await em.findOne(WebhookDelivery, { id, leaseToken: token });
        if (!delivery) return null;
        const endpoint = await em.findOneOrFail(WebhookEndpoint, { id: delivery.endpointId });
        if (endpoint.status === WebhookEndpointStatus.ENABLED) return { delivery, endpoint };
        // It was switched off just when this came to wait for it.
        await giveUp(em, endpoint.id, 'The endpoint was switched off.');
        return null;
      });
      if (!found) return;
      failpoint('webhook-endpoint.before-send');
      const request = this.requestOf(found.endpoint, found.delivery);
      const answer =
        request instanceof Error
          ? { status: null, error: request.message }
          : await post(guard, { url: found.endpoint.url, ...request, timeoutMs });
      failpoint('webhook-endpoint.after-send');
      const state = await this.record(db, found.endpoint.id, { id, token, answer });
      if (state) attempts.inc({ state });
    } catch (error) {
      // Its lease runs out, and it is sent again.
      logger.error({ ...about, err: error }, 'An endpoint cannot be told');
    }
  }

  /** What is sent: the same body each time, signed anew. */
  private requestOf(endpoint: WebhookEndpoint, { id, type, createdAt, data }: WebhookDelivery) {
    const { secrets, clock } = this.settings;
    const { secretVersion: version, previousSecretUntil } = endpoint;
    if (secrets.checkOf(endpoint.id, version) !== endpoint.secretCheck)
      return new Error('The secret is lost: the key of this installation was changed. Rotate the secret.');
    const body = JSON.stringify({ type, timestamp: createdAt.toISOString(), data });
    const now = clock.now();
    const versions = previousSecretUntil && previousSecretUntil > now ? [version, version - 1] : [version];
    const sign = (one: number) => new Webhook(secrets.secretOf(endpoint.id, one)).sign(id, now, body);
    const headers = {
      'content-type': 'application/json',
      'user-agent': 'psa-payments',
      'webhook-id': id,
      'webhook-timestamp': String(Math.floor(now.getTime() / 1_000)),
      'webhook-signature': versions.map(sign).join(' '),
    };
    return { headers, body };
  }

  /** Writes down what became of a try, unless somebody else has taken the delivery over. */
  private record(
    db: TenantDb,
    endpointId: Uuid,
    { id, token, answer: { status, error } }: Tried,
  ): Promise<WebhookDeliveryState | null> {
    const { clock } = this.settings;
    return db.transaction(async (em) => {
      // The endpoint before the delivery, as everybody does who locks both; and only where something is to be remembered of it.
      const [endpoint] = await em.execute<EndpointRow[]>(
        `select id, url, status, failing_since from webhook_endpoints where id = ? and (? or failing_since is not null) for no key update`,
        [endpointId, error !== null],
      );
      const delivery = await em.findOne(WebhookDelivery, { id, leaseToken: token });
      if (!delivery) return null;
      const now = clock.now();
      const pause = pauses[delivery.attempts - 1];
      Object.assign(delivery, {
        lastAttemptAt: now,
        responseStatus: status,
        error,
        leaseToken: null,
        leaseUntil: null,
      });
      delivery.state = !error ? WebhookDeliveryState.DELIVERED : WebhookDeliveryState.PENDING;
      if (error && (pause === undefined || status === 410)) delivery.state = WebhookDeliveryState.FAILED;
      if (!error) delivery.deliveredAt = now;
      // Not all at once: what failed together is not tried again together.
      const later = () => new Date(now.getTime() + pause! * 1_000 * (1 + Math.random() / 10));
      delivery.nextAttemptAt = delivery.state === WebhookDeliveryState.PENDING ? later() : null;
      const { state } = delivery;
      await em.flush();
      if (endpoint) await this.judge(em, endpoint, now, { status, error });
      return state;
    });
  }

  /** Keeps in mind since when nothing arrives, and switches the endpoint off when that has been for days, or when it says that it is gone. */
  private async judge(em: EntityManager, endpoint: EndpointRow, now: Date, { status, error }: Answer): Promise<void> {
    const { id } = endpoint;
    if (endpoint.status !== WebhookEndpointStatus.ENABLED) return;
    const since = endpoint.failing_since && new Date(endpoint.failing_since);
    const failingSince = error === null ? null : (since ?? now);
    await em.execute('update webhook_endpoints set failing_since = ? where id = ?', [failingSince, id]);
    const isGone = status === 410;
    if (!isGone && !(failingSince && now.getTime() - failingSince.getTime() > patienceMs)) return;
    const reason = isGone ? 'It answered 410: it is gone.' : 'Nothing arrived there for five days.';
    const { DISABLED } = WebhookEndpointStatus;
    await em.execute('update webhook_endpoints set status = ?, disabled_reason = ? where id = ?', [
      DISABLED,
      reason,
      id,
    ]);
    await giveUp(em, id, 'The endpoint was switched off.');
    disabled.inc();
    this.settings.logger.warn({ endpointId: id, reason }, 'An endpoint of a tenant was switched off');
    const [actor, action, subjectType] = ['webhooks', 'webhook-endpoint.disable', 'webhook-endpoint'];
    audit(em, { actor, action, subjectType, subjectId: id, details: { reason } });
    await enqueueAdminMail(em, {
      key: `webhook-endpoint-disabled:${id}:${now.toISOString()}`,
      template: 'webhook-endpoint-disabled',
      // Without what may stand in its query: that can be a secret of the receiver's.
      data: { url: endpoint.url.replace(/\?.*$/s, ''), reason, disabledAt: now.toISOString() },
    });
  }
}

/** What still waits for an endpoint is not sent any more. It can be replayed. */
export async function giveUp(em: EntityManager, endpointId: Uuid, reason: string): Promise<void> {
  await em.execute(
    `update webhook_deliveries set state = 'FAILED', next_attempt_at = null, error = ?, lease_token = null, lease_until = null
     where endpoint_id = ? and state = 'PENDING'`,
    [reason, endpointId],
  );
}
