import { type EntityManager } from '@mikro-orm/postgresql';
import { type Uuid } from '../../shared/uuid.js';
import { type Result } from './dunning-attempt.js';
import { type DunningOutcome, type DunningStepKind } from './dunning-step.entity.js';

/** A step that is under way, or the next one. */
export interface Step {
  readonly id: Uuid;
  readonly number: number;
  readonly kind: `${DunningStepKind}`;
  /** Days after the first failure; null for what was asked for by hand, or what Stripe brings about. */
  readonly day: number | null;
  readonly at: Date;
  readonly outcome: `${DunningOutcome}`;
  /** Whether nothing is tried after it. */
  readonly isLast: boolean;
}

/** What is under way, or else what comes next; null when nothing does. */
export async function dueStep(em: EntityManager, caseId: Uuid): Promise<Step | null> {
  const [step] = await em.execute<(Omit<Step, 'at'> & { readonly at: string | Date })[]>(
    `select s.id, s.number, s.kind, s.day, s.at, s.outcome, not exists (
       select from dunning_steps o where o.tenant_id = s.tenant_id and o.case_id = s.case_id and o.outcome = 'PLANNED' and o.kind = 'RETRY'
         and (o.at, o.number) > (s.at, s.number)) as "isLast"
     from dunning_steps s where s.case_id = ? and s.outcome in ('PLANNED', 'RUNNING')
     order by s.outcome = 'RUNNING' desc, s.at, s.number limit 1`,
    [caseId],
  );
  return step ? { ...step, at: new Date(step.at) } : null;
}

/** Writes down what came of a step. */
export async function endStep(
  em: EntityManager,
  id: Uuid,
  { outcome, declineCode, now }: Result & { now: Date },
): Promise<void> {
  await em.execute('update dunning_steps set outcome = ?, decline_code = ?, done_at = ? where id = ?', [
    ...[outcome, declineCode, now, id],
  ]);
}

/**
 * Lets the later steps keep their distance from one that came late: after a standstill, what was missed is not made up for all at once. A step
 * in time moves nothing, so that small delays do not add up.
 */
export async function replanAfter(
  em: EntityManager,
  caseId: Uuid,
  { at, day }: Step,
  now: Date,
  timeZone: string,
): Promise<void> {
  if (day === null || +now - +at < 3_600_000) return;
  await em.execute(
    `update dunning_steps set at = greatest(at, (?::timestamptz at time zone ? + (day - ?::int) * interval '1 day') at time zone ?)
     where case_id = ? and outcome = 'PLANNED' and day >= ?`,
    [now, timeZone, day, timeZone, caseId, day],
  );
}
