import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

export const bench = dirname(dirname(fileURLToPath(import.meta.url)));
export const root = dirname(bench);

/** Which build is measured: that of this checkout, or of another one to compare it with. */
export const serverRoot = resolve(process.env.BENCH_SERVER_ROOT ?? root);

/** Data that may be thrown away: the database with what was seeded, profiles, logs. */
export const benchDirectory = resolve(process.env.BENCH_DIRECTORY ?? join(root, '.local/bench'));
