// npm run bench:read [-- --quick]: questions to a GraphQL server over PostgreSQL with row-level security. Ours beside its peers.
import { parseArgs } from 'node:util';
import { Cluster } from './lib/cluster.mjs';
import { median, medianOf, ratioOf, round, table, whole } from './lib/numbers.mjs';
import { Load, secrets, startOurs, startPeer } from './lib/programs.mjs';
import { essence, questions, readSeed, sizesFor, tenantId } from './lib/questions.mjs';
import { machine, record } from './lib/results.mjs';
import { runBench, tokenOf } from './lib/run.mjs';
import { cpuOf, cpuOfPostgres, memoryOf } from './lib/usage.mjs';

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    seconds: { type: 'string' },
    payments: { type: 'string', default: '500000' },
    sizes: { type: 'string', default: '10000,100000,500000,2000000' },
    minutes: { type: 'string', default: '10' },
    only: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});
if (options.help) {
  console.log(`npm run bench:read -- [--quick] [--rounds N] [--seconds S] [--payments N] [--sizes N,N] [--minutes M] [--only ours,limit]

  --quick     under 5 minutes: the first question only
  --rounds    how often all of them are measured in turn (5; quick 3)
  --seconds   how long each is measured each time (8; quick 5)
  --payments  rows in the largest table (500000; 100000 at least, or there are too few for Q5)
  --sizes     rows in the largest table for "from few to many" (10000,100000,500000,2000000)
  --minutes   how long memory is watched (10)
  --only      leave the others out (limit, postgraphile, mercurius, yoga); ratios to what is left out are not printed

With any of these but --quick the table is printed and not written to RESULTS.md.`);
  process.exit();
}
const { quick } = options;
const rounds = Number(options.rounds ?? (quick ? 3 : 5));
const seconds = Number(options.seconds ?? (quick ? 5 : 8));
const payments = Number(options.payments);
const sizes = options.sizes.split(',').map(Number);
const minutes = Number(options.minutes);
/** RESULTS.md holds what anybody else would measure, too. */
const isStandard = process.argv.slice(2).every((argument) => argument === '--quick');
const connections = 32;
const say = (line) => console.log(line);
const started = performance.now();
const before = machine();

const labels = {
  limit: 'L0: node:http + pg, by hand',
  ours: 'ours',
  postgraphile: 'PostGraphile 5.1',
  mercurius: 'Mercurius 16, JIT, loaders',
  yoga: 'graphql-yoga 5, dataloader',
};

const cluster = await Cluster.open();
const load = new Load();
const tokens = await Promise.all(Array.from({ length: 100 }, (_, number) => tokenOf(tenantId(number))));

async function main() {
  const database = await seeded(payments);
  const wanted = options.only?.split(',') ?? Object.keys(labels);
  const contenders = [];
  for (const name of wanted) contenders.push(await start(name, database));

  const sections = [];
  const first = await compare('q1', contenders);
  sections.push(first.text);
  const verdict = verdictOf(first.by);
  if (!quick) {
    const some = contenders.filter(({ name }) => ['ours', 'limit', 'postgraphile'].includes(name));
    for (const question of ['q2', 'q3', 'q4', 'q5']) sections.push((await compare(question, some)).text);
    await stopContenders(contenders);
    sections.push(await withTwoProcesses(database), await growth(), await memory(database));
  }
  const report = `## Reads

${before}

${whole(payments)} payments of 100 tenants, ${connections} connections, one process each, row-level security on, tokens of all tenants in turn; ${rounds} rounds of ${seconds} s each${quick ? ' (quick)' : ''}.
Before anything is timed, the answers are compared: they must say the same.

${sections.join('\n\n')}

\`${verdict}\``;
  const written = isStandard && (await record('read', { quick, text: report }));
  say(
    `\n${report}\n\n${written ? 'Written to bench/RESULTS.md' : 'Not written to bench/RESULTS.md'}; ${round((performance.now() - started) / 60_000, 1)} minutes.\n${verdict}`,
  );
}

async function seeded(size) {
  return cluster.seeded(`bench_read${size}`, readSeed(sizesFor(size)), say);
}

async function start(name, database, index = 1) {
  const env = {
    DATABASE_URL: cluster.appUrl(database),
    JWT_SECRET: secrets.jwt.secret,
    JWT_ISSUER: secrets.jwt.issuer,
    JWT_AUDIENCE: secrets.jwt.audience,
  };
  const program =
    name === 'ours'
      ? // Nothing arrives to be worked on; a server that only answers is what the others are, too.
        await startOurs({ name: `ours.${index}`, databaseUrl: env.DATABASE_URL, env: { PROCESS_ROLE: 'api' } })
      : await startPeer(name, env);
  return { name, program, urls: [program.url], pids: [program.pid] };
}

async function stopContenders(contenders) {
  await Promise.all(
    contenders.map(({ program, others = [] }) => Promise.all([program, ...others].map((one) => one.stop()))),
  );
}

