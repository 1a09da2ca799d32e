// Compiles every TypeScript file with swc: dist/ for the server, sandbox/dist/ for the local Stripe. Types are not checked
// here (`npm run typecheck` does), so that a start costs a fraction of a second.
import { transformFile } from '@swc/core';
import { cp, glob, mkdir, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, extname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const swc = {
  configFile: false,
  swcrc: false,
  sourceMaps: true,
  jsc: {
    target: 'es2023',
    keepClassNames: true,
    parser: { syntax: 'typescript', decorators: true },
    transform: { legacyDecorator: true, decoratorMetadata: true, useDefineForClassFields: false },
  },
  module: { type: 'nodenext' },
};

/** What is read at run time beside the compiled code, and copied as it is. */
const assets = new Set(['.sql', '.html', '.css', '.js', '.svg']);

/** Compiles what is newer than its output, and removes output whose source is gone: it must not be loaded any more. */
async function build(sources, outDir, base) {
  const outputs = new Set();
  for await (const file of glob(sources, { cwd: root })) {
    const source = join(root, file);
    const target = join(root, outDir, relative(base, file)).replace(/\.ts$/, '.js');
    if (file.endsWith('.ts')) {
      outputs.add(target);
      if (!(await isCurrent(source, target))) await compile(source, target);
    } else if (assets.has(extname(file))) {
      outputs.add(target);
      if (!(await isCurrent(source, target))) await copy(source, target);
    }
  }
  for await (const file of glob(`${outDir}/**/*.*`, { cwd: root })) {
    const output = join(root, file);
    if (!outputs.has(output.replace(/\.map$/, ''))) await rm(output);
  }
}

async function isCurrent(source, target) {
  const [a, b] = await Promise.all([stat(source), stat(target).catch(() => null)]);
  return b !== null && b.mtimeMs > a.mtimeMs;
}

async function compile(source, target) {
  const { code, map } = await transformFile(source, { ...swc, sourceFileName: relative(dirname(target), source) });
  await mkdir(dirname(target), { recursive: true });
  await writeFile(`${target}.map`, map);
  await writeFile(target, `${code}\n//# sourceMappingURL=${basename(target)}.map\n`);
}

async function copy(source, target) {
  await mkdir(dirname(target), { recursive: true });
  await cp(source, target);
}

await build(['src/**/*', 'dev/**/*', 'mikro-orm.config.ts'], 'dist', '');
await build(['sandbox/src/**/*'], 'sandbox/dist', 'sandbox/src');
