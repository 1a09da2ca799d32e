import { join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { root } from '../../dev/local-directory.js';

/**
 * A script of a test's own that runs as a process, as it was bundled for this run (see global-setup.mjs).
 * @example testProgram(new URL('./ask.mjs', import.meta.url))
 */
export function testProgram(script: URL): string {
  const name = relative(join(root, 'test'), fileURLToPath(script))
    .replaceAll(sep, '-')
    .replace(/\.mjs$/, '.js');
  return join(root, 'dist/test', name);
}

/** What every process that a test starts is given: hundreds are started, and what they are made of is compiled once. */
export const programEnvironment = {
  PATH: process.env.PATH,
  NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE,
} as const;
