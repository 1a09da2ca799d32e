// Compiles every TypeScript file with swc: dist/ for the server, sandbox/dist/ for the local Stripe; then bundles the programs into dist/bin. Types
// are not checked here (`npm run typecheck` does), and what is current is left alone, so that a start costs a fraction of a second.
import { transformFile } from '@swc/core';
import { cp, glob, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, extname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundle } from './bundle.mjs';
import { compilerOptions } from './compiler-options.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const swc = { ...compilerOptions, sourceMaps: true };

/** What is read at run time beside the compiled code, and copied as it is. */
const assets = new Set(['.sql', '.html', '.css', '.js', '.svg', '.txt']);

/** What mail templates are put into. Changed, all of them are made anew. */
const layout = join(root, 'src/features/mail/templates/layout.mjml');

/** Made of what is compiled here, see bundle.mjs. */
const bundles = ['dist/bin/', 'dist/test/'];

/** What npm scripts and images start: `dist/bin/<name>.js`. */
const programs = Object.fromEntries(
  ['src/main', 'dev/start', 'dev/demo', 'dev/migrate', 'dev/reconcile', 'dev/erase']
    .concat(['dev/events-replay', 'dev/events-verify', 'dev/ledger-verify', 'dev/mail-bounces'])
    .map((file) => [basename(file), join(root, 'dist', `${file}.js`)]),
);

/** Compiles what is newer than its output, and removes output whose source is gone: it must not be loaded any more. */
async function build(sources, outDir, base) {
  const outputs = new Set();
  for await (const file of glob(sources, { cwd: root })) {
    const source = join(root, file);
    const target = join(root, outDir, relative(base, file)).replace(/\.ts$/, '.js');
    if (file.endsWith('.ts')) {
      outputs.add(target);
      if (!(await isCurrent(source, target))) await compile(source, target);
    } else if (file.endsWith('.mjml') && source !== layout) {
      const html = target.replace(/\.mjml$/, '.html');
      outputs.add(html);
      if (!(await isCurrent(source, html)) || !(await isCurrent(layout, html))) await compileMail(source, html);
    } else if (assets.has(extname(file))) {
      outputs.add(target);
      if (!(await isCurrent(source, target))) await copy(source, target);
    }
  }
  for await (const file of glob(`${outDir}/**/*.*`, { cwd: root })) {
    const output = join(root, file);
    if (bundles.some((folder) => file.startsWith(folder))) continue;
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

/**
 * A mail's content becomes the HTML that mail programs understand; its `{{names}}` are filled when it is sent. MJML wants to see colours where
 * the tenant's will be, so two stand in for them.
 */
async function compileMail(source, target) {
  const { default: mjml2html } = await import('mjml');
  const [frame, content] = await Promise.all([readFile(layout, 'utf8'), readFile(source, 'utf8')]);
  const { html } = await mjml2html(
    frame.replace('<!-- content -->', () => content),
    { validationLevel: 'strict' },
  );
  await mkdir(dirname(target), { recursive: true });
  await writeFile(target, html.replaceAll('#0b1c2d', '{{brandColor}}').replaceAll('#d2c1b0', '{{brandText}}'));
}

async function copy(source, target) {
  await mkdir(dirname(target), { recursive: true });
  await cp(source, target);
}

await build(['src/**/*', 'dev/**/*', 'mikro-orm.config.ts'], 'dist', '');
await bundle(programs, join(root, 'dist/bin'));
await build(['sandbox/src/**/*'], 'sandbox/dist', 'sandbox/src');
