import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, cp, lstat, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import pg from 'pg';
import { fitBinaries, postgresBinaries, serverUser } from '../../dev/postgres-files.js';
import { discardDisplaced, freePort, startPostgres, type PostgresServer } from '../../dev/postgres.js';
import { isAlive } from '../../dev/processes.js';
import { until } from '../support/until.js';

let directory: string;
let dataDir: string;
const servers: PostgresServer[] = [];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'psa-postgres-'));
  await chmod(directory, 0o755);
  dataDir = join(directory, 'data');
});
afterEach(async () => {
  for (const server of servers.splice(0)) await server.stop();
  await rm(directory, { recursive: true, force: true });
});

async function start(options: Partial<Parameters<typeof startPostgres>[0]> = {}): Promise<PostgresServer> {
  const server = await startPostgres({ dataDir, ...options });
  servers.push(server);
  return server;
}

async function query(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}

/** Starts a server from a process of its own, which then can be killed; returns what it printed. */
async function startElsewhere(options: object): Promise<{ starter: ChildProcess; pid: number; port: number }> {
  const launcher = new URL('../../dist/dev/postgres.js', import.meta.url).href;
  const script = `import { startPostgres } from ${JSON.stringify(launcher)};
    const { pid, port } = await startPostgres(${JSON.stringify(options)});
    console.log(JSON.stringify({ pid, port }));
    setInterval(() => undefined, 1000);`;
  const starter = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const line = await new Promise<string>((done) =>
    starter.stdout.once('data', (chunk: Buffer) => done(chunk.toString())),
  );
  return { starter, ...(JSON.parse(line) as { pid: number; port: number }) };
}

test('keeps its data and its password from one start to the next', async () => {
  const first = await start();
  await query(first.adminUrl, 'create table kept as select 42 as answer');
  await first.stop();
  expect(isAlive(first.pid)).toBe(false);
  const second = await start();
  expect(second.adopted).toBe(false);
  expect(await query(second.adminUrl, 'select answer from kept')).toEqual([{ answer: 42 }]);
});

test('listens on loopback only, demands a password even there, and writes through to the disk', async () => {
  const { adminUrl, port } = await start();
  const [settings] = await query(
    adminUrl,
    `select current_setting('listen_addresses') as addresses, current_setting('unix_socket_directories') as sockets,
      current_setting('fsync') as fsync, current_setting('server_version_num')::int >= 180000 as modern`,
  );
  expect(settings).toEqual({ addresses: '127.0.0.1', sockets: '', fsync: 'on', modern: true });
  await expect(query(`postgres://postgres:wrong@127.0.0.1:${port}/postgres`, 'select 1')).rejects.toThrow(/password/);
  expect((await stat(`${dataDir}.password`)).mode & 0o777).toBe(0o600);
});

test('takes the next port when the wanted one is taken', async () => {
  const blocker = createServer().listen(0, '127.0.0.1');
  await new Promise((done) => blocker.once('listening', done));
  const taken = (blocker.address() as AddressInfo).port;
  try {
    const { port } = await start({ port: taken });
    expect(port).toBeGreaterThan(taken);
    expect(await freePort(port)).toBeGreaterThan(port);
  } finally {
    blocker.close();
  }
});

test('takes over a server whose starter was killed together with its watchman', async () => {
  const { starter, pid, port } = await startElsewhere({ dataDir });
  // The watchman is a child of the starter, so it has to be found before that dies.
  const processes = spawnSync('ps', ['-A', '-o', 'pid=,ppid=,args='], { encoding: 'utf8' }).stdout.split('\n');
  const watchmen = processes
    .map((line) => line.trim().split(/\s+/, 2).map(Number))
    .filter(([, parent], i) => parent === starter.pid && processes[i]!.includes('postgres-reaper'))
    .map(([id]) => id!);
  expect(watchmen).toHaveLength(1);
  for (const id of [...watchmen, starter.pid!]) process.kill(id, 'SIGKILL');

  const server = await start();
  expect(server).toMatchObject({ pid, port, adopted: true });
  await server.stop();
  expect(isAlive(pid)).toBe(false);
});

test('does not outlive its starter, not even one that was killed', async () => {
  const { starter, pid } = await startElsewhere({ dataDir });
  starter.kill('SIGKILL');
  await until(() => !isAlive(pid), 'the server is gone');
  const next = await start();
  expect(await query(next.adminUrl, 'select 1 as one')).toEqual([{ one: 1 }]);
});

