// npm run bench:write: what the server adds to asking Stripe for money. createPaymentIntent against the local Stripe, beside the same call without us.
import { connect, createServer } from 'node:net';
import { parseArgs } from 'node:util';
import { Cluster, built } from './lib/cluster.mjs';
import { accountId, tenantId, webhookSeed } from './lib/events.mjs';
import { medianOf, round, table, whole } from './lib/numbers.mjs';
import { Load, secrets, startOurs, startPeer } from './lib/programs.mjs';
import { machine, record } from './lib/results.mjs';
import { runBench, tokenOf } from './lib/run.mjs';
import { cpuOf, cpuOfPostgres } from './lib/usage.mjs';

const { values: options } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, rounds: { type: 'string' }, calls: { type: 'string' } },
});
const { quick } = options;
const rounds = Number(options.rounds ?? (quick ? 3 : 7));
const calls = Number(options.calls ?? (quick ? 500 : 2_000));
const connections = 8;
const before = machine();
const cluster = await Cluster.open();
const load = new Load();
let stripe;

const mutation = (selection) =>
  `mutation Pay($input: CreatePaymentIntentInput!) { createPaymentIntent(input: $input) { ${selection} } }`;
const secret = 'clientSecret publishableKey stripeAccountId';

async function main() {
  const database = await cluster.create('bench_write');
  const { migrateUp } = await built('src/db/migrator.js');
  const { grantRuntimeRoles } = await built('src/db/grants.js');
  await migrateUp({ ownerUrl: cluster.ownerUrl(database) });
  await grantRuntimeRoles(cluster.ownerUrl(database), cluster.appUrl(database));
  await cluster.sql(database, `set session_replication_role = replica;\n${webhookSeed}`);
  const account = await anAccount();
  await cluster.sql(
    database,
    `update stripe_config set stripe_account_id = '${account}' where stripe_account_id = '${accountId(0)}';
     update stripe_accounts set stripe_account_id = '${account}' where stripe_account_id = '${accountId(0)}'`,
  );
  const token = await tokenOf(tenantId(0));

  const alone = await startPeer('stripe-only', {
    STRIPE_API_BASE: stripe.url,
    STRIPE_SECRET_KEY: stripeKey,
    STRIPE_ACCOUNT: account,
  });
  const env = { PROCESS_ROLE: 'api', STRIPE_API_BASE: stripe.url, STRIPE_TEST_SECRET_KEY: stripeKey };
  const ours = await startOurs({ name: 'ours.write', databaseUrl: cluster.appUrl(database), env });
  const runs = { alone: [], ours: [] };
  // The first round is for warming up.
  for (let i = 0; i <= rounds; i++) {
    for (const [name, server] of Object.entries({ alone, ours })) {
      const result = await measure(server, requests(`${name}-${i}`, i ? calls : 200, token));
      if (i) runs[name].push(result);
      if (i)
        console.log(
          `${i}/${rounds}  ${name.padEnd(6)} ${whole(result.rate)}/s  node ${round(result.nodeCpu)} µs, PostgreSQL ${round(result.postgresCpu)} µs`,
        );
    }
  }
  const trips = await tripsOf(database, env, token);
  const overhead = round(medianOf(runs.ours, 'nodeCpu') - medianOf(runs.alone, 'nodeCpu'));
  const row = (label, own, count) => [
    label,
    count,
    whole(medianOf(own, 'rate')),
    round(medianOf(own, 'p50'), 1),
    round(medianOf(own, 'p99'), 1),
    round(medianOf(own, 'nodeCpu')),
    count ? round(medianOf(own, 'postgresCpu')) : '–',
  ];
  const verdict = `write_round_trips=${trips.secret} write_node_us=${overhead} write_postgres_us=${round(medianOf(runs.ours, 'postgresCpu'))}`;
  const text = `## Writes

${before}

\`createPaymentIntent { ${secret} }\` for a customer that Stripe knows, ${connections} connections, against the local Stripe, which takes most of the time; ${rounds} rounds of ${whole(calls)} calls${quick ? ' (quick)' : ''}.
*Round trips* are those to PostgreSQL, of one call on connections that are open: the command before, the outcome after. Selecting the payment's row besides takes ${trips.row}.

${table(
  ['', 'round trips', 'calls/s', 'p50 ms', 'p99 ms', 'node µs', 'PostgreSQL µs'],
  [row("Stripe's SDK alone, nothing written down", runs.alone, 0), row('ours', runs.ours, trips.secret)],
)}

\`${verdict}\``;
  await record('write', { quick, text });
  console.log(`\n${text}\n\n${verdict}`);
}

