import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, open, readFile, rename, rm, rmdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import {
  giveTo,
  postgresBinaries,
  program,
  reachableDirectory,
  serverUser,
  type ServerUser,
} from './postgres-files.js';
import { isAlive, isPostgres, startReaper } from './processes.js';

export interface PostgresOptions {
  /** Where the data is kept. As root it may end up elsewhere, see `PostgresServer.dataDir`. */
  readonly dataDir: string;
  /** Preferred port; when it is taken, the next free one. Without it, any free port. */
  readonly port?: number;
  /** For tests: no durability, and the data is deleted when the server stops or this process dies. */
  readonly temporary?: boolean;
}

export interface PostgresServer {
  /** Connection string of the superuser `postgres`, for the database `postgres`. Contains the password. */
  readonly adminUrl: string;
  readonly port: number;
  readonly dataDir: string;
  /** Process id of the postmaster. */
  readonly pid: number;
  /** Whether it was running already, left over by a process that was killed or started by a neighbour. */
  readonly adopted: boolean;
  /** Stops the server, whoever started it, and waits until it is gone. */
  stop(): Promise<void>;
}

/**
 * Starts the PostgreSQL that came with `npm ci`, on loopback only, creating its data directory when there is none.
 * A server that still runs on the directory is taken over instead of started again.
 * @throws Error with the end of the server's log when it does not come up
 */
export async function startPostgres(options: PostgresOptions): Promise<PostgresServer> {
  const user = serverUser();
  const binaries = await postgresBinaries(user);
  const dataDir = await reachableDirectory(resolve(options.dataDir), user);
  const temporary = options.temporary ?? false;
  const paths = temporary ? [dataDir, `${dataDir}.new`, passwordFile(dataDir), logFile(dataDir)] : [];
  const reaper = startReaper(paths);
  try {
    const running = (await adopt(dataDir)) ?? (await start(binaries, dataDir, user, options.port ?? 0, temporary));
    reaper.watch(running.pid);
    let stopping: Promise<void> | undefined;
    const stop = async () => {
      await terminate(running.pid);
      for (const path of paths) await rm(path, { recursive: true, force: true });
      if (temporary && dataDir !== resolve(options.dataDir)) await rmdir(dirname(dataDir)).catch(() => undefined);
      reaper.dismiss();
    };
    const { pid, port, adopted } = running;
    return { adminUrl: urlOf(port, running.password), port, dataDir, pid, adopted, stop: () => (stopping ??= stop()) };
  } catch (error) {
    for (const path of paths) await rm(path, { recursive: true, force: true });
    reaper.dismiss();
    throw error;
  }
}

/**
 * Deletes a data directory that had to be made elsewhere (see `PostgresServer.dataDir`), where nobody who cleans up would look.
 * One that lies where it was wanted is left alone.
 */
export async function discardDisplaced(dataDir: string): Promise<void> {
  const actual = await reachableDirectory(resolve(dataDir), serverUser());
  if (actual === resolve(dataDir) || !existsSync(actual)) return;
  const running = await adopt(actual);
  if (running) await terminate(running.pid);
  for (const path of [actual, passwordFile(actual), logFile(actual)]) await rm(path, { recursive: true, force: true });
}

interface Running {
  readonly pid: number;
  readonly port: number;
  readonly password: string;
  readonly adopted: boolean;
}

async function start(
  binaries: string,
  dataDir: string,
  user: ServerUser,
  wanted: number,
  temporary: boolean,
): Promise<Running> {
  const password = await ensureCluster(binaries, dataDir, user, temporary);
  for (let port = wanted, tries = 1; ; tries++) {
    port = await freePort(port);
    const started = await launch(binaries, dataDir, user, port, password, temporary);
    if (typeof started === 'number') return { pid: started, port, password, adopted: false };
    // Somebody may have taken the port between the look and the launch.
    if (tries <= 5 && /could not bind|Address already in use/i.test(started.log)) port = wanted && port + 1;
    // The children of a server that was killed notice, and let go of its memory.
    else if (tries <= 40 && started.log.includes('pre-existing shared memory block')) await sleep(250);
    else throw new Error(`PostgreSQL did not start in ${dataDir}:\n${started.log}`);
  }
}

