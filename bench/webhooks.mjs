// npm run bench:webhooks [-- --quick]: a signed event, verified, stored, answered, and the rows it is about changed. Ours beside its peers.
import { parseArgs } from 'node:util';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { Cluster } from './lib/cluster.mjs';
import { webhookSeed, world } from './lib/events.mjs';
import { median, medianOf, ratioOf, round, table, whole } from './lib/numbers.mjs';
import { findPgbench, pgbenchInserts } from './lib/pgbench.mjs';
import { Load, secrets, startOurs, startPeer } from './lib/programs.mjs';
import { machine, record } from './lib/results.mjs';
import { runBench } from './lib/run.mjs';
import { cpuOf, cpuOfPostgres, memoryOf } from './lib/usage.mjs';

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    seconds: { type: 'string' },
    only: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});
if (options.help) {
  console.log(`npm run bench:webhooks -- [--quick] [--rounds N] [--seconds S] [--only ours,pgbench]

  --quick     under 5 minutes: no second process, no filling of the inbox
  --rounds    how often all of them are measured in turn (5; quick 3)
  --seconds   about how long each is measured each time (10; quick 6)
  --only      leave the others out; ratios to what is left out are not printed`);
  process.exit();
}
const { quick } = options;
const rounds = Number(options.rounds ?? (quick ? 3 : 5));
const seconds = Number(options.seconds ?? (quick ? 6 : 10));
const connections = 32;
const say = (line) => console.log(line);
const started = performance.now();
const before = machine();

/** A month ago at most, so that there is a partition for it, and long enough ago that no stamp lies in the future. */
const epoch = Math.floor(Date.now() / 1000) - 20 * 86_400;
const run = Math.random().toString(36).slice(2, 8).padEnd(6, '0');

const cluster = await Cluster.open();
const load = new Load();

/** What is measured. Each has a database of its own on the same server. */
class Contender {
  sent = 0;
  runs = [];
  constructor(name, label, { urls, path, pids, answer, database, drains = false }) {
    Object.assign(this, { name, label, urls, path, pids, answer, database, drains });
  }
}

async function main() {
  const template = await cluster.seeded('bench_webhooks', webhookSeed, say);
  const pgbench = await findPgbench();
  if (!pgbench)
    say(
      'There is no pgbench here (Debian: apt-get install postgresql-contrib); a loop in node takes its place, and is slower.',
    );

  const wanted = options.only?.split(',') ?? [
    'ours',
    'sync-engine',
    'express-insert',
    'ours-store',
    'pgbench',
    ...(quick ? [] : ['ours-2']),
  ];
  const contenders = [];
  for (const name of wanted) contenders.push(await makers[name](template, pgbench));

  for (const contender of contenders) await warmUp(contender);
  for (let i = 1; i <= rounds; i++) {
    for (const contender of contenders) {
      const result = await measure(contender);
      contender.runs.push(result);
      const drained = result.drained ? `, drained ${whole(result.drained)}/s` : '';
      say(
        `${i}/${rounds}  ${contender.name.padEnd(16)} ${whole(result.rate).padStart(7)}/s${drained}  p99 ${round(result.p99, 1)} ms`,
      );
    }
  }
  for (const contender of contenders) await verify(contender);

  const by = Object.fromEntries(contenders.map((contender) => [contender.name, contender]));
  const text = [comparison(contenders, by)];
  if (!quick && by.ours) text.push(await growth(by.ours));
  const verdict = verdictOf(by);
  const report = `## Webhooks

${before}

A signed event of 3.7 kB about a payment of one of ${world.tenants} connected accounts, over ${connections} connections; ${rounds} rounds of about ${seconds} s each${quick ? ' (quick)' : ''}. *Answered*: 200 after the
commit. *Drained*: from the first request until every event is processed, with its payment's row and its invoice's changed. The sync engine changes its one
row before it answers; the insert server, pgbench and ours without a worker (*storing only*) store the event and do nothing about it.${pgbench ? '' : ' There was no pgbench: a loop in node stood in for it.'}

${text.join('\n\n')}

\`${verdict}\``;
  const written = !options.only && (await record('webhooks', { quick, text: report }));
  say(
    `\n${report}\n\n${written ? 'Written to bench/RESULTS.md' : 'Not written: bench/RESULTS.md has a full run'}; ${round((performance.now() - started) / 60_000, 1)} minutes.\n${verdict}`,
  );
}

async function warmUp(contender) {
  if (contender.name === 'pgbench') {
    await measure(contender, 2);
    contender.size = 1;
    return;
  }
  // The compiler needs a few thousand; then it shows how many fill the time.
  await measure(contender, 4_000);
  const { requests, seconds: took } = await measure(contender, 4_000);
  contender.size = Math.max(2_000, Math.round((requests / took) * seconds));
}

