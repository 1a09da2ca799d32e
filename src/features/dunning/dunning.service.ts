import { LockMode } from '@mikro-orm/core';
import { type EntityManager } from '@mikro-orm/postgresql';
import { type TenantDb } from '../../db/database.js';
import { livemodeOf, tenantOf } from '../../db/tenant-entity.js';
import { clientKey } from '../../jobs/commands/kind.js';
import { type Clock } from '../../shared/clock.js';
import { AppError, badInput, notFound } from '../../shared/errors.js';
import { newUuid, type Uuid } from '../../shared/uuid.js';
import { audit } from '../audit/audit.js';
import { closeCase } from './dunning-cases.js';
import { DunningCase, DunningState, DunningStopReason } from './dunning-case.entity.js';
import { factsOf, holdCase } from './dunning-facts.js';
import { type DunningEnd, type DunningRetries, DunningSettings } from './dunning-settings.entity.js';
import { DunningOutcome, DunningStep, DunningStepKind } from './dunning-step.entity.js';

/** What is to be different; what is left out stays. */
export interface DunningChanges {
  readonly retries?: DunningRetries | null;
  readonly retryDays?: readonly number[] | null;
  readonly end?: DunningEnd | null;
  readonly emails?: boolean | null;
}

const mostRetries = 8;
const lastDay = 60;
/** Steps that were asked for by hand are counted from here. */
const firstByHand = 1_000;

/** What a tenant's people do about dunning. */
export class DunningService {
  constructor(
    private readonly db: TenantDb,
    private readonly clock: Clock,
    /** The subject of the verified token. */
    private readonly actor: string,
  ) {}

  /** Counts for what fails from now on; only whether mails are sent counts at once. @throws AppError BAD_USER_INPUT */
  updateSettings(input: DunningChanges): Promise<DunningSettings> {
    const changes = checked(input);
    return this.db.transaction(async (em) => {
      await em.execute(
        'insert into dunning_settings (tenant_id, livemode, id) values (?, ?, ?) on conflict (tenant_id, livemode) do nothing',
        [tenantOf(em), livemodeOf(em), newUuid()],
      );
      const settings = await settingsOf(em);
      Object.assign(settings, changes);
      const subject = { subjectType: 'dunning-settings', subjectId: settings.id };
      audit(em, { actor: this.actor, action: 'dunning-settings.update', ...subject, details: changes });
      await em.flush();
      return settings;
    });
  }

  /**
   * Stops a case for good. What is being asked of Stripe at this moment is not taken back. Stopping it again changes nothing.
   * @throws AppError NOT_FOUND · INVALID_STATE when it is over otherwise
   */
  stop(id: Uuid): Promise<void> {
    return this.db.transaction(async (em) => {
      const known = await lockedCase(em, id);
      if (known.stopReason === DunningStopReason.MANUAL) return;
      requireOpen(known);
      await closeCase(em, id, DunningStopReason.MANUAL);
      audit(em, { actor: this.actor, action: 'dunning.stop', subjectType: 'dunning-case', subjectId: id });
      await em.flush();
    });
  }

  /**
   * Has it tried again out of turn, within a minute; the schedule stays. The same key is the same retry.
   * @throws AppError NOT_FOUND · IDEMPOTENCY_CONFLICT · INVALID_STATE when it is over, or when the method is one that will never work ·
   *   CONFLICT while another retry is under way
   */
  retryNow(id: Uuid, idempotencyKey: string): Promise<void> {
    const requestKey = clientKey(idempotencyKey);
    return this.db.transaction(async (em) => {
      const known = await lockedCase(em, id);
      const earlier = await em.findOne(DunningStep, { requestKey, livemode: livemodeOf(em) });
      if (earlier && earlier.caseId === id) return;
      if (earlier)
        throw new AppError('IDEMPOTENCY_CONFLICT', 'This idempotency key was used for another request.', {
          field: 'input.idempotencyKey',
        });
      requireOpen(known);
      const facts = await factsOf(em, id);
      if (facts.reason !== null) throw new AppError('INVALID_STATE', 'There is nothing more to collect.', { field });
      if (facts.blockedMethod !== null && (facts.method ?? '') === facts.blockedMethod)
        throw new AppError(
          'INVALID_STATE',
          'This payment method will not work: the customer has to give another one.',
          {
            field,
          },
        );
      const steps = await em.find(DunningStep, { caseId: id });
      const isUnderWay = ({ outcome, requestKey }: DunningStep) =>
        outcome === DunningOutcome.RUNNING || (outcome === DunningOutcome.PLANNED && requestKey !== null);
      if (steps.some(isUnderWay)) throw new AppError('CONFLICT', 'A retry is under way.', { field });
      const number = Math.max(firstByHand, ...steps.map((step) => step.number + 1));
      const at = this.clock.now();
      em.persist(Object.assign(new DunningStep(), { caseId: id, number, kind: DunningStepKind.RETRY, at, requestKey }));
      known.nextAt = known.nextAt && known.nextAt < at ? known.nextAt : at;
      const subject = { subjectType: 'dunning-case', subjectId: id };
      audit(em, { actor: this.actor, action: 'dunning.retry-now', ...subject, details: { step: number } });
      await em.flush();
    });
  }
}

const field = 'input.caseId';

/** Its invoice is locked before it. */
async function lockedCase(em: EntityManager, id: Uuid): Promise<DunningCase> {
  if (!(await holdCase(em, id, null))) throw notFound('dunning case', field);
  return em.findOneOrFail(DunningCase, { id }, { lockMode: LockMode.PESSIMISTIC_WRITE });
}

function requireOpen({ state }: DunningCase): void {
  if (state !== DunningState.OPEN)
    throw new AppError('INVALID_STATE', `It is over: ${state.toLowerCase()}.`, { field });
}

async function settingsOf(em: EntityManager): Promise<DunningSettings> {
  return (await em.findOne(DunningSettings, { livemode: livemodeOf(em) })) ?? new DunningSettings();
}

/** Only what is to change, in the form in which it is kept. */
function checked({ retries, retryDays, end, emails }: DunningChanges): Partial<DunningSettings> {
  if (retryDays && (retryDays.length < 1 || retryDays.length > mostRetries))
    throw badInput('input.retryDays', `There are 1 to ${mostRetries} retries.`);
  if (retryDays?.some((day) => day < 1 || day > lastDay))
    throw badInput('input.retryDays', `A retry is 1 to ${lastDay} days after the failure.`);
  if (retryDays?.some((day, index) => index > 0 && day <= retryDays[index - 1]!))
    throw badInput('input.retryDays', 'Each day must be later than the one before.');
  return {
    ...(retries && { retries }),
    ...(retryDays && { retryDays: [...retryDays] }),
    ...(end && { end }),
    ...(emails !== undefined && emails !== null && { emails }),
  };
}
