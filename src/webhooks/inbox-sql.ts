import { type Delivery } from './delivery.js';
import { literal, queueChannel } from './sql.js';

/** How many new events of a batch got which status. */
export interface StoredCounts {
  readonly status: 'RECEIVED' | 'IGNORED' | 'PARKED';
  readonly events: number;
}

/**
 * One batch as one text: the rows are a single JSON array, in which the payloads stand as they arrived. Sent as a literal, because only a query
 * without parameters may hold several statements.
 */
export function storeStatement(deliveries: readonly Delivery[]): string {
  // All processes insert in the same order: two that hold copies of the same events cannot wait for each other.
  const rows = [...deliveries].sort((a, b) => (a.stripeEventId < b.stripeEventId ? -1 : 1)).map(rowOf);
  return `set local role app_worker;
with incoming as (
  select * from json_to_recordset(${literal(`[${rows.join(',')}]`)}::json) as row (stripe_event_id text, type text, kind text, status text,
    awaits_handler boolean, stripe_account_id text, object_key text, livemode boolean, stripe_created_at timestamptz, payload jsonb)
), stored as (
  insert into stripe_webhook_events
    (stripe_event_id, type, kind, status, awaits_handler, stripe_account_id, object_key, livemode, payload, stripe_created_at)
  select i.stripe_event_id, i.type, i.kind,
    case when i.stripe_account_id is not null and a.stripe_account_id is null then 'PARKED' else i.status end,
    i.awaits_handler, i.stripe_account_id, i.object_key, i.livemode, i.payload, i.stripe_created_at
  from incoming i left join stripe_accounts a on a.stripe_account_id = i.stripe_account_id and a.livemode = i.livemode
  on conflict do nothing
  returning id, stripe_created_at, stripe_account_id, livemode, object_key, status
), queued as (
  insert into stripe_webhook_queue (event_id, stripe_created_at, stripe_account_id, livemode, object_key, state)
  select id, stripe_created_at, stripe_account_id, livemode, object_key, case status when 'PARKED' then status else 'READY' end
  from stored where status <> 'IGNORED'
)
select status, count(*)::integer as events from stored group by status;
notify ${queueChannel}`;
}

function rowOf(delivery: Delivery): string {
  const head = JSON.stringify({
    stripe_event_id: delivery.stripeEventId,
    type: delivery.type,
    kind: delivery.kind,
    status: delivery.status,
    awaits_handler: delivery.awaitsHandler,
    stripe_account_id: delivery.accountId,
    object_key: delivery.objectKey,
    livemode: delivery.livemode,
    stripe_created_at: delivery.createdAt.toISOString(),
  });
  return `${head.slice(0, -1)},"payload":${delivery.payload}}`;
}

/** The same JSON without what jsonb refuses: the character U+0000, and halves of surrogate pairs. */
export function storable(payload: string): string {
  return JSON.stringify(JSON.parse(payload), (_, value: unknown) =>
    typeof value === 'string' ? value.replace(/\0|\p{Surrogate}/gu, '\ufffd') : value,
  );
}
