import { setLookups } from '../db/lookups.js';
import { arrayText, type Step } from '../db/message.js';
import { type Delivery } from './delivery.js';
import { queueChannel } from './sql.js';

/** How many new events of a batch got which status. */
export interface StoredCounts {
  readonly status: 'RECEIVED' | 'IGNORED' | 'PARKED';
  readonly events: number;
}

/**
 * One batch as one message. Without a BEGIN what PostgreSQL receives up to the end of a message is one transaction, which it ends by itself,
 * whatever becomes of us. The payloads are one array, as they arrived: PostgreSQL reads that text once, and cuts rows out of what it has read.
 * @param answer gets the rows of the last statement: how many got which status
 */
export function storeSteps(deliveries: readonly Delivery[], answer: (counts: StoredCounts[]) => void): Step[] {
  // All processes insert in the same order: two that hold copies of the same events cannot wait for each other.
  const sorted = [...deliveries].sort((a, b) => (a.stripeEventId < b.stripeEventId ? -1 : 1));
  const listOf = (value: (delivery: Delivery) => string | boolean | null) => arrayText(sorted.map(value));
  return [
    { sql: asWorker, values: [] },
    {
      sql: insert,
      values: [
        listOf(({ stripeEventId }) => stripeEventId),
        listOf(({ type }) => type),
        listOf(({ kind }) => kind),
        listOf(({ status }) => status),
        listOf(({ awaitsHandler }) => awaitsHandler),
        listOf(({ accountId }) => accountId),
        listOf(({ objectKey }) => objectKey),
        listOf(({ livemode }) => livemode),
        listOf(({ createdAt }) => createdAt.toISOString()),
        `[${sorted.map(({ payload }) => payload).join(',')}]`,
      ],
      resolve: (rows) => answer(rows.map(([status, events]) => ({ status, events: Number(events) }) as StoredCounts)),
    },
  ];
}

// It is planned once for each connection, perhaps while the directory is still empty; it may never read all of one that has grown.
const asWorker = `select 1 where concat(set_config('role', 'app_worker', true), set_config('plan_cache_mode', 'force_generic_plan', true),
  ${setLookups},
  set_config('transaction_timeout', '10s', true)) is null`;

const insert = `with stored as (
  insert into stripe_webhook_events
    (stripe_event_id, type, kind, status, awaits_handler, stripe_account_id, object_key, livemode, payload, stripe_created_at)
  select i.stripe_event_id, i.type, i.kind,
    case when i.stripe_account_id is not null and a.stripe_account_id is null then 'PARKED' else i.status end,
    i.awaits_handler, i.stripe_account_id, i.object_key, i.livemode, i.payload, i.stripe_created_at
  from rows from (
      unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::boolean[], $6::text[], $7::text[], $8::boolean[], $9::timestamptz[]),
      jsonb_array_elements($10::jsonb)
    ) as i (stripe_event_id, type, kind, status, awaits_handler, stripe_account_id, object_key, livemode, stripe_created_at, payload)
    left join stripe_accounts a on a.stripe_account_id = i.stripe_account_id and a.livemode = i.livemode
  on conflict do nothing
  returning id, stripe_created_at, stripe_account_id, livemode, object_key, status
), queued as (
  insert into stripe_webhook_queue (event_id, stripe_created_at, stripe_account_id, livemode, object_key, state)
  select id, stripe_created_at, stripe_account_id, livemode, object_key, case status when 'PARKED' then status else 'READY' end
  from stored where status <> 'IGNORED'
)
select status, count(*), pg_notify('${queueChannel}', '') from stored group by status`;

/** The same JSON without what jsonb refuses: the character U+0000, and halves of surrogate pairs. */
export function storable(payload: string): string {
  return JSON.stringify(JSON.parse(payload), (_, value: unknown) =>
    typeof value === 'string' ? value.replace(/\0|\p{Surrogate}/gu, '\ufffd') : value,
  );
}
