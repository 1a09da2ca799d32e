import { type EntityManager, LockMode } from '@mikro-orm/postgresql';
import { type TenantDb } from '../../db/database.js';
import { type Clock } from '../../shared/clock.js';
import { AppError, badInput, notFound } from '../../shared/errors.js';
import { newUuid, type Uuid } from '../../shared/uuid.js';
import { audit } from '../audit/audit.js';
import { type AddressGuard } from './endpoint-address.js';
import { type EndpointSecrets } from './endpoint-secret.js';
import { WebhookDelivery, WebhookDeliveryState } from './webhook-delivery.entity.js';
import { WebhookEndpoint, WebhookEndpointStatus } from './webhook-endpoint.entity.js';
import { giveUp } from './webhook-sender.js';
import { readTypes } from './webhook-type.js';

export interface WebhookEndpointServiceSettings {
  readonly db: TenantDb;
  readonly secrets: EndpointSecrets;
  readonly guard: AddressGuard;
  readonly clock: Clock;
  /** The subject of the verified token. */
  readonly actor: string;
}

export interface EndpointWish {
  readonly url?: string | null;
  readonly types?: readonly string[] | null;
  readonly description?: string | null;
  readonly enabled?: boolean | null;
}

/** Endpoints of a tenant, at most. */
const maxEndpoints = 10;
const hourMs = 3_600_000;
/** How long a rotated secret goes on being used beside the new one, at most. */
const maxKeepHours = 168;

/** Where a tenant wants to be told what happened, and what it was told. */
export class WebhookEndpointService {
  constructor(private readonly settings: WebhookEndpointServiceSettings) {}

  /**
   * Makes an endpoint. It is told what happens from now on.
   * @returns with its secret, which nobody is shown again
   * @throws AppError BAD_USER_INPUT · INVALID_STATE when there are ten
   */
  create(wish: EndpointWish & { readonly url: string; readonly types: readonly string[] }): Promise<Secret> {
    const { guard, secrets } = this.settings;
    const endpoint = Object.assign(new WebhookEndpoint(), {
      url: guard.read(wish.url, 'input.url'),
      types: readTypes(wish.types, 'input.types'),
      description: readDescription(wish.description),
    });
    endpoint.secretCheck = secrets.checkOf(endpoint.id, endpoint.secretVersion);
    return this.change(async (em) => {
      // One after the other, so that two at once do not both find room.
      await em.execute(`select pg_advisory_xact_lock(hashtextextended('webhook endpoints of ' || ?, 0))`, [
        this.settings.db.tenantId,
      ]);
      if ((await em.count(WebhookEndpoint, { deletedAt: null })) >= maxEndpoints)
        throw new AppError('INVALID_STATE', `There are ${maxEndpoints} endpoints already.`);
      em.persist(endpoint);
      this.audit(em, 'create', endpoint.id, { url: endpoint.url, types: endpoint.types });
      return { id: endpoint.id, secret: secrets.secretOf(endpoint.id, endpoint.secretVersion) };
    });
  }

  /**
   * Changes what is given. What happens while an endpoint is switched off is not kept for it.
   * @throws AppError BAD_USER_INPUT · NOT_FOUND
   */
  update(id: Uuid, { url, types, description, enabled }: EndpointWish): Promise<Uuid> {
    const wanted = {
      ...(typeof url === 'string' && { url: this.settings.guard.read(url, 'input.url') }),
      ...(types && { types: readTypes(types, 'input.types') }),
      ...(description !== undefined && { description: readDescription(description) }),
    };
    return this.change(async (em) => {
      const endpoint = await found(em, id);
      // What did not arrive elsewhere is not held against the new address.
      if (wanted.url && wanted.url !== endpoint.url) endpoint.failingSince = null;
      Object.assign(endpoint, wanted);
      const isEnabled = endpoint.status === WebhookEndpointStatus.ENABLED;
      if (enabled === true && !isEnabled)
        Object.assign(endpoint, { status: WebhookEndpointStatus.ENABLED, disabledReason: null, failingSince: null });
      if (enabled === false && isEnabled) {
        endpoint.status = WebhookEndpointStatus.DISABLED;
        await giveUp(em, id, 'The endpoint was switched off.');
      }
      this.audit(em, 'update', id, { ...wanted, ...(typeof enabled === 'boolean' && { enabled }) });
      return id;
    });
  }