/** @param size how many events; for pgbench seconds */
async function measure(contender, size = contender.size) {
  await cluster.settle();
  const cpu = { own: cpuOf(contender.pids), postgres: cpuOfPostgres(cluster.pid) };
  const result =
    contender.name === 'pgbench'
      ? await contender.answer(size === 2 ? 2 : seconds)
      : await load.run({
          kind: 'events',
          urls: contender.urls,
          path: contender.path,
          connections,
          from: contender.sent,
          count: size,
          run,
          epoch,
          secret: secrets.webhook,
        });
  contender.sent += result.requests;
  if (contender.drains) {
    await drained(contender);
    const took = (Date.now() - result.startedAt) / 1000;
    result.drained = result.requests / took;
    result.drainedPart = result.seconds / took;
  }
  result.nodeCpu = (cpuOf(contender.pids) - cpu.own) / result.requests;
  result.postgresCpu = (cpuOfPostgres(cluster.pid) - cpu.postgres) / result.requests;
  return result;
}

/** Resolves when nothing is left to do. */
async function drained({ database }) {
  const client = new pg.Client({ connectionString: cluster.superuserUrl(database) });
  await client.connect();
  try {
    for (const deadline = Date.now() + 300_000; ; await sleep(10)) {
      const { rows } = await client.query('select exists (select from stripe_webhook_queue) as waiting');
      if (!rows[0].waiting) return;
      if (Date.now() > deadline) throw new Error('The events are not processed within five minutes.');
    }
  } finally {
    await client.end();
  }
}

/** Whether every event that was answered is there once, and had its effect. Fast and wrong would not count. */
async function verify({ name, database, sent }) {
  const one = async (text, values) => Object.values((await cluster.sql(database, text, values)).rows[0]).map(Number);
  if (name === 'ours' || name === 'ours-2') {
    const [stored, processed, retried] = await one(
      `select count(*) as stored, count(*) filter (where status = 'PROCESSED') as processed, count(*) filter (where attempts > 1) as retried
       from stripe_webhook_events`,
    );
    if (stored !== sent || processed !== sent)
      throw new Error(`${name}: ${sent} events were answered, ${stored} stored, ${processed} processed.`);
    // The last change of payment n is that of the last event about it.
    const [wrong] = await one(
      `select count(*) from payments p join invoices i on i.tenant_id = p.tenant_id and i.id = p.invoice_id,
         lateral (select ($1::int - 1 - p.invoice_id) / ${world.payments} as visit) v
       where p.invoice_id < $1::int and (extract(epoch from p.stripe_as_of) <> $2::bigint + v.visit * 60
         or p.status <> case v.visit % 2 when 1 then 'FAILED' else 'PROCESSING' end
         or i.payment_status <> case v.visit % 2 when 1 then 'FAILED' else 'PENDING' end)`,
      [sent, epoch],
    );
    if (wrong) throw new Error(`${name}: ${wrong} payments do not show their last event.`);
    say(
      `${name}: all ${whole(sent)} events stored once and processed${retried ? `, ${retried} of them not at the first try` : ''}; every payment and invoice shows its last event.`,
    );
  }
  if (name === 'ours-store') {
    const [stored] = await one('select count(*) from stripe_webhook_events');
    if (stored !== sent) throw new Error(`${name}: ${sent} events were answered, ${stored} stored.`);
  }
  if (name === 'sync-engine') {
    const [rows] = await one('select count(*) from stripe.payment_intents');
    if (rows !== Math.min(sent, world.payments)) throw new Error(`The sync engine has ${rows} intents.`);
  }
}

function comparison(contenders, by) {
  const rows = contenders.map(({ label, runs, pids }) => {
    const memory = memoryOf(pids);
    return [
      label,
      whole(medianOf(runs, 'rate')),
      by.pgbench ? round(ratioOf(runs, by.pgbench.runs, 'rate'), 2) : '–',
      runs[0].drained ? whole(medianOf(runs, 'drained')) : '–',
      round(medianOf(runs, 'p50'), 1),
      round(medianOf(runs, 'p99'), 1),
      pids.length ? round(medianOf(runs, 'nodeCpu')) : '–',
      round(medianOf(runs, 'postgresCpu')),
      pids.length ? `${round(memory.now)} / ${round(memory.peak)}` : '–',
    ];
  });
  const header = [
    'server',
    'answered/s',
    'to pgbench',
    'drained/s',
    'p50 ms',
    'p99 ms',
    'node µs',
    'PostgreSQL µs',
    'MB now / peak',
  ];
  return table(header, rows);
}