const urlOf = (port: number, password: string) => `postgres://postgres:${password}@127.0.0.1:${port}/postgres`;
const passwordFile = (dataDir: string) => `${dataDir}.password`;
const logFile = (dataDir: string) => `${dataDir}.log`;

/** Makes the data directory unless it exists; returns the superuser's password. */
async function ensureCluster(binaries: string, dataDir: string, user: ServerUser, temporary: boolean): Promise<string> {
  if (existsSync(join(dataDir, 'PG_VERSION'))) {
    const [have, want] = [(await readFile(join(dataDir, 'PG_VERSION'), 'utf8')).trim(), '18'];
    if (have !== want) {
      throw new Error(`${dataDir} was made by PostgreSQL ${have}, this is ${want}. Move it away, or set DATABASE_URL.`);
    }
    return (await readFile(passwordFile(dataDir), 'utf8')).trim();
  }
  const password = randomBytes(24).toString('base64url');
  // Made under another name and renamed when complete: a start that was cut short leaves no half of a cluster behind.
  await mkdir(dirname(dataDir), { recursive: true });
  const unfinished = `${dataDir}.new`;
  await rm(unfinished, { recursive: true, force: true });
  const handover = await mkdtemp(join(dirname(dataDir), 'initdb-'));
  try {
    const secret = join(handover, 'password');
    await writeFile(secret, password, { mode: 0o600 });
    await mkdir(unfinished, { mode: 0o700 });
    for (const path of [secret, handover, unfinished]) await giveTo(user, path);
    await run(program(binaries, 'initdb'), user, [
      ...['-D', unfinished, '-U', 'postgres', '--auth=scram-sha-256', `--pwfile=${secret}`],
      // Sorts and compares the same on every platform, whatever the locale of the machine.
      ...['--encoding=UTF8', '--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8'],
      ...['--no-instructions', ...(temporary ? ['--no-sync'] : [])],
    ]);
  } finally {
    await rm(handover, { recursive: true, force: true });
  }
  await writeFile(passwordFile(dataDir), password, { mode: 0o600 });
  await chmod(passwordFile(dataDir), 0o600);
  await rename(unfinished, dataDir);
  return password;
}

/** @returns the postmaster's pid once it takes connections, or its log when it gave up */
async function launch(
  binaries: string,
  dataDir: string,
  user: ServerUser,
  port: number,
  password: string,
  temporary: boolean,
): Promise<number | { log: string }> {
  const settings: Record<string, string | number> = {
    port,
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    max_connections: 200,
    timezone: 'UTC',
    log_timezone: 'UTC',
    ...(temporary
      ? {
          fsync: 'off',
          full_page_writes: 'off',
          synchronous_commit: 'off',
          max_wal_size: '4GB',
          autovacuum_naptime: '60s',
          // Passwords that are made up and thrown away need not withstand guessing.
          scram_iterations: 1,
        }
      : { fsync: 'on' }),
  };
  const args = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const log = await open(logFile(dataDir), 'w', 0o600);
  let child: ChildProcess;
  try {
    // A session of its own: Ctrl-C in the terminal reaches us, and we stop it after those who still need it.
    child = spawn(program(binaries, 'postgres'), ['-D', dataDir, ...args], {
      ...user,
      cwd: dataDir,
      env: {
        PATH: process.env.PATH,
        LC_ALL: 'C',
        TZ: 'UTC',
        ...(process.env.SystemRoot && { SystemRoot: process.env.SystemRoot }),
      },
      stdio: ['ignore', log.fd, log.fd],
      detached: true,
      windowsHide: true,
    });
  } finally {
    await log.close();
  }
  let over = false;
  const ended = new Promise<void>((done) => {
    child.once('exit', () => done());
    child.once('error', () => done());
  }).then(() => void (over = true));
  child.unref();
  const deadline = Date.now() + 30_000;
  while (!over && Date.now() < deadline) {
    if (await answers(urlOf(port, password), dataDir)) return child.pid!;
    await Promise.race([ended, sleep(30)]);
  }
  if (!over && child.pid) await terminate(child.pid);
  return { log: (await readFile(logFile(dataDir), 'utf8')).slice(-4_000) };
}

