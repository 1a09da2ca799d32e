// npm run bench:reports: a year of recurring revenue over many subscriptions, and the memory that a server needs while it writes out a long ledger.
import { parseArgs } from 'node:util';
import { Cluster } from './lib/cluster.mjs';
import { median, quantile, round, table, whole } from './lib/numbers.mjs';
import { startOurs } from './lib/programs.mjs';
import { machine, record } from './lib/results.mjs';
import { runBench, tokenOf } from './lib/run.mjs';
import { memoryOf } from './lib/usage.mjs';

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    lines: { type: 'string' },
    heap: { type: 'string' },
    subscriptions: { type: 'string' },
  },
});
const { quick } = options;
const subscriptions = Number(options.subscriptions ?? 10_000);
const lines = Number(options.lines ?? (quick ? 200_000 : 1_500_000));
// Memory that is not needed is given back late. With a small heap it shows whether it is needed.
const nodeArgs = [`--max-old-space-size=${options.heap ?? 96}`];
const before = machine();
const cluster = await Cluster.open();

const tenant = '0b000000-0000-4000-8000-000000000000';
const token = await tokenOf(tenant);
// Three years of changes: each subscription begins somewhere in them and changes five times; one in three has ended since. One in four has two
// discounts, of which one ends somewhere in these years.
const seed = `
insert into tenants (id, name, time_zone) values ('${tenant}', 'Tenant', 'Europe/Berlin');
insert into stripe_accounts (tenant_id, stripe_account_id, livemode) values ('${tenant}', 'acct_bench', false);
insert into customers (tenant_id, id, name, email) select '${tenant}', c, 'Customer ' || c, 'c' || c || '@example.com' from generate_series(1, ${subscriptions}) c;
insert into stripe_subscriptions (tenant_id, livemode, customer_id, stripe_account_id, stripe_subscription_id, status, quantity, unit_amount, currency, billing_interval, stripe_as_of)
  select '${tenant}', false, s, 'acct_bench', 'sub_' || s, 'ACTIVE', 1 + (s * 5) % 40, 1000 + s % 9000, 'usd', 'MONTH', now()
  from generate_series(1, ${subscriptions}) s;
insert into subscription_history (tenant_id, livemode, stripe_account_id, stripe_subscription_id, kind, stripe_event_id, effective_at, status, quantity, unit_amount, currency, billing_interval, interval_count, discount_ids)
  select '${tenant}', false, 'acct_bench', 'sub_' || s, 'STATE', 'evt_' || s || '_' || n,
    date_trunc('second', now() - interval '3 years' + ((s * 7919) % 20000 + n * 1000 + (s * n) % 700) * interval '1 hour'),
    case when s % 3 = 0 and n = 5 then 'CANCELED' when (s + n) % 11 = 0 then 'PAST_DUE' else 'ACTIVE' end, 1 + (s * n) % 40, 1000 + s % 9000, 'usd',
    (array['MONTH', 'MONTH', 'MONTH', 'YEAR'])[1 + s % 4], 1, case when s % 4 = 1 then array['di_' || s || '_1', 'di_' || s || '_2'] else '{}' end
  from generate_series(1, ${subscriptions}) s, generate_series(0, 5) n;
insert into stripe_discounts (tenant_id, livemode, stripe_account_id, stripe_discount_id, stripe_subscription_id, duration, percent_off, amount_off, currency, starts_at, ends_at)
  select '${tenant}', false, 'acct_bench', 'di_' || s || '_' || n, 'sub_' || s, case n when 1 then 'REPEATING' else 'FOREVER' end,
    case n when 1 then 5 + s % 40 end, case n when 2 then 100 end, case n when 2 then 'usd' end, now() - interval '3 years',
    case n when 1 then now() - interval '3 years' + (s * 31) % 26000 * interval '1 hour' end
  from generate_series(1, ${subscriptions}, 4) s, generate_series(1, 2) n;
insert into mrr_customers (tenant_id, livemode, customer_id) select '${tenant}', false, c from generate_series(1, ${subscriptions}) c;
insert into ledger_transactions (tenant_id, id, livemode, number, stripe_account_id, cause, stripe_balance_transaction_id, type, category, currency, amount, stripe_fee,
    application_fee, net, source_id, description, booked_at)
  select '${tenant}', ('0d000000-0000-4000-8000-' || lpad(to_hex(t), 12, '0'))::uuid, false, t, 'acct_bench', 'txn_' || t, 'txn_' || t, 'charge', 'charge', 'usd', 10000, 320, 0,
    9680, 'ch_' || t, 'Invoice ' || t, now() - interval '3 years' + t * interval '1 minute'
  from generate_series(1, ${Math.ceil(lines / 3)}) t;
insert into ledger_postings (tenant_id, livemode, transaction_id, number, account, currency, amount, balance, booked_at)
  select t.tenant_id, false, t.id, t.number * 3 - 3 + p.place, p.account, 'usd', p.amount, p.amount * t.number, t.booked_at
  from ledger_transactions t, (values (1, 'STRIPE_BALANCE', 9680), (2, 'STRIPE_FEES', 320), (3, 'CUSTOMER_RECEIVABLE', -10000)) p (place, account, amount);
`;

