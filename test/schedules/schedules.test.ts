import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { type Readable } from 'node:stream';
import { getConstructionPlans } from 'pg-boss';
import { Database } from '../../src/db/database.js';
import { createOrm } from '../../src/db/orm.js';
import { type ScheduledJob } from '../../src/jobs/schedules/scheduled-job.js';
import { Schedules } from '../../src/jobs/schedules/schedules.js';
import { metrics } from '../../src/shared/metrics.js';
import { aTenant, type Row } from '../support/factories.js';
import { startApp, type TestApp } from '../support/harness.js';
import { aToken } from '../support/tokens.js';
import { until } from '../support/until.js';
import { silent } from '../webhooks/stage.js';
import { testProgram } from '../support/program.js';

let app: TestApp;
let database: Database;
let platform: string;
const started: Schedules[] = [];

beforeAll(async () => {
  app = await startApp({ env: { PROCESS_ROLE: 'api' } });
  database = new Database(createOrm({ url: app.db.url, entities: [] }), false);
  platform = await aToken({ role: 'platform_admin', subject: 'platform-1' });
});
afterEach(async () => {
  await Promise.all(started.splice(0).map((schedules) => schedules.stop()));
});
afterAll(async () => {
  await database.orm.close(true);
  await app.stop();
});

/** What is due once in a leap year, so that it runs only when somebody asks. */
const hardlyEver = '0 0 29 2 *';

function start(...jobs: (Partial<ScheduledJob> & Pick<ScheduledJob, 'name' | 'run'>)[]): Schedules {
  const all = jobs.map((job) => ({ description: 'A test.', cron: hardlyEver, ...job }));
  const pace = { shutdownTimeoutMs: 5_000, delayMs: 0, pollSeconds: 0.5 };
  const schedules = new Schedules({ database, jobs: all, logger: silent, ...pace });
  started.push(schedules);
  schedules.start();
  return schedules;
}

/** A process that has one job, which never ends unless it is told. */
function aProcess(job: string): ChildProcessByStdio<null, Readable, null> {
  const script = testProgram(new URL('schedule-process.mjs', import.meta.url));
  const env = { ...process.env, DATABASE_URL: app.db.url, JOB: job };
  return spawn(process.execPath, [script], { env, stdio: ['ignore', 'pipe', 'inherit'] });
}

const fields = `name description cron nextRunAt isRunning lastSucceededAt failures error requestedBy requestedAt lastRun { startedAt endedAt outcome }`;
const jobOf = async (name: string): Promise<Row | undefined> =>
  (await app.ask<{ jobs: Row[] }>(`{ jobs { ${fields} } }`, {}, platform)).jobs.find((job) => job.name === name);
const isKnown = (name: string) => until(async () => jobOf(name), `${name} is known`);
const ask = async (name: string) => {
  await isKnown(name);
  await app.ask(`mutation ($name: String!) { runJob(input: { name: $name }) { job { name } } }`, { name }, platform);
};
/** What waits to be tried again is due now. */
const hurry = (name: string) =>
  app.db.query(`update payments_pgboss.job set start_after = now() where name = $1 and state = 'retry' returning id`, [
    `test.${name}`,
  ]);

test('a job runs when its minute comes, and once more for all that came while nobody worked', async () => {
  let minutes = 0;
  let days = 0;
  const everyMinute = { name: 'minutely', cron: '* * * * *', run: () => Promise.resolve(void minutes++) };
  // It was due two hours ago, and is due again in 22.
  const cron = `0 ${(new Date().getUTCHours() + 22) % 24} * * *`;
  const daily = { name: 'daily', cron, run: () => Promise.resolve(void days++) };
  const before = start(everyMinute, daily, { name: 'of-a-former-version', run: () => Promise.resolve() });
  await isKnown('daily');
  await before.stop();
  expect(days).toBe(0);

  await app.db.query(`update scheduled_jobs set seen_at = now() - interval '8 days'`);
  await app.db.query(`update payments_pgboss.schedule set created_on = now() - interval '9 days'`);
  await app.db.query(`update payments_pgboss.version set cron_on = now() - interval '3 days'`);
  const after = start(everyMinute, daily);
  await until(async () => (await jobOf('daily'))?.lastSucceededAt, 'it was caught up');
  await until(async () => (await jobOf('minutely'))?.lastSucceededAt, 'the other ran');
  await after.stop();
  expect(days).toBe(1);
  expect(await jobOf('of-a-former-version')).toBeUndefined();
  expect(await app.db.query(`select from payments_pgboss.schedule where name ~ 'former'`)).toEqual([]);
  expect(await jobOf('daily')).toMatchObject({ failures: 0, isRunning: false, lastRun: { outcome: 'SUCCEEDED' } });
  expect(Date.parse((await jobOf('daily'))!.nextRunAt as string)).toBeGreaterThan(Date.now());
});

