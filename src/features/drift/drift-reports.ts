import { type EntityManager } from '@mikro-orm/postgresql';
import { livemodeOf, tenantOf } from '../../db/tenant-entity.js';
import { type Uuid } from '../../shared/uuid.js';
import { type AccountId } from '../../stripe/types.js';
import { type Found } from './drift.service.js';
import { lastCheck } from '../ledger/ledger-check.js';
import { type DriftDifference, type DriftReport } from './drift-report.types.js';

// Reports as rows: a report is written once and read whole.

interface Begun {
  readonly accountId: AccountId;
  readonly actor: string;
  readonly dryRun: boolean;
  readonly since: Date;
}

const mostDifferences = 1_000;

/** @returns null while another comparison of the tenant runs; one that has not ended after a quarter of an hour was killed */
export async function beginReport(em: EntityManager, { accountId, actor, dryRun, since }: Begun): Promise<Uuid | null> {
  const rows = await em.execute<{ id: Uuid }[]>(
    `insert into drift_reports (tenant_id, livemode, stripe_account_id, actor, dry_run, since)
     select ?::uuid, ?, ?, ?, ?, ?::timestamptz
     where not exists (select from drift_reports where finished_at is null and started_at > now() - interval '15 minutes')
     returning id`,
    [tenantOf(em), livemodeOf(em), accountId, actor, dryRun, since],
  );
  return rows[0]?.id ?? null;
}

/** Writes down what came of it. */
export async function endReport(em: EntityManager, id: Uuid, { examined, differences, problem }: Found): Promise<void> {
  await em.execute(
    `update drift_reports set finished_at = now(), examined = ?, difference_count = ?, repaired_count = ?, is_complete = ?, problem = ?,
       differences = ?::jsonb where id = ?`,
    [
      examined,
      differences.length,
      differences.filter(({ repaired }) => repaired).length,
      problem === null,
      problem,
      JSON.stringify(differences.slice(0, mostDifferences)),
      id,
    ],
  );
}

type Compared = Omit<DriftReport, 'books'>;

interface Row {
  readonly id: Uuid;
  readonly started_at: string | Date;
  readonly finished_at: string | Date | null;
  readonly since: string | Date;
  readonly dry_run: boolean;
  readonly is_complete: boolean;
  readonly problem: string | null;
  readonly examined: number;
  readonly difference_count: number;
  readonly repaired_count: number;
  readonly differences: DriftDifference[] | string;
}

export async function latestReport(em: EntityManager): Promise<DriftReport> {
  const [row] = await em.execute<Row[]>('select * from drift_reports order by id desc limit 1');
  return { ...(row ? reportOf(row) : nothingYet), books: await lastCheck(em) };
}

export async function readReport(em: EntityManager, id: Uuid): Promise<DriftReport> {
  const [row] = await em.execute<Row[]>('select * from drift_reports where id = ?', [id]);
  return { ...reportOf(row!), books: await lastCheck(em) };
}

const nothingYet: Compared = {
  id: null,
  startedAt: null,
  finishedAt: null,
  since: null,
  dryRun: true,
  isComplete: false,
  problem: null,
  examined: 0,
  differenceCount: 0,
  repairedCount: 0,
  differences: [],
};

function reportOf(row: Row): Compared {
  return {
    id: row.id,
    startedAt: new Date(row.started_at),
    finishedAt: row.finished_at === null ? null : new Date(row.finished_at),
    since: new Date(row.since),
    dryRun: row.dry_run,
    isComplete: row.is_complete,
    problem: row.problem,
    examined: row.examined,
    differenceCount: row.difference_count,
    repairedCount: row.repaired_count,
    differences:
      typeof row.differences === 'string' ? (JSON.parse(row.differences) as DriftDifference[]) : row.differences,
  };
}
