import { type EntityManager } from '@mikro-orm/postgresql';
import { type TenantRows } from '../db/many-tenants.js';
import { type Uuid } from '../shared/uuid.js';
import { type AccountStripe } from '../stripe/account-stripe.js';
import { type StripeService } from '../stripe/stripe.service.js';
import { type AccountId, type EventId, type StripeEvent, type ThinNotification } from '../stripe/types.js';
import { type Commands } from './commands/commands.js';

// What a feature does when Stripe reports something. A feature exports one table; src/webhooks/handlers.ts merges them all.
//
// @example
// const recordIntent: EventHandler<EventOf<'payment_intent.succeeded' | 'payment_intent.canceled'>, IntentReport> = {
//   object: (event) => event.data.object.id,
//   async apply(em, event, context, fetched) {
//     const payment = await find(em, event.data.object.id);
//     if (!payment) return 'done';
//     const report = fetched ?? intentReport(event.data.object);
//     const order = payment.applyIntent(report, context.created, fetched !== null);
//     if (order === 'unclear') return 'fetch';
//     if (order === 'newer' && payment.isFinal && (await context.once(em, `receipt:${report.id}`))) sendReceipt(em, payment);
//     return 'done';
//   },
//   version: async (em, event) => (await find(em, event.data.object.id))?.updatedAt.toISOString() ?? null,
//   load: async (event, { stripe }) => intentReport(await stripe.retrievePaymentIntent(event.data.object.id)),
// };
//
// export const paymentEvents = {
//   'payment_intent.succeeded': recordIntent,
//   'payment_intent.canceled': recordIntent,
// } satisfies EventHandlers;

/** A snapshot event of one type, or of several: `EventOf<'charge.succeeded' | 'charge.updated'>`. */
export type EventOf<Type extends StripeEvent['type']> = Extract<StripeEvent, { type: Type }>;

/** Stripe names thin events after the API version of what they are about: `v2.core.account[requirements].updated`. */
type ThinType = `v1.${string}` | `v2.${string}`;

/** `fetch`: what is known cannot be put in order, or there is no payload; read the object from Stripe and apply that. */
type Applied = 'done' | 'fetch';

/** `single`: not in a crowd; give it to `apply`. */
export type AppliedMany = Applied | 'single';

/** One of the events that are applied together. */
export interface Reported<Event> {
  readonly event: Event;
  readonly context: EventContext;
}

/** Where an event comes from. Everything here is from the signed envelope, none of it from the payload's object. */
export interface EventContext {
  /** Whose account it is. The transaction is already restricted to this tenant's rows. */
  readonly tenantId: Uuid;
  readonly accountId: AccountId;
  readonly livemode: boolean;
  readonly eventId: EventId;
  /** Stripe's stamp. A snapshot's has one-second grain; compare it only with Stripe's own stamps. */
  readonly created: Date;
  /**
   * Claims an effect that must happen once: true for the first caller ever, in the caller's transaction. The key names account object and
   * transition, `receipt:pi_1`, never the event: one change may be reported by several events.
   */
  once(em: EntityManager, key: string): Promise<boolean>;
}

/** What {@link EventHandler.load} gets besides: Stripe, which nobody may talk to inside a transaction. */
export interface LoadContext extends EventContext {
  /** Stripe as this tenant's account sees it. */
  readonly stripe: AccountStripe;
  /** Stripe as the platform sees it: for accounts, and for fees, which live on the platform. */
  readonly platform: StripeService;
  /** For what has to be changed at Stripe because of the event. Under a key of the system's own, since the event may come again. */
  readonly commands: Commands;
}

/**
 * What is done about an event, once or again. The worker calls `apply` in a transaction of the tenant, which many events may share, and
 * commits its changes and the event's mark together. When `apply` answers `fetch`, the worker leaves the transaction, calls `load`, and calls
 * `apply` again with what came back.
 *
 * Whatever is thrown undoes this event's changes; it is tried again later, and given up after a number of tries (`DEAD`, to be replayed).
 * Not knowing the object is no error: answer `done`.
 */
export interface EventHandler<Event, Report extends NonNullable<unknown> = NonNullable<unknown>> {
  /**
   * The Stripe object whose events are kept in order and never run at the same time. Without this: `data.object.id` of a snapshot,
   * `related_object.id` of a thin event. Say it where several objects change one row: a charge's events belong to its `payment_intent`.
   */
  object?(event: Event): string | null;

  /**
   * Whether it changes rows that events of other objects change, too: an invoice that its subscription and its payments know of. No other
   * transaction with events of the same tenant runs beside it then; they would wait for one another in a circle.
   */
  readonly exclusive?: boolean;

  /**
   * Changes rows through `em`; flushed by the worker. No network. May run again for the same event, so what must happen once goes through
   * `context.once`. Before it answers `fetch` it must not have done anything that may not be done twice.
   * @param fetched null until `load` was called
   */
  apply(em: EntityManager, event: Event, context: EventContext, fetched: Report | null): Promise<Applied>;

  /**
   * The same as `apply` for many events of one tenant at once, where events come in crowds: loads what they need in a few statements, decides
   * by the same rules, and writes what changed. The rows must end as if `apply` had been called for one after the other. It shares its
   * transaction with other tenants, and is asked only where an event has no other handler. Handlers that change the same rows share one function.
   * @param events in order
   * @returns what became of each; of one object's events, none may be done after one that is not
   */
  applyMany?(this: void, rows: TenantRows, events: readonly Reported<Event>[]): Promise<readonly AppliedMany[]>;

  /** Reads the object from Stripe. No transaction is open. Needed where `apply` can answer `fetch`. That there is no object is a report, too. */
  load?(event: Event, context: LoadContext): Promise<Report>;

  /**
   * Locks the row that a fetched report will change and says which version of it this is: its `updatedAt`; null when there is none. Asked
   * before `load` and again before `apply`: when it has moved, somebody else has written meanwhile something that may be newer, so the object is
   * loaded again. Needed wherever `load` is.
   */
  version?(em: EntityManager, event: Event, context: EventContext): Promise<string | null>;
}

/** A feature's table: which handler for which type. The compiler checks each handler against its own type of event. */
export type EventHandlers = {
  readonly [Type in StripeEvent['type']]?: EventHandler<EventOf<Type>>;
} & { readonly [Type in ThinType]?: EventHandler<ThinNotification> };