async function main() {
  const database = await cluster.seeded('bench_reports', seed, console.log);
  await cluster.sql(
    database,
    'delete from mrr_movements; delete from mrr_months; update mrr_customers set reported = rolled_up + 1',
  );
  const ours = await startOurs({ databaseUrl: cluster.appUrl(database), env: { PROCESS_ROLE: 'api' }, nodeArgs });
  const first = await askMrr(ours);
  const times = [];
  for (let i = 0; i < 100; i++) times.push((await askMrr(ours)).ms);
  const afterOne = [];
  for (let i = 1; i <= 20; i++) {
    await cluster.sql(database, 'update mrr_customers set reported = reported + 1 where customer_id = $1', [i]);
    afterOne.push((await askMrr(ours)).ms);
  }
  times.sort((a, b) => a - b);

  const idle = memoryOf([ours.pid]).now;
  const csv = await download(ours);
  const rows = [
    [`mrr of a year, ${whole(subscriptions)} subscriptions: the first time, all of it rolled up, ms`, whole(first.ms)],
    ['  from then on: median, ms', round(median(times), 1)],
    ['  99 of 100, ms', round(quantile(times, 0.99), 1)],
    ['  just after one customer has changed: median, ms', round(median(afterOne), 1)],
    [`ledger.csv, ${whole(csv.lines)} lines, ${whole(csv.megabytes)} MB: seconds`, round(csv.seconds, 1)],
    ['  memory before, MB', round(idle)],
    ['  after each tenth of it, MB', [...csv.samples, csv.late].map((mb) => round(mb)).join(' ')],
    ['  at its highest, MB', round(memoryOf([ours.pid]).peak)],
  ];
  const verdict = `mrr_ms=${round(median(times), 1)} csv_lines=${csv.lines} csv_peak_mb=${round(memoryOf([ours.pid]).peak)}`;
  const text = `## Reports\n\n${before}\n\n${table(['', 'measured'], rows)}\n\n\`${verdict}\``;
  await record('reports', { quick, text });
  console.log(`\n${text}\n\n${verdict}`);
}

async function askMrr({ url }) {
  const to = new Date();
  const from = new Date(Date.UTC(to.getUTCFullYear() - 1, to.getUTCMonth() + 1, 2));
  const fields = ['opening', 'new', 'expansion', 'contraction', 'churn', 'reactivation', 'closing', 'arr'];
  const query = `{ mrr(from: "${from.toISOString()}", to: "${to.toISOString()}") { month customers ${fields.map((name) => `${name} { amount }`).join(' ')} } }`;
  const started = performance.now();
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
    body: JSON.stringify({ query }),
  });
  const { data, errors } = await response.json();
  const ms = performance.now() - started;
  if (errors || data.mrr.length !== 12) throw new Error(`Wrong answer: ${JSON.stringify(errors ?? data.mrr.length)}`);
  data.mrr.reduce((previous, period) => {
    if (previous && previous.closing.amount !== period.opening.amount)
      throw new Error('A month does not begin where the one before ended.');
    return period;
  }, null);
  return { ms };
}

/** Reads the whole file as fast as it comes, and looks at the server's memory meanwhile. */
async function download({ url, pid }) {
  const started = performance.now();
  const response = await fetch(`${url}/api/reports/ledger.csv`, { headers: { authorization: `Bearer ${token}` } });
  if (response.status !== 200) throw new Error(`Refused: ${response.status}`);
  const samples = [];
  let [count, bytes] = [0, 0];
  for await (const chunk of response.body) {
    bytes += chunk.length;
    for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, at + 1)) count++;
    while (samples.length < 9 && count > ((samples.length + 1) * lines) / 10) samples.push(memoryOf([pid]).now);
  }
  if (count - 1 < lines) throw new Error(`There are ${lines} lines, and ${count - 1} came.`);
  const seconds = (performance.now() - started) / 1000;
  return { lines: count - 1, megabytes: bytes / 2 ** 20, seconds, samples, late: memoryOf([pid]).now };
}

await runBench(main, cluster);
