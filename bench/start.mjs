// npm run bench:start: from the start of the process to the first answer, and memory when nobody asks.
import { parseArgs } from 'node:util';
import { setTimeout as sleep } from 'node:timers/promises';
import { Cluster } from './lib/cluster.mjs';
import { median, round, table } from './lib/numbers.mjs';
import { startOurs } from './lib/programs.mjs';
import { readSeed, sizesFor } from './lib/questions.mjs';
import { machine, record } from './lib/results.mjs';
import { runBench } from './lib/run.mjs';
import { cpuOf, memoryOf } from './lib/usage.mjs';

const { values: options } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, rounds: { type: 'string' } },
});
const { quick } = options;
const rounds = Number(options.rounds ?? (quick ? 5 : 15));
const before = machine();
const cluster = await Cluster.open();

async function main() {
  const database = await cluster.seeded('bench_read10000', readSeed(sizesFor(10_000)), console.log);
  const runs = [];
  for (let i = 0; i <= rounds; i++) {
    const started = performance.now();
    const ours = await startOurs({ databaseUrl: cluster.appUrl(database) });
    const ready = performance.now() - started;
    const cpu = cpuOf([ours.pid]) / 1000;
    await sleep(i === rounds ? 10_000 : 500);
    const memory = memoryOf([ours.pid]).now;
    await ours.stop();
    // The first start reads everything from the disk.
    if (i) runs.push({ ready, cpu, memory });
  }
  const of = (name) => round(median(runs.map((run) => run[name])));
  const verdict = `start_ms=${of('ready')} idle_mb=${round(runs.at(-1).memory)}`;
  const text = `## Start\n\n${before}\n\n${table(
    ['', 'median'],
    [
      ['from start to first answer, ms', of('ready')],
      ['processor time until then, ms', of('cpu')],
      ['memory after the start, MB', of('memory')],
      ['memory after ten idle seconds, MB', round(runs.at(-1).memory)],
    ],
  )}\n\n\`${verdict}\``;
  await record('start', { quick, text });
  console.log(`\n${text}\n\n${verdict}`);
}

await runBench(main, cluster);