test('a temporary server leaves nothing behind, neither stopped nor killed', async () => {
  const server = await start({ temporary: true });
  await server.stop();
  expect(await readdir(directory)).toEqual([]);

  const { starter, pid } = await startElsewhere({ dataDir, temporary: true });
  starter.kill('SIGKILL');
  await until(() => !isAlive(pid) && !existsSync(dataDir), 'server and data are gone');
  await until(async () => (await readdir(directory)).length === 0, 'the directory is empty');
});

test('recovers after the server itself was killed, and after its pid went to a stranger', async () => {
  const first = await start();
  process.kill(first.pid, 'SIGKILL');
  await until(() => !isAlive(first.pid), 'the server is dead');
  const second = await start();
  expect(await query(second.adminUrl, 'select 1 as one')).toEqual([{ one: 1 }]);
  await second.stop();

  const stranger = spawn(process.execPath, ['-e', 'setInterval(() => undefined, 1000)', 'postgres']);
  try {
    await writeFile(join(dataDir, 'postmaster.pid'), `${stranger.pid}\n${dataDir}\n0\n${second.port}\n\n127.0.0.1\n`);
    const third = await start();
    expect(await query(third.adminUrl, 'select 1 as one')).toEqual([{ one: 1 }]);
  } finally {
    stranger.kill('SIGKILL');
  }
});

test('waits for the children of a server that was killed', async () => {
  const first = await start();
  const client = new pg.Client({ connectionString: first.adminUrl });
  client.on('error', () => undefined);
  await client.connect();
  const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
  const { pid } = rows[0]!;
  process.kill(pid, 'SIGSTOP');
  process.kill(first.pid, 'SIGKILL');
  await until(() => !isAlive(first.pid), 'the server is dead');
  let isUp = false;
  const starting = start().then((server) => ((isUp = true), server));
  const hasTried = async () => (await readFile(`${dataDir}.log`, 'utf8')).includes('shared memory block');
  try {
    await until(hasTried, 'a start has found the memory in use');
    expect(isUp).toBe(false);
  } finally {
    process.kill(pid, 'SIGCONT');
  }
  expect(await query((await starting).adminUrl, 'select 1 as one')).toEqual([{ one: 1 }]);
});

test('a first start that was cut short is made up for by the next', async () => {
  await mkdir(`${dataDir}.new`);
  await writeFile(join(`${dataDir}.new`, 'PG_VERSION'), '18\n');
  const server = await start();
  expect(await query(server.adminUrl, 'select 1 as one')).toEqual([{ one: 1 }]);
  expect(existsSync(`${dataDir}.new`)).toBe(false);
});

test('data of another major version is refused with advice', async () => {
  await mkdir(dataDir);
  await writeFile(join(dataDir, 'PG_VERSION'), '12\n');
  await expect(start()).rejects.toThrow(/made by PostgreSQL 12, this is 18/);
});

test('under directories that only we may enter it still starts, as root elsewhere', async () => {
  const closed = join(directory, 'closed');
  await mkdir(closed, { mode: 0o700 });
  const server = await start({ dataDir: join(closed, 'data'), temporary: true });
  const asRoot = process.getuid?.() === 0;
  expect(server.dataDir.startsWith(closed)).toBe(!asRoot);
  expect(await query(server.adminUrl, 'select 1 as one')).toEqual([{ one: 1 }]);
});

test('a fresh start clears away what had to be made elsewhere, and never what lies in its place', async () => {
  const closed = join(directory, 'closed');
  await mkdir(closed, { mode: 0o700 });
  for (const wanted of [dataDir, join(closed, 'data')]) {
    const server = await start({ dataDir: wanted });
    await discardDisplaced(wanted);
    const isDisplaced = server.dataDir !== wanted;
    expect(existsSync(server.dataDir)).toBe(!isDisplaced);
    expect(isAlive(server.pid)).toBe(!isDisplaced);
    await server.stop();
    if (isDisplaced) await rm(dirname(server.dataDir), { recursive: true });
  }
});

test('programs that the server cannot reach are copied to where it can, links included', async () => {
  const native = await postgresBinaries(serverUser());
  const closed = join(directory, 'checkout');
  await mkdir(closed, { mode: 0o700 });
  await cp(native, join(closed, 'native'), {
    recursive: true,
    filter: async (file) => !(await lstat(file)).isSymbolicLink(),
  });
  const found = await fitBinaries(join(closed, 'native'), serverUser());
  expect(found.startsWith(closed)).toBe(process.getuid?.() !== 0);
  expect(existsSync(join(found, 'lib', 'libpq.so'))).toBe(true);
  if (!found.startsWith(closed)) await rm(dirname(found), { recursive: true });
});
