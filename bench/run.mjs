// What `npm run bench:…` starts: installs the peers when they are missing, then hands over. Its arguments are those of the benchmark.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { bench } from './lib/paths.mjs';

const [name] = process.argv.splice(2, 1);
if (!['webhooks', 'read', 'write', 'start', 'reports'].includes(name)) {
  console.error('node bench/run.mjs webhooks|read|write|start|reports [options]');
  process.exit(2);
}

// Reports are compared with nobody.
if (name !== 'reports' && !(await isInstalled())) {
  const started = performance.now();
  console.log('Installing what is compared with into bench/node_modules (once; about 370 MB, a minute) …');
  const npm = spawn('npm', ['ci', '--no-audit', '--no-fund', '--progress=true'], {
    cwd: bench,
    stdio: 'inherit',
    shell: process.platform === 'win32',
  });
  const ticking = setInterval(() => console.log(`  ${Math.round((performance.now() - started) / 1000)} s …`), 10_000);
  const code = await new Promise((resolve) => npm.once('exit', resolve));
  clearInterval(ticking);
  if (code !== 0) process.exit(code ?? 1);
  console.log(`  installed in ${Math.round((performance.now() - started) / 1000)} s`);
}
await import(`./${name}.mjs`);

/** npm writes down what it installed when it is done. */
async function isInstalled() {
  const done = join(bench, 'node_modules/.package-lock.json');
  return existsSync(done) && (await stat(done)).mtimeMs >= (await stat(join(bench, 'package-lock.json'))).mtimeMs;
}
