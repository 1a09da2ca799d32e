import { execFile } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { isServed } from './served.mjs';

/**
 * The CLI names no version, so Stripe would take the account's default. The scripts send `payment_method_types`, refused since
 * 2026-09-30, and confirm without a return URL, refused since automatic payment methods are the default (2023-08-16).
 */
const scriptsVersion = '2022-11-15';

/**
 * Drives Stripe's own CLI (`@stripe/cli`) against the local Stripe. `stripe trigger EVENT` runs a small script of API calls that
 * Stripe wrote to bring the event about: a hundred clients whose author did not read our code.
 *
 * The CLI never gets out: its home is a temporary folder, telemetry is off, and every proxied request (it looks for new
 * versions) goes to a closed port.
 */
export class StripeCli {
  #home = mkdtempSync(join(tmpdir(), 'stripe-cli-'));

  constructor() {
    // "Editing" a script before it runs is how the CLI shows what it is going to do.
    const editor = join(this.#home, 'editor.sh');
    writeFileSync(editor, '#!/bin/sh\ncat "$1" > "$SCRIPT_COPY"\n');
    chmodSync(editor, 0o755);
  }

  /** Removes the temporary home. */
  close() {
    rmSync(this.#home, { recursive: true, force: true });
  }

  /** @returns {Promise<string[]>} the events that `stripe trigger` knows */
  async events() {
    const { output } = await this.#run(['trigger', '--help']);
    const list = output.slice(output.indexOf('Supported events:'), output.indexOf('Usage:'));
    return list.split('\n').flatMap((line) => /^ {2}(\S+)$/.exec(line)?.[1] ?? []);
  }

  /**
   * Runs one script.
   *
   * @param {string} event
   * @param {{ apiBase: string, apiKey: string, account?: string }} target `account` is sent as Stripe-Account
   * @returns {Promise<{ event: string, ok: boolean, calls: string[], unserved: string[], reason: string }>}
   *   `calls` like `POST /v1/refunds/{}`, `unserved` those of them that the local Stripe does not mean to have
   */
  async trigger(event, { apiBase, apiKey, account }) {
    const copy = join(this.#home, `${event}.${account ?? 'platform'}.json`);
    const args = [
      'trigger',
      event,
      '--edit',
      '--api-base',
      apiBase,
      '--api-key',
      apiKey,
      '--api-version',
      scriptsVersion,
    ];
    if (account) args.push('--stripe-account', account);
    const { code, output } = await this.#run(args, { SCRIPT_COPY: copy });
    const calls = callsOf(copy);
    return {
      event,
      ok: code === 0,
      calls,
      unserved: calls.filter((call) => !isServed(call.split(' ')[1])),
      reason: code === 0 ? '' : reasonIn(output),
    };
  }

  #run(args, env = {}) {
    const options = {
      cwd: this.#home,
      timeout: 60_000,
      env: {
        PATH: process.env.PATH,
        HOME: this.#home,
        XDG_CONFIG_HOME: this.#home,
        EDITOR: join(this.#home, 'editor.sh'),
        STRIPE_CLI_TELEMETRY_OPTOUT: '1',
        HTTPS_PROXY: 'http://127.0.0.1:9',
        HTTP_PROXY: 'http://127.0.0.1:9',
        NO_PROXY: '127.0.0.1,localhost',
        ...env,
      },
    };
    return new Promise((resolve) => {
      execFile(binary(), args, options, (error, stdout, stderr) => {
        resolve({ code: error ? (error.code ?? 1) : 0, output: stdout + stderr });
      });
    });
  }
}

/** The executable itself, not its JavaScript shim: a process less, two hundred times. */
function binary() {
  const require = createRequire(import.meta.url);
  const platform = require('@stripe/cli/platforms.json')[`${process.platform}-${process.arch}`];
  if (!platform) throw new Error(`@stripe/cli has no executable for ${process.platform}-${process.arch}`);
  return join(dirname(require.resolve(`${platform.pkg}/package.json`)), 'bin', platform.bin);
}

function callsOf(file) {
  const { fixtures } = JSON.parse(readFileSync(file, 'utf8'));
  const calls = fixtures.map(({ method, path }) => {
    const named = path.split('?')[0].replace(/\$\{[^}]+\}/g, '{}');
    // `/v1/payment_methods/pm_card_visa/attach`: a test method stands where an id would
    return `${method.toUpperCase()} ${named.replace(/(?<=\/)pm_card_\w+/, '{}')}`;
  });
  return [...new Set(calls)];
}

/** The CLI prints the whole error body; its message says enough. */
function reasonIn(output) {
  const failed = /Running fixture for: (\S+)\s*$/m.exec(output.split(/Trigger failed|error/i)[0].trim())?.[1];
  const message = /"message":\s*"((?:[^"\\]|\\.)*)"/.exec(output)?.[1]?.replaceAll('\\"', '"');
  const last = output.trim().split('\n').at(-1);
  return `${failed ? `${failed}: ` : ''}${message ?? last}`;
}