/**
 * Finds a server that already runs on the directory. After `kill -9` of its starter PostgreSQL lives on; after a power cut only
 * its pid file does, and the number in it may belong to a stranger by now.
 */
async function adopt(dataDir: string): Promise<Running | null> {
  const pidFile = join(dataDir, 'postmaster.pid');
  // It may be on its way down, or up: wait for either.
  for (const deadline = Date.now() + 15_000; ; await sleep(50)) {
    const lines = (await readFile(pidFile, 'utf8').catch(() => '')).split('\n');
    const pid = Number(lines[0]);
    if (!pid) return null;
    if (!isAlive(pid) || !isPostgres(pid)) {
      await rm(pidFile, { force: true });
      return null;
    }
    const port = Number(lines[3]);
    const password = (await readFile(passwordFile(dataDir), 'utf8').catch(() => '')).trim();
    if (port && password && (await answers(urlOf(port, password), dataDir)))
      return { pid, port, password, adopted: true };
    if (Date.now() > deadline) {
      throw new Error(
        `A PostgreSQL server (process ${pid}) holds ${dataDir} but does not answer. Stop it and try again.`,
      );
    }
  }
}

/** Whether a server takes our password there and serves this very directory. */
async function answers(url: string, dataDir: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2_000 });
  client.on('error', () => undefined);
  try {
    await client.connect();
    const { rows } = await client.query<{ data_directory: string }>('show data_directory');
    return resolve(rows[0]!.data_directory) === resolve(dataDir);
  } catch {
    return false;
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** Fast shutdown: sessions are cut, everything committed is kept. Immediate, if that takes too long. */
async function terminate(pid: number): Promise<void> {
  const signals = ['SIGINT', 'SIGQUIT', 'SIGKILL'] as const;
  for (const signal of signals) {
    if (!isAlive(pid)) return;
    try {
      process.kill(pid, signal);
    } catch {
      return;
    }
    for (const deadline = Date.now() + 10_000; isAlive(pid) && Date.now() < deadline;) await sleep(20);
  }
}

/** The first port from `wanted` on that nobody listens on at 127.0.0.1; any free one for 0. */
export async function freePort(wanted: number): Promise<number> {
  for (let port = wanted; port < 65_536; port++) {
    const found = await new Promise<number | null>((done) => {
      const probe = createServer();
      probe.once('error', () => done(null));
      probe.listen({ port, host: '127.0.0.1', exclusive: true }, () => {
        const { port: bound } = probe.address() as { port: number };
        probe.close(() => done(bound));
      });
    });
    if (found !== null) return found;
  }
  throw new Error(`There is no free port from ${wanted} on.`);
}

async function run(file: string, user: ServerUser, args: string[]): Promise<void> {
  const child = spawn(file, args, { ...user, cwd: resolve('/'), stdio: ['ignore', 'pipe', 'pipe'], windowsHide: true });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const code = await new Promise<number | null>((done, fail) => {
    child.once('error', fail);
    child.once('close', done);
  });
  if (/could not look up effective user ID/.test(output)) {
    throw new Error(
      `PostgreSQL does not run as a user without a name, and ${process.getuid?.()} has no entry in /etc/passwd. ` +
        'Run this as a user that has one, or set DATABASE_URL.',
    );
  }
  if (code !== 0) throw new Error(`${file} failed with code ${code}:\n${output.slice(-4_000)}`);
}