/** The same with an inbox that has been filling for long. */
async function growth(ours) {
  const rows = [];
  for (const stored of [10_000, 100_000, 1_000_000]) {
    await fill(ours, stored);
    const runs = [];
    for (let i = 0; i < 3; i++) runs.push(await measure(ours));
    rows.push([
      whole(stored),
      whole(medianOf(runs, 'rate')),
      whole(medianOf(runs, 'drained')),
      round(medianOf(runs, 'p99'), 1),
      round(medianOf(runs, 'nodeCpu')),
      round(medianOf(runs, 'postgresCpu')),
      round(memoryOf(ours.pids).now),
    ]);
    say(`${whole(stored)} stored: ${rows.at(-1)[1]}/s, drained ${rows.at(-1)[2]}/s`);
  }
  return `With so many events stored before (one process):\n\n${table(['stored', 'answered/s', 'drained/s', 'p99 ms', 'node µs', 'PostgreSQL µs', 'MB'], rows)}`;
}

/** Brings the table to so many events that are done with. */
async function fill({ database }, wanted) {
  const { rows } = await cluster.sql(database, 'select count(*)::int as events from stripe_webhook_events');
  const missing = wanted - rows[0].events;
  if (missing <= 0) return;
  say(`Storing ${whole(missing)} events of the past …`);
  for (let done = 0; done < missing; done += 50_000) {
    await cluster.sql(
      database,
      `insert into stripe_webhook_events (stripe_event_id, type, kind, status, stripe_account_id, object_key, livemode, attempts, payload, stripe_created_at, processed_at)
       select 'evt_2' || md5(n::text || clock_timestamp()::text), 'payment_intent.processing', 'SNAPSHOT', 'PROCESSED', 'acct_bench' || n % ${world.tenants}, 'pi_past' || n, false, 1,
         sample.payload || jsonb_build_object('id', md5(n::text), 'note', repeat(md5(n::text), 4)), sample.stripe_created_at, now()
       from generate_series(1, least(50000, $1::int)) n, (select payload, stripe_created_at from stripe_webhook_events limit 1) sample`,
      [missing - done],
    );
  }
  await cluster.sql(database, 'analyze stripe_webhook_events');
}

function verdictOf({ ours, 'sync-engine': sync, pgbench }) {
  const parts = [];
  if (ours && sync) parts.push(`answered_vs_sync_engine=${round(ratioOf(ours.runs, sync.runs, 'rate'), 2)}`);
  if (ours && pgbench) parts.push(`answered_vs_pgbench=${round(ratioOf(ours.runs, pgbench.runs, 'rate'), 2)}`);
  if (ours) parts.push(`drained_vs_answered=${round(median(ours.runs.map(({ drainedPart }) => drainedPart)), 2)}`);
  if (ours && sync) parts.push(`p99_vs_sync_engine=${round(ratioOf(ours.runs, sync.runs, 'p99'), 2)}`);
  return parts.join(' ');
}

/** How each of them is brought up. */
const makers = {
  ours: (template) => ours('ours', 'ours, 1 process', template),
  'ours-2': (template) => ours('ours-2', 'ours, 2 processes', template, { processes: 2 }),
  'ours-store': (template) => ours('ours-store', 'ours, storing only', template, { role: 'api' }),
  'sync-engine': async () => {
    const database = await cluster.create('measured_sync_engine');
    // Its migrations want to be those of the superuser `postgres`.
    const server = await startPeer('sync-engine', {
      DATABASE_URL: cluster.superuserUrl(database),
      WEBHOOK_SECRET: secrets.webhook,
    });
    return new Contender('sync-engine', 'stripe-sync-engine 0.48', {
      urls: [server.url],
      path: '/webhook',
      pids: [server.pid],
      database,
    });
  },
  'express-insert': async () => {
    const database = await cluster.create('measured_express_insert');
    const server = await startPeer('express-insert', {
      DATABASE_URL: cluster.ownerUrl(database),
      WEBHOOK_SECRET: secrets.webhook,
    });
    return new Contender('express-insert', 'express + constructEvent + insert', {
      urls: [server.url],
      path: '/webhook',
      pids: [server.pid],
      database,
    });
  },
  pgbench: async (template, program) => {
    const database = await cluster.create('measured_pgbench', template);
    const answer = (time) => pgbenchInserts(program, cluster, database, time, epoch);
    return new Contender('pgbench', program ? 'pgbench, 32 clients' : 'node loop, 32 clients', {
      pids: [],
      answer,
      database,
    });
  },
};

async function ours(name, label, template, { processes = 1, role = 'all' } = {}) {
  const database = await cluster.create(`measured_${name.replace('-', '_')}`, template);
  const servers = [];
  const env = { PROCESS_ROLE: role };
  for (let i = 1; i <= processes; i++)
    servers.push(await startOurs({ name: `${name}.${i}`, databaseUrl: cluster.appUrl(database), env }));
  return new Contender(name, label, {
    urls: servers.map(({ url }) => url),
    path: '/api/stripe/webhook',
    pids: servers.map(({ pid }) => pid),
    database,
    drains: role === 'all',
  });
}

await runBench(main, cluster);