  /**
   * Forgets an endpoint. What it was told can still be read for a while.
   * @throws AppError NOT_FOUND
   */
  delete(id: Uuid): Promise<Uuid> {
    return this.change(async (em) => {
      const endpoint = await found(em, id);
      endpoint.deletedAt = this.settings.clock.now();
      endpoint.status = WebhookEndpointStatus.DISABLED;
      await giveUp(em, id, 'The endpoint was deleted.');
      this.audit(em, 'delete', id, { url: endpoint.url });
      return id;
    });
  }

  /**
   * Gives an endpoint another secret. For a while requests carry a signature with each, so that the receiver can change over without losing any.
   * @param keepHours how long, 0 to 168; 0 when the old one got into wrong hands
   * @throws AppError BAD_USER_INPUT · NOT_FOUND
   */
  rotate(id: Uuid, keepHours: number): Promise<Secret> {
    const { secrets, clock } = this.settings;
    if (!(keepHours >= 0 && keepHours <= maxKeepHours))
      throw badInput('input.keepPreviousHours', `From 0 to ${maxKeepHours} hours.`);
    return this.change(async (em) => {
      const endpoint = await found(em, id);
      endpoint.secretVersion += 1;
      endpoint.secretCheck = secrets.checkOf(id, endpoint.secretVersion);
      endpoint.previousSecretUntil = keepHours ? new Date(clock.now().getTime() + keepHours * hourMs) : null;
      this.audit(em, 'rotate-secret', id, { keepHours });
      return { id, secret: secrets.secretOf(id, endpoint.secretVersion) };
    });
  }

  /**
   * Tells an endpoint that somebody wants to know whether it hears: an event of the type `ping`, without anything else.
   * @returns the delivery
   * @throws AppError NOT_FOUND · INVALID_STATE when it is switched off
   */
  ping(id: Uuid): Promise<Uuid> {
    return this.change(async (em) => {
      const endpoint = await found(em, id);
      assertEnabled(endpoint);
      const delivery = Object.assign(new WebhookDelivery(), {
        ...{ endpointId: id, type: 'ping', data: {}, nextAttemptAt: this.settings.clock.now() },
        key: `ping:${newUuid()}`,
      });
      em.persist(delivery);
      this.audit(em, 'ping', id, {});
      return delivery.id;
    });
  }

  /**
   * Sends something again, under the same `webhook-id`: whoever has it already can tell.
   * @throws AppError NOT_FOUND · INVALID_STATE when the endpoint is switched off or gone
   */
  replay(deliveryId: Uuid): Promise<Uuid> {
    return this.change(async (em) => {
      const delivery = await em.findOne(WebhookDelivery, { id: deliveryId }, { lockMode: LockMode.PESSIMISTIC_WRITE });
      if (!delivery) throw notFound('delivery', 'input.id');
      const endpoint = await em.findOne(WebhookEndpoint, { id: delivery.endpointId });
      if (!endpoint || endpoint.deletedAt) throw new AppError('INVALID_STATE', 'The endpoint was deleted.');
      assertEnabled(endpoint);
      // One that is being sent right now goes on; its result is not taken for that of this one.
      Object.assign(delivery, {
        attempts: 0,
        nextAttemptAt: this.settings.clock.now(),
        leaseToken: null,
        leaseUntil: null,
      });
      Object.assign(delivery, { state: WebhookDeliveryState.PENDING, deliveredAt: null, error: null });
      this.audit(em, 'replay', endpoint.id, { deliveryId, type: delivery.type });
      return deliveryId;
    });
  }

  private change<T>(work: (em: EntityManager) => Promise<T>): Promise<T> {
    return this.settings.db.transaction(work);
  }

  private audit(em: EntityManager, verb: string, subjectId: Uuid, details: Record<string, unknown>): void {
    const { actor } = this.settings;
    audit(em, { actor, action: `webhook-endpoint.${verb}`, subjectType: 'webhook-endpoint', subjectId, details });
  }
}

/** An endpoint, and what its requests are signed with from now on. */
interface Secret {
  readonly id: Uuid;
  readonly secret: string;
}

async function found(em: EntityManager, id: Uuid): Promise<WebhookEndpoint> {
  const endpoint = await em.findOne(WebhookEndpoint, { id, deletedAt: null }, { lockMode: LockMode.PESSIMISTIC_WRITE });
  if (!endpoint) throw notFound('endpoint', 'input.id');
  return endpoint;
}

function assertEnabled({ status }: WebhookEndpoint): void {
  if (status !== WebhookEndpointStatus.ENABLED) throw new AppError('INVALID_STATE', 'The endpoint is switched off.');
}

function readDescription(description: string | null | undefined): string | null {
  const text = description?.trim() ?? '';
  if (text.length > 500) throw badInput('input.description', 'At most 500 characters.');
  return text || null;
}