/** One question to all of them in turn. */
async function compare(question, contenders) {
  const { title } = questions[question];
  say(title);
  const asked = new Map();
  for (const contender of contenders) asked.set(contender, await requestsFor(question, contender));
  await assertSame(question, asked);
  const runs = new Map(contenders.map((contender) => [contender, []]));
  for (const contender of contenders) await measure(contender, question, asked.get(contender), Math.min(3, seconds));
  for (let i = 1; i <= rounds; i++) {
    for (const contender of contenders) {
      const result = await measure(contender, question, asked.get(contender), seconds);
      runs.get(contender).push(result);
      say(
        `${i}/${rounds}  ${contender.name.padEnd(14)} ${whole(result.rate).padStart(7)}/s  p99 ${round(result.p99, 1)} ms  node ${round(result.nodeCpu)} µs, PostgreSQL ${round(result.postgresCpu)} µs`,
      );
    }
  }
  const by = Object.fromEntries(contenders.map((contender) => [contender.name, runs.get(contender)]));
  const rows = contenders.map((contender) => {
    const own = runs.get(contender);
    const memory = memoryOf(contender.pids);
    return [
      labels[contender.name],
      whole(medianOf(own, 'rate')),
      by.limit ? round(ratioOf(own, by.limit, 'rate'), 2) : '–',
      by.limit ? round(ratioOf(own, by.limit, 'cpu'), 2) : '–',
      round(medianOf(own, 'p50'), 1),
      round(medianOf(own, 'p99'), 1),
      round(medianOf(own, 'nodeCpu')),
      round(medianOf(own, 'postgresCpu')),
      round(medianOf(own, 'bytes')),
      `${round(memory.now)} / ${round(memory.peak)}`,
    ];
  });
  const header = [
    'server',
    'requests/s',
    'to L0',
    'CPU to L0',
    'p50 ms',
    'p99 ms',
    'node µs',
    'PostgreSQL µs',
    'bytes',
    'MB now / peak',
  ];
  return { by, text: `**${title}**\n\n${table(header, rows)}` };
}

async function measure({ urls, pids }, question, requests, time) {
  const cpu = { own: cpuOf(pids), postgres: cpuOfPostgres(cluster.pid) };
  const result = await load.run({ kind: 'graphql', urls, connections, seconds: time, requests });
  result.nodeCpu = (cpuOf(pids) - cpu.own) / result.requests;
  result.postgresCpu = (cpuOfPostgres(cluster.pid) - cpu.postgres) / result.requests;
  result.cpu = result.nodeCpu + result.postgresCpu;
  return result;
}

/** A hundred requests or so, over all tenants where the question allows it. */
async function requestsFor(question, { name, urls }) {
  const dialect = name === 'postgraphile' ? 'postgraphile' : 'ours';
  const query = questions[question][dialect];
  const request = (tenant, variables) => ({
    headers: { authorization: `Bearer ${tokens[tenant]}`, 'x-question': question },
    body: JSON.stringify({ query, ...(variables && { variables }) }),
  });
  switch (question) {
    case 'q2':
      return (await deepCursors(name, urls[0])).map((after) => request(0, { after }));
    case 'q3':
      return tokens.flatMap((_, tenant) => [1, 3, 5, 7].map((n) => request(tenant, { id: tenant + n * 1_000 })));
    case 'q5':
      return tokens.map((_, tenant) =>
        request(
          tenant,
          dialect === 'ours'
            ? { filter: { status: ['FAILED'], createdAfter: '2025-06-01T00:00:00.000Z' } }
            : { status: 'FAILED' },
        ),
      );
    default:
      return tokens.map((_, tenant) => request(tenant));
  }
}

/** Cursors after which page 5,000 and the nine behind it begin, of the tenant that has so many; walked to as a client would. */
async function deepCursors(name, url) {
  const wantedPage = Math.min(5_000, Math.floor((payments * 0.25) / 20) - 20);
  if (name === 'limit') {
    const { rows } = await cluster.sql(
      await seeded(payments),
      `select id, created_at from (select id, created_at, row_number() over (order by created_at desc, id desc) as place from payments where tenant_id = $1) p
       where place % 20 = 0 and place / 20 between $2 - 1 and $2 + 8 order by place`,
      [tenantId(0), wantedPage],
    );
    return rows.map(({ id, created_at: at }) =>
      Buffer.from(JSON.stringify([at.toISOString(), id])).toString('base64url'),
    );
  }
  const order = name === 'postgraphile' ? ', orderBy: [CREATED_AT_DESC, ROW_ID_DESC]' : '';
  const type = name === 'postgraphile' ? 'Cursor' : 'String';
  const cursors = [];
  let after = null;
  for (let page = 0; page < wantedPage + 8;) {
    const pages = page < wantedPage - 6 ? 5 : 1;
    const query = `query ($after: ${type}) { payments(first: ${20 * pages}, after: $after${order}) { pageInfo { endCursor } } }`;
    const { data, errors } = await ask(url, {
      headers: { authorization: `Bearer ${tokens[0]}` },
      body: JSON.stringify({ query, variables: { after } }),
    });
    if (errors) throw new Error(JSON.stringify(errors));
    after = data.payments.pageInfo.endCursor;
    page += pages;
    if (page >= wantedPage - 1) cursors.push(after);
  }
  return cursors;
}