async function measure(server, requests) {
  await cluster.settle();
  const cpu = { own: cpuOf([server.pid]), postgres: cpuOfPostgres(cluster.pid) };
  const result = await load.run({ kind: 'graphql', urls: [server.url], connections, requests });
  result.nodeCpu = (cpuOf([server.pid]) - cpu.own) / result.requests;
  result.postgresCpu = (cpuOfPostgres(cluster.pid) - cpu.postgres) / result.requests;
  return result;
}

function requests(run, count, token, selection = secret) {
  return Array.from({ length: count }, (_, i) => ({
    headers: { authorization: `Bearer ${token}` },
    body: JSON.stringify({
      query: mutation(selection),
      variables: { input: { idempotencyKey: `${run}-${i}`, amount: 1_000 + i, currency: 'usd', customerId: 0 } },
    }),
  }));
}

/** Counts on the line between a server and PostgreSQL. */
async function tripsOf(database, env, token) {
  const target = new URL(cluster.appUrl(database));
  let trips = 0;
  const proxy = createServer((client) => {
    const upstream = connect(Number(target.port), target.hostname);
    let isAsked = false;
    client.on('data', (data) => {
      if (!isAsked) trips += 1;
      isAsked = true;
      upstream.write(data);
    });
    upstream.on('data', (data) => {
      isAsked = false;
      client.write(data);
    });
    client.on('close', () => upstream.destroy()).on('error', () => undefined);
    upstream.on('close', () => client.destroy()).on('error', () => undefined);
  });
  await new Promise((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  const url = new URL(target);
  url.port = String(proxy.address().port);
  const server = await startOurs({ name: 'ours.wire', databaseUrl: url.href, env });
  const one = async (run, selection) => {
    const [request] = requests(run, 1, token, selection);
    const from = trips;
    await load.run({ kind: 'graphql', urls: [server.url], connections: 1, requests: [request] });
    return trips - from;
  };
  const row = `${secret} payment { id status }`;
  for (const warm of ['warm-1', 'warm-2', 'warm-3']) await one(warm, row);
  const counted = { secret: await one('count', secret), row: await one('count-row', row) };
  await server.stop();
  proxy.close();
  return counted;
}

const stripeKey = 'sk_test_local_bench';

/** An account at the local Stripe that can take payments. */
async function anAccount() {
  const { startLocalStripe } = await built('dev/local-stripe.js');
  const webhookSecrets = { snapshot: secrets.webhook, thin: secrets.webhook };
  // What became of it is not reported to anybody.
  const flags = ['--retry-schedule', '3600'];
  stripe = await startLocalStripe({
    ...{ port: 0, secretKey: stripeKey, webhookUrl: 'http://127.0.0.1:9/', webhookSecrets, flags },
  });
  const form = {
    country: 'US',
    'controller[stripe_dashboard][type]': 'express',
    'controller[fees][payer]': 'account',
    'controller[losses][payments]': 'stripe',
    'capabilities[card_payments][requested]': 'true',
    'capabilities[transfers][requested]': 'true',
  };
  const { id } = await send('/v1/accounts', new URLSearchParams(form), { authorization: `Bearer ${stripeKey}` });
  await send(`/_control/accounts/${id}/onboard`, '{}', { 'content-type': 'application/json' });
  return id;
}

async function send(path, body, headers) {
  const response = await fetch(stripe.url + path, { method: 'POST', headers, body });
  if (!response.ok) throw new Error(`${path}: ${await response.text()}`);
  return response.json();
}

await runBench(main, cluster, () => stripe?.stop());
