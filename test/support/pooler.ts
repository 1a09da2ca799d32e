import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, chown, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { aPort } from './port.js';
import { until } from './until.js';

const program = process.env.PGBOUNCER_PATH ?? '/usr/sbin/pgbouncer';

/** `nobody`: PgBouncer refuses to run as root. */
const nobody = 65_534;

/** `describe` for what needs PgBouncer. Without it the tests are left out, unless REQUIRE_PGBOUNCER forbids that. */
export function behindPooler(): typeof describe.skip {
  if (existsSync(program)) return describe;
  if (process.env.REQUIRE_PGBOUNCER) throw new Error(`There is no PgBouncer at ${program}: set PGBOUNCER_PATH.`);
  console.log(`No PgBouncer at ${program}: the server is not tested behind it. Set PGBOUNCER_PATH to change that.`);
  return describe.skip;
}

export interface Pooler {
  /** The same database, by way of the pooler. */
  readonly url: string;
  stop(): Promise<void>;
}

/** A PgBouncer in transaction mode that has few sessions for many clients, so that hardly two transactions of one client meet the same session. */
export async function startPooler(databaseUrl: string, sessions: number): Promise<Pooler> {
  const target = new URL(databaseUrl);
  const port = await aPort();
  const folder = await mkdtemp(join(tmpdir(), 'psa-pooler-'));
  const settings = join(folder, 'pgbouncer.ini');
  const users = join(folder, 'users.txt');
  await writeFile(users, `"${target.username}" "${target.password}"\n`);
  await writeFile(
    settings,
    `[databases]
* = host=${target.hostname} port=${target.port || 5432}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = plain
auth_file = ${users}
pool_mode = transaction
default_pool_size = ${sessions}
max_client_conn = 200
server_round_robin = 1
`,
  );
  const isRoot = process.getuid?.() === 0;
  if (isRoot) {
    for (const path of [folder, settings, users]) await chown(path, nobody, nobody);
    await chmod(folder, 0o700);
  }
  const child = spawn(program, ['--quiet', settings], {
    cwd: '/',
    stdio: 'ignore',
    ...(isRoot && { uid: nobody, gid: nobody }),
  });
  const ended = once(child, 'exit');
  await until(() => answers(port), 'PgBouncer listens');
  return {
    url: Object.assign(new URL(databaseUrl), { hostname: '127.0.0.1', port: String(port) }).href,
    stop: async () => {
      child.kill('SIGTERM');
      await ended;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => (socket.end(), resolve(true)));
    socket.on('error', () => resolve(false));
  });
}
