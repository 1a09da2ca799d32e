import { spawn, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** Whether a process of this id exists, whoever it belongs to. A zombie, dead but not yet buried by its parent, does not count. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
  try {
    // The state follows the name, which stands in brackets and may itself contain some.
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return !/^ [ZX]/.test(stat.slice(stat.lastIndexOf(')') + 1));
  } catch {
    return process.platform !== 'linux';
  }
}

/** The command line of a process; empty when it cannot be told. */
export function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
  } catch {
    if (process.platform === 'linux' || process.platform === 'win32') return '';
    return spawnSync('ps', ['-p', String(pid), '-o', 'command='], { encoding: 'utf8' }).stdout.trim();
  }
}

/** Whether a process is a PostgreSQL server: process ids are reused, and a stale pid file may name a stranger. */
export function isPostgres(pid: number): boolean {
  return process.platform === 'win32' || /postgres/.test(commandLine(pid));
}

/**
 * Leaves a watchman behind that ends PostgreSQL, and deletes what was only meant for this run, when this process dies without
 * having done so itself (`kill -9`, a crash): the end of the pipe between us tells it.
 * @returns dismisses it; to be called after the server has been stopped
 */
export function startReaper(pid: number, temporaryPaths: readonly string[]): () => void {
  if (process.platform === 'win32') return () => undefined;
  const script = `trap '' INT TERM HUP
    if read -r dismissed; then exit; fi
    pid=$1; shift
    kill -INT "$pid" 2>/dev/null
    tries=0
    while kill -0 "$pid" 2>/dev/null && [ $tries -lt 100 ]; do sleep 0.1; tries=$((tries + 1)); done
    [ $# -eq 0 ] || rm -rf -- "$@"`;
  const reaper = spawn('/bin/sh', ['-c', script, 'postgres-reaper', String(pid), ...temporaryPaths], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
    cwd: '/',
  });
  reaper.on('error', () => undefined);
  reaper.stdin.on('error', () => undefined);
  reaper.unref();
  (reaper.stdin as unknown as { unref(): void }).unref();
  return () => reaper.stdin.end('dismissed\n');
}
