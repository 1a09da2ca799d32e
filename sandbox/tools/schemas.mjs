import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * The JSON Schemas of the installed SDK. They are made at first use (about 3 s) and kept outside of git, under a name that changes
 * with the SDK, the compiler and the generator: 2 MB that anybody can make again do not belong into the history.
 *
 * The generator runs as a process of its own, so that whoever only reads the schemas never loads the TypeScript compiler.
 *
 * @returns {string} path of the JSON file; see `make-schemas.mjs` for what is in it
 */
export function ensureSchemas() {
  const tools = dirname(fileURLToPath(import.meta.url));
  const generator = join(tools, 'make-schemas.mjs');
  const resolve = createRequire(import.meta.url).resolve;
  const ingredients = [
    generator,
    join(tools, 'schema-writer.mjs'),
    join(tools, 'served.mjs'),
    resolve('typescript/package.json'),
    // stripe exports no package.json, but its entry stands one folder below it.
    join(dirname(resolve('stripe')), '..', 'package.json'),
  ];
  const hash = createHash('sha256');
  for (const ingredient of ingredients) hash.update(readFileSync(ingredient));
  const key = hash.digest('hex').slice(0, 16);
  const folder = join(tools, '..', '..', '.local', 'stripe-schemas');
  const file = join(folder, `${key}.json`);
  if (!existsSync(file)) {
    rmSync(folder, { recursive: true, force: true }); // what an older SDK or generator left
    mkdirSync(folder, { recursive: true });
    execFileSync(process.execPath, [generator, file], { stdio: 'inherit' });
  }
  return file;
}
