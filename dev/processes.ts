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

/** Whether a process is a PostgreSQL server as we start it: process ids are reused, and a stale pid file may name a stranger, who edits `postgres.ts` perhaps. */
export function isPostgres(pid: number): boolean {
  return process.platform === 'win32' || /postgres -D /.test(commandLine(pid));
}

/** The watchman of `startReaper`. */
export interface Reaper {
  /** Tells it which server to end. */
  watch(pid: number): void;
  /** Sends it home, once there is nothing left to do for it. */
  dismiss(): void;
}

/**
 * Leaves a watchman behind that ends PostgreSQL, and deletes what was only meant for this run, when this process dies without
 * having done so itself (`kill -9`, a crash): the end of the pipe between us tells it.
 */
export function startReaper(temporaryPaths: readonly string[]): Reaper {
  if (process.platform === 'win32') return { watch: () => undefined, dismiss: () => undefined };
  const script = `trap '' INT TERM HUP
    pid=
    while read -r word value; do
      case $word in
        watch) pid=$value ;;
        dismiss) exit ;;
      esac
    done
    if [ -n "$pid" ]; then
      kill -INT "$pid" 2>/dev/null
      tries=0
      while kill -0 "$pid" 2>/dev/null && [ $tries -lt 100 ]; do sleep 0.1; tries=$((tries + 1)); done
    fi
    [ $# -eq 0 ] || rm -rf -- "$@"`;
  const reaper = spawn('/bin/sh', ['-c', script, 'postgres-reaper', ...temporaryPaths], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true, // Ctrl-C must not reach it
    cwd: '/',
  });
  const failed = () => undefined; // without it we are no worse off than before
  reaper.on('error', failed);
  reaper.stdin.on('error', failed);
  reaper.unref();
  (reaper.stdin as unknown as { unref(): void }).unref();
  return {
    watch: (pid) => void reaper.stdin.write(`watch ${pid}\n`),
    dismiss: () => void reaper.stdin.end('dismiss\n'),
  };
}
