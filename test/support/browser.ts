import { existsSync } from 'node:fs';

/** The Chromium that tests drive. */
export const executablePath = process.env.CHROMIUM_PATH ?? '/usr/bin/chromium';

/**
 * `describe` for what needs a browser. Without one it says so and leaves the tests out, unless REQUIRE_BROWSER forbids that.
 * @param what is tested without a browser then: `the explorer`
 */
export function inBrowser(what: string): typeof describe.skip {
  if (existsSync(executablePath)) return describe;
  if (process.env.REQUIRE_BROWSER) throw new Error(`There is no browser at ${executablePath}: set CHROMIUM_PATH.`);
  console.log(`No browser at ${executablePath}: ${what} is tested without one. Set CHROMIUM_PATH to change that.`);
  return describe.skip;
}