async function ask(url, { headers, body }) {
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body,
  });
  return response.json();
}

async function assertSame(question, asked) {
  const essences = [];
  for (const [{ name, urls }, requests] of asked) {
    const some = requests.filter((_, i) => i % Math.ceil(requests.length / 5) === 0);
    const answers = [];
    for (const request of some) {
      const { data, errors } = await ask(urls[0], request);
      if (!data || errors) throw new Error(`${name} does not answer ${question}: ${JSON.stringify(errors)}`);
      answers.push(essence(question, data));
    }
    essences.push([name, JSON.stringify(answers)]);
  }
  const [[, expected]] = essences;
  for (const [name, answers] of essences) {
    if (answers !== expected)
      throw new Error(
        `${name} answers ${question} differently:\n${answers.slice(0, 600)}\nand not\n${expected.slice(0, 600)}`,
      );
  }
}

/** Q1 with a second process each. */
async function withTwoProcesses(database) {
  const contenders = [];
  for (const name of ['ours', 'limit']) {
    const [one, two] = [await start(name, database), await start(name, database, 2)];
    contenders.push({
      name,
      program: one.program,
      others: [two.program],
      urls: [...one.urls, ...two.urls],
      pids: [...one.pids, ...two.pids],
    });
  }
  const { text } = await compare('q1', contenders);
  await stopContenders(contenders);
  return text.replace('**Q1', '**Two processes each: Q1');
}

/** Q1 and a deep page with few and with many rows. */
async function growth() {
  const rows = [];
  for (const size of sizes) {
    const contender = await start('ours', await seeded(size));
    const requests = await requestsFor('q1', contender);
    const deep = await deepRequests(contender, size);
    const runs = { first: [], deep: [] };
    await measure(contender, 'q1', requests, 3);
    await measure(contender, 'q2', deep.requests, 3);
    for (let i = 0; i < 3; i++) {
      runs.first.push(await measure(contender, 'q1', requests, seconds));
      runs.deep.push(await measure(contender, 'q2', deep.requests, seconds));
    }
    rows.push([
      whole(size),
      whole(medianOf(runs.first, 'rate')),
      round(medianOf(runs.first, 'postgresCpu')),
      whole(deep.page),
      whole(medianOf(runs.deep, 'rate')),
      round(medianOf(runs.deep, 'postgresCpu')),
      round(ratioOf(runs.deep, runs.first, 'rate'), 2),
    ]);
    say(`${whole(size)} payments: first page ${rows.at(-1)[1]}/s, page ${rows.at(-1)[3]} ${rows.at(-1)[4]}/s`);
    await contender.program.stop();
  }
  return `**From few payments to many (ours)**\n\n${table(['payments', 'first page/s', 'PostgreSQL µs', 'deep page', 'deep page/s', 'PostgreSQL µs', 'deep ÷ first'], rows)}`;
}

async function deepRequests(contender, size) {
  const page = Math.min(5_000, Math.floor((size * 0.25) / 20) - 20);
  const query = questions.q2.ours;
  const walk = 'query ($after: String) { payments(first: 100, after: $after) { pageInfo { endCursor } } }';
  let after = null;
  for (let at = 0; at < page; at += 5) {
    const { data } = await ask(contender.urls[0], {
      headers: { authorization: `Bearer ${tokens[0]}` },
      body: JSON.stringify({ query: walk, variables: { after } }),
    });
    after = data.payments.pageInfo.endCursor;
  }
  return {
    page,
    requests: [
      { headers: { authorization: `Bearer ${tokens[0]}` }, body: JSON.stringify({ query, variables: { after } }) },
    ],
  };
}

/** Whether memory stays where it is, with ten minutes of the first question. */
async function memory(database) {
  const contender = await start('ours', database);
  const requests = await requestsFor('q1', contender);
  const rows = [];
  for (let part = 1; part <= 10; part++) {
    const { rate, p99 } = await measure(contender, 'q1', requests, minutes * 6);
    rows.push([round((part * minutes) / 10, 1), round(memoryOf(contender.pids).now), whole(rate), round(p99, 1)]);
    say(`minute ${rows.at(-1)[0]}: ${rows.at(-1)[1]} MB, ${rows.at(-1)[2]}/s`);
  }
  await contender.program.stop();
  return `**${round(minutes)} minutes of Q1 (ours)**\n\n${table(['minute', 'MB', 'requests/s', 'p99 ms'], rows)}`;
}

function verdictOf({ ours, limit, postgraphile }) {
  const parts = [];
  if (ours && postgraphile) parts.push(`q1_vs_postgraphile=${round(ratioOf(ours, postgraphile, 'rate'), 2)}`);
  if (ours && limit) parts.push(`q1_vs_limit=${round(ratioOf(ours, limit, 'rate'), 2)}`);
  if (ours && postgraphile)
    parts.push(`p99_vs_postgraphile=${round(median(ours.map(({ p99 }, i) => p99 / postgraphile[i].p99)), 2)}`);
  return parts.join(' ');
}

await runBench(main, cluster);
