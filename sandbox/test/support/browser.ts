import { existsSync } from 'node:fs';
import { type Browser, chromium } from 'playwright-core';

const executablePath = process.env['CHROMIUM_PATH'] ?? '/usr/bin/chromium';

/** Whether there is a browser to test with. @throws when `REQUIRE_BROWSER` wants one and there is none */
export function hasBrowser(): boolean {
  const isThere = existsSync(executablePath);
  if (!isThere && process.env['REQUIRE_BROWSER'])
    throw new Error(`There is no browser at ${executablePath}: set CHROMIUM_PATH.`);
  if (!isThere)
    console.log(`No browser at ${executablePath}: hosted pages are not clicked through. Set CHROMIUM_PATH.`);
  return isThere;
}

/** A headless Chromium. */
export function aBrowser(): Promise<Browser> {
  return chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu'] });
}
