import { spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { eventBody } from './events.mjs';
import { benchDirectory } from './paths.mjs';

/** The inbox's row, one per transaction, with nothing around it. Its payload is one of ours; ids are random. */
const statement = `insert into stripe_webhook_events
  (stripe_event_id, type, kind, status, stripe_account_id, object_key, livemode, payload, stripe_created_at)
values ('evt_' || ID, 'payment_intent.processing', 'SNAPSHOT', 'RECEIVED', 'acct_bench1', 'pi_' || ID, false, PAYLOAD::jsonb, now())
on conflict do nothing`;

/** `pgbench`, wherever Debian and others put it. Only its client is needed, so an older one will do. */
export async function findPgbench() {
  const versions = existsSync('/usr/lib/postgresql') ? await readdir('/usr/lib/postgresql') : [];
  const places = [
    'pgbench',
    ...versions
      .sort()
      .reverse()
      .map((version) => `/usr/lib/postgresql/${version}/bin/pgbench`),
  ];
  return places.find((place) => spawnSync(place, ['--version']).status === 0) ?? null;
}

/**
 * As many inserts as PostgreSQL takes from 32 clients: the limit for a server that inserts event by event.
 * @returns rate, latency and how many, like the load generator
 */
export async function pgbenchInserts(program, cluster, database, seconds, epoch) {
  const payload = eventBody(1, 'pgb', epoch);
  if (!program) return clientInserts(cluster.appUrl(database), payload, seconds);
  const script = join(benchDirectory, 'insert.sql');
  await writeFile(
    script,
    `\\set id random(1, 9000000000000000)\n${statement.replaceAll('ID', ':id').replace('PAYLOAD', ':payload')};\n`,
  );
  const url = new URL(cluster.appUrl(database));
  const args = [
    '-n',
    '-M',
    'prepared',
    '-c',
    '32',
    '-j',
    '2',
    '-T',
    String(seconds),
    '-f',
    script,
    '-D',
    `payload=${payload}`,
  ];
  const child = spawn(program, args, {
    env: {
      PATH: process.env.PATH,
      PGHOST: url.hostname,
      PGPORT: url.port,
      PGUSER: url.username,
      PGPASSWORD: url.password,
      PGDATABASE: database,
      PGOPTIONS: '-c role=app_worker',
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk));
  const code = await new Promise((resolve) => child.once('close', resolve));
  const rate = Number(/tps = ([\d.]+)/.exec(output)?.[1]);
  if (code !== 0 || !rate) throw new Error(`pgbench failed:\n${output}`);
  const requests = Number(/transactions actually processed: (\d+)/.exec(output)[1]);
  return { rate, requests, p50: Number(/latency average = ([\d.]+)/.exec(output)?.[1]), p99: NaN };
}

/** The same from node, where there is no pgbench: a loop per connection, and nothing else. Somewhat slower than the real one. */
async function clientInserts(url, payload, seconds) {
  const clients = Array.from(
    { length: 32 },
    () => new pg.Client({ connectionString: url, options: '-c role=app_worker' }),
  );
  await Promise.all(clients.map((client) => client.connect()));
  const text = statement.replaceAll('ID', '$1::text').replace('PAYLOAD', '$2');
  const started = performance.now();
  const deadline = started + seconds * 1000;
  let requests = 0;
  await Promise.all(
    clients.map(async (client) => {
      while (performance.now() < deadline) {
        await client.query({ name: 'insert', text, values: [randomBytes(8).toString('hex'), payload] });
        requests++;
      }
    }),
  );
  const rate = requests / ((performance.now() - started) / 1000);
  await Promise.all(clients.map((client) => client.end()));
  return { rate, requests, p50: (32 / rate) * 1000, p99: NaN };
}
