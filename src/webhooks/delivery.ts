import { stripeTime } from '../shared/clock.js';
import { isAccountId, type AccountId, type EventId } from '../stripe/types.js';
import { type VerifiedWebhook, withoutSecrets } from '../stripe/webhook-signature.js';
import { type HandlerIndex } from './handler-index.js';

/** An authentic delivery as it is stored. */
export interface Delivery {
  readonly stripeEventId: EventId;
  readonly type: string;
  readonly kind: 'SNAPSHOT' | 'THIN';
  /** As far as this process can tell; whether the account is known is found out by the insert. */
  readonly status: 'RECEIVED' | 'IGNORED' | 'PARKED';
  /** Nothing takes it yet, but something is to: it is found again when that is there. */
  readonly awaitsHandler: boolean;
  readonly accountId: AccountId | null;
  readonly objectKey: string;
  readonly livemode: boolean;
  readonly createdAt: Date;
  /** The JSON text as it arrived, but for secrets (see {@link withoutSecrets}): it goes to PostgreSQL without being written anew. */
  readonly payload: string;
}

/**
 * What an authentic body says about itself.
 * @param livemode the mode of our keys; events of the other mode are parked
 * @returns null when it lacks what every event has
 */
export function deliveryOf(verified: VerifiedWebhook, handlers: HandlerIndex, livemode: boolean): Delivery | null {
  const envelope = verified.kind === 'SNAPSHOT' ? ofSnapshot(verified.event) : ofThin(verified.notification);
  const { id, type } = verified.kind === 'SNAPSHOT' ? verified.event : verified.notification;
  if (
    !/^evt_[\w]{1,251}$/.test(id) ||
    typeof envelope.livemode !== 'boolean' ||
    Number.isNaN(envelope.createdAt.getTime())
  )
    return null;
  const event = verified.kind === 'SNAPSHOT' ? verified.event : verified.notification;
  return {
    ...envelope,
    stripeEventId: id as EventId,
    type,
    kind: verified.kind,
    status: envelope.livemode !== livemode ? 'PARKED' : handlers.has(type) ? 'RECEIVED' : 'IGNORED',
    awaitsHandler: handlers.awaits(type),
    objectKey: handlers.objectOf(type, event) ?? envelope.objectKey ?? id,
    payload: withoutSecrets(verified.text),
  };
}

interface Envelope {
  readonly accountId: AccountId | null;
  readonly objectKey: string | null;
  readonly livemode: boolean;
  readonly createdAt: Date;
}

function ofSnapshot(event: Extract<VerifiedWebhook, { kind: 'SNAPSHOT' }>['event']): Envelope {
  const object = event.data?.object as { id?: unknown; account?: unknown } | undefined;
  // The platform's own events about a tenant's account, its fees above all, name that account in the object.
  const account = event.account ?? object?.account;
  return {
    accountId: isAccountId(account) ? account : null,
    objectKey: textOr(object?.id),
    livemode: event.livemode,
    createdAt: stripeTime(event.created),
  };
}

function ofThin(event: Extract<VerifiedWebhook, { kind: 'THIN' }>['notification']): Envelope {
  const related = event.related_object;
  // A context can be a path of accounts, the last of which owns the object: `acct_platform/acct_tenant`.
  const account = event.context?.split('/').at(-1) ?? (related?.type === 'v2.core.account' ? related.id : null);
  return {
    accountId: isAccountId(account) ? account : null,
    objectKey: textOr(related?.id),
    livemode: event.livemode,
    createdAt: new Date(event.created),
  };
}

function textOr(value: unknown): string | null {
  return typeof value === 'string' && value.length > 0 && value.length <= 255 ? value : null;
}
