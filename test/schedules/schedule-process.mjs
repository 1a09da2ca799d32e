// Runs one job in a process of its own, to be killed in the middle of it or stopped. DATABASE_URL, JOB. Prints when it runs.
import { once } from 'node:events';
import { pino } from 'pino';
import { Database } from '../../dist/src/db/database.js';
import { createOrm } from '../../dist/src/db/orm.js';
import { Schedules } from '../../dist/src/jobs/schedules/schedules.js';

const database = new Database(createOrm({ url: process.env.DATABASE_URL, entities: [] }), false);
const job = {
  name: process.env.JOB,
  description: 'Ends when it is told to.',
  cron: '0 0 29 2 *',
  run: async ({ signal }) => {
    console.log('running');
    await once(signal, 'abort');
  },
};
const schedules = new Schedules({
  ...{ database, jobs: [job], logger: pino({ level: process.env.LOG_LEVEL ?? 'silent' }) },
  ...{ shutdownTimeoutMs: 30_000, delayMs: 0, pollSeconds: 0.5 },
});
schedules.start();
const waiting = setInterval(() => undefined, 60_000);
process.once('SIGTERM', async () => {
  clearInterval(waiting);
  await schedules.stop();
  await database.orm.close(true);
});
