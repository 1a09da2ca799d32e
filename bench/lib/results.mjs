import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { cpus, loadavg, release, totalmem, type } from 'node:os';
import { join } from 'node:path';
import { bench } from './paths.mjs';

const file = join(bench, 'RESULTS.md');
const sections = ['webhooks', 'read', 'write', 'start', 'reports'];

/** What it ran on, for whoever compares numbers. */
export function machine() {
  const [cpu] = cpus();
  const load = loadavg()[0].toFixed(1);
  return (
    `${new Date().toISOString().slice(0, 16).replace('T', ' ')} UTC · ${cpus().length} × ${cpu.model.trim()} · ${Math.round(totalmem() / 2 ** 30)} GB · ` +
    `${type()} ${release()} · Node ${process.versions.node} · PostgreSQL 18.4, fsync on · load before the run ${load}`
  );
}

/** Replaces one section of RESULTS.md. What a quick run found never replaces what a full one did. */
export async function record(section, { quick, text }) {
  const before = existsSync(file) ? await readFile(file, 'utf8') : '';
  const known = new Map(
    sections.map((name) => [name, new RegExp(`<!-- ${name} (\\w+) -->\\n([\\s\\S]*?)<!-- end -->`).exec(before)]),
  );
  if (quick && known.get(section)?.[1] === 'full') return false;
  const parts = sections.flatMap((name) => {
    if (name === section) return [`<!-- ${name} ${quick ? 'quick' : 'full'} -->\n${text.trim()}\n<!-- end -->`];
    const found = known.get(name);
    return found ? [found[0]] : [];
  });
  await writeFile(file, `${introduction}\n${parts.join('\n\n')}\n`);
  return true;
}

const introduction = `# Results

Written by \`npm run bench:webhooks\`, \`bench:read\`, \`bench:write\` and \`bench:start\`; how they measure is in [README.md](README.md). Everything in one table ran in turns
in one run, on one machine and one PostgreSQL. Rates wander with the machine and what else runs on it; ratios are taken between neighbours in time, and
their medians are what counts.
`;
