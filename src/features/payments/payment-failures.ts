import { type EntityManager } from '@mikro-orm/postgresql';
import { type TenantRows } from '../../db/many-tenants.js';
import { type EventContext } from '../../jobs/events.js';
import { type IntentReport } from '../../stripe/reports.js';

/** A try to pay that Stripe reported as failed. The payment itself shows only the last one, and none once it has succeeded. */
export interface FailedTry {
  readonly report: IntentReport;
  readonly context: Pick<EventContext, 'tenantId' | 'accountId' | 'eventId' | 'created'>;
}

/** By its charge; without one, by the event that told it. So it is there once, however often and in whatever order it is told. */
const keep = (json: string, tenant: string): string => `
  insert into payment_failures (tenant_id, livemode, payment_id, attempt, amount, currency, code, decline_code, failed_at)
  select p.tenant_id, p.livemode, p.id, f.attempt, f.amount, f.currency, f.code, f.decline_code, f.failed_at
  from jsonb_to_recordset(${json}::jsonb) as f (intent text, account text, attempt text, amount bigint, currency text, code text, decline_code text,
    failed_at timestamptz) join payments p on p.tenant_id = ${tenant} and p.stripe_payment_intent_id = f.intent and p.stripe_account_id = f.account
  on conflict do nothing`;

const [keepOne, keepMany] = [keep('?', '?'), keep('$1', '$2')];

function linesOf(tries: readonly FailedTry[]): string {
  return JSON.stringify(
    tries.map(({ report: { id, amount, currency, latestChargeId, lastError }, context }) => ({
      ...{ intent: id, account: context.accountId, attempt: latestChargeId ?? context.eventId, amount, currency },
      ...{
        code: lastError?.code ?? 'unknown',
        decline_code: lastError?.declineCode ?? null,
        failed_at: context.created,
      },
    })),
  );
}

/** Keeps a try, once its payment is known. */
export async function keepFailure(em: EntityManager, failed: FailedTry): Promise<void> {
  // The payment may have been made just now.
  await em.flush();
  await em.execute(keepOne, [linesOf([failed]), failed.context.tenantId]);
}

/** The same for many of one tenant. */
export function keepFailures(rows: TenantRows, failed: readonly FailedTry[]): void {
  if (failed.length > 0) rows.tell(keepMany, linesOf(failed), rows.tenantId);
}