test('a run that failed, or died with its process, is made again; and never are there two at a time', async () => {
  const child = aProcess('dying');
  try {
    const running = once(child.stdout, 'data');
    await ask('dying');
    await running;
    let runs = 0;
    let tries = 0;
    const failing = () => (++tries < 2 ? Promise.reject(new Error('No luck.')) : Promise.resolve());
    const dying = () => Promise.resolve(void runs++);
    const schedules = start({ name: 'dying', run: dying }, { name: 'failing', run: failing });
    // Whatever is asked for: it runs already.
    await ask('dying');
    await ask('failing');

    await until(async () => (await jobOf('failing'))?.failures === 1, 'it failed');
    expect(await jobOf('failing')).toMatchObject({
      ...{ error: 'No luck.', isRunning: false, lastSucceededAt: null, requestedBy: 'platform-1' },
      lastRun: { outcome: 'FAILED' },
    });
    const open = `select 1 from scheduled_job_requests where name = 'dying' and queued_at is null`;
    await until(async () => (await app.db.query(open)).length === 0, 'the wish was heard');
    await schedules.takeOver();
    expect(runs).toBe(0);
    expect(await jobOf('dying')).toMatchObject({ isRunning: true, failures: 0 });

    child.kill('SIGKILL');
    await once(child, 'exit');
    await app.db.query(
      `update payments_pgboss.job set heartbeat_on = now() - interval '31 seconds' where name = 'test.dying' and state = 'active'`,
    );
    await app.db.query('update payments_pgboss.queue set monitor_on = null, monitor_claim_on = null');
    await schedules.takeOver();
    for (const name of ['dying', 'failing']) {
      await until(async () => (await hurry(name)).length > 0, 'it waits to be made again');
    }
    for (const name of ['dying', 'failing']) {
      await until(async () => (await jobOf(name))?.lastSucceededAt, 'it succeeded');
      expect(await jobOf(name)).toMatchObject({ failures: 0, error: null, lastRun: { outcome: 'SUCCEEDED' } });
    }
    expect([runs, tries]).toEqual([1, 2]);
    await until(
      async () => /scheduled_job_failures\{job="failing"\} 0/.test(await metrics.metrics()),
      'it is measured',
    );
    expect(await metrics.metrics()).toMatch(/scheduled_job_last_success_seconds\{job="failing"\} \d/);
  } finally {
    child.kill('SIGKILL');
  }
});

test('a process that stops has its runs come to an end, leaves the rest to others, and keeps nothing', async () => {
  const child = aProcess('patient');
  try {
    const running = once(child.stdout, 'data');
    await ask('patient');
    await running;
    expect(await jobOf('patient')).toMatchObject({ isRunning: true, lastRun: { endedAt: null, outcome: null } });
    child.kill('SIGTERM');
    // By itself: nothing is left that would keep it.
    expect(await once(child, 'exit')).toEqual([0, null]);
  } finally {
    child.kill('SIGKILL');
  }
  expect(await jobOf('patient')).toMatchObject({ isRunning: false, failures: 0, lastRun: { outcome: 'INTERRUPTED' } });
  expect(await hurry('patient')).toHaveLength(1);
  start({ name: 'patient', run: () => Promise.resolve() });
  await until(async () => (await jobOf('patient'))?.lastSucceededAt, 'another process made the run');
});

test('a process that stops before it began has nothing to stop', async () => {
  const job = {
    name: 'never',
    description: 'Never.',
    cron: '* * * * *',
    run: () => Promise.reject(new Error('It ran.')),
  };
  const schedules = new Schedules({ database, jobs: [job], logger: silent, shutdownTimeoutMs: 1_000 });
  schedules.start();
  await schedules.stop();
  expect(await jobOf('never')).toBeUndefined();
});

test('only the platform sees jobs, and only jobs that there are can be run', async () => {
  const tenant = await aTenant(app.db);
  for (const role of ['admin', 'billing', 'viewer'] as const) {
    const token = await app.token(tenant, role);
    for (const query of ['{ jobs { name } }', 'mutation { runJob(input: { name: "daily" }) { job { name } } }']) {
      expect((await app.graphql(query, {}, token)).errors?.[0]?.extensions.code).toBe('FORBIDDEN');
    }
  }
  const { errors } = await app.graphql(
    'mutation { runJob(input: { name: "nothing" }) { job { name } } }',
    {},
    platform,
  );
  expect(errors?.[0]?.extensions.code).toBe('NOT_FOUND');
});

test('the queue is the workers’ alone', async () => {
  const tenant = await aTenant(app.db);
  const denied = /permission denied/;
  for (const sql of [
    'select 1 from payments_pgboss.job',
    'select 1 from scheduled_jobs',
    `delete from payments_pgboss.queue`,
  ]) {
    await expect(database.tenant(tenant.id).transaction((em) => em.execute(sql))).rejects.toThrow(denied);
  }
  await expect(database.platform((em) => em.execute('select 1 from payments_pgboss.job'))).rejects.toThrow(denied);
  await expect(database.platform((em) => em.execute('update scheduled_jobs set failures = 0'))).rejects.toThrow(denied);
  await expect(database.orm.em.fork().execute('select 1 from payments_pgboss.job')).rejects.toThrow(denied);
  await expect(
    database.worker((em) => em.execute('alter table payments_pgboss.job add column stray int')),
  ).rejects.toThrow(/must be owner/);
});

test('the migration makes what this version of pg-boss expects', async () => {
  const migration = await readFile(new URL('../../src/db/migrations/0070_schedules.up.sql', import.meta.url), 'utf8');
  const wanted = getConstructionPlans('payments_pgboss').replace(
    /^\s*BEGIN;\s*(SET LOCAL [^;]*;\s*)*|\s*COMMIT;\s*$/g,
    '',
  );
  expect(migration).toContain(wanted);
});
