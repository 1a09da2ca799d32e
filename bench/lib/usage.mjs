import { readdirSync, readFileSync } from 'node:fs';

/** Linux counts processor time in hundredths of a second, whatever the kernel's own tick is. */
const tickMicroseconds = 10_000;

/** Processor time in µs that these processes have used so far; NaN where /proc does not tell. */
export function cpuOf(pids) {
  let ticks = 0;
  for (const pid of pids) {
    const stat = statOf(pid);
    if (!stat) return NaN;
    ticks += stat.own;
  }
  return ticks * tickMicroseconds;
}

/** Processor time in µs of PostgreSQL: the postmaster, its children, and those of them that have ended. */
export function cpuOfPostgres(postmaster) {
  const stat = statOf(postmaster);
  if (!stat) return NaN;
  let ticks = stat.own + stat.children;
  for (const pid of childrenOf(postmaster)) ticks += statOf(pid)?.own ?? 0;
  return ticks * tickMicroseconds;
}

/** Resident memory in MB, now and at its highest. */
export function memoryOf(pids) {
  const total = { now: 0, peak: 0 };
  for (const pid of pids) {
    try {
      const status = readFileSync(`/proc/${pid}/status`, 'utf8');
      total.now += Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024;
      total.peak += Number(/VmHWM:\s+(\d+)/.exec(status)?.[1]) / 1024;
    } catch {
      return { now: NaN, peak: NaN };
    }
  }
  return total;
}

function statOf(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name of the program stands in brackets and may contain some; the fields after it are counted from 3.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const [user, system, childUser, childSystem] = fields.slice(11, 15).map(Number);
    return { parent: Number(fields[1]), own: user + system, children: childUser + childSystem };
  } catch {
    return null;
  }
}

function childrenOf(parent) {
  try {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map(Number)
      .filter((pid) => statOf(pid)?.parent === parent);
  } catch {
    return [];
  }
}
