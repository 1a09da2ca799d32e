import { type Connection } from './connection.js';
import { findInPages, matches, pagesOf } from './paging.js';
import {
  type CustomerId,
  type Keyed,
  type Lookup,
  type Metadata,
  type SetupIntent,
  type SetupIntentId,
} from './types.js';

export interface CreateSetupIntent {
  readonly customerId: CustomerId;
  /** Whether the method will be used while the payer is there, or without them too (the default). */
  readonly usage?: 'on_session' | 'off_session';
  readonly description?: string;
  readonly metadata: Metadata;
}

const expected = { object: 'setup_intent', prefix: 'seti_' };

/** Prepares to save a way to pay; the browser confirms it with the intent's `client_secret`. */
export function createSetupIntent(via: Connection, input: CreateSetupIntent, keyed: Keyed): Promise<SetupIntent> {
  const params = {
    customer: input.customerId,
    usage: input.usage ?? 'off_session',
    description: input.description,
    metadata: input.metadata,
  } as const;
  const echo = { customer: input.customerId, metadata: input.metadata };
  return via.change({ ...expected, echo }, keyed, (options) => via.sdk.setupIntents.create(params, options));
}

/** The intent as it is now, with the method it saved. */
export function retrieveSetupIntent(via: Connection, id: SetupIntentId): Promise<SetupIntent> {
  return via.read({ ...expected, echo: { id } }, (options) =>
    via.sdk.setupIntents.retrieve(id, { expand: ['payment_method'] }, options),
  );
}

/** Gives the intent up. @throws AppError INVALID_STATE once it has saved a method */
export function cancelSetupIntent(via: Connection, id: SetupIntentId, keyed: Keyed): Promise<SetupIntent> {
  return via.change({ ...expected, echo: { id, status: 'canceled' } }, keyed, (options) =>
    via.sdk.setupIntents.cancel(id, {}, options),
  );
}

/** The intent that carries this metadata; null when it is certain that there is none among those made since. */
export function findSetupIntent(
  via: Connection,
  { metadata, since, customerId }: Lookup & { readonly customerId?: CustomerId },
): Promise<SetupIntent | null> {
  const intents = pagesOf<SetupIntent>(via, since, (page, options) =>
    via.sdk.setupIntents.list({ ...page, customer: customerId }, options),
  );
  return findInPages(intents, (intent) => matches(intent.metadata, metadata));
}
