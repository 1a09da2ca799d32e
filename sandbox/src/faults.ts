import { invalid } from './errors.js';
import { Random } from './random.js';

/**
 * What can go wrong with a request. "before" means without any effect, "after" means that the effect happened and only the answer is lost:
 * the case that tells a careful client from a careless one.
 */
export const faultKinds = [
  '429',
  '429_retry',
  '429_no_retry',
  'lock_timeout',
  '500_before',
  '500_after',
  '409',
  '402',
  '502_html',
  '503',
  'delay',
  'delay_after',
  'reset_before',
  'reset_after',
  'truncate',
] as const;
export type FaultKind = (typeof faultKinds)[number];

export interface Fault {
  id: string;
  kind: FaultKind;
  /** Only requests of this method. */
  method?: string;
  /** Only paths that begin so; `*` stands for one segment, so that `confirm` of any intent can be named. */
  path?: string;
  /** Only requests for this account. */
  account?: string;
  /** How many requests it strikes; null means until removed. */
  times: number | null;
  /** Chance that a matching request is struck. */
  probability: number;
  /** For `delay`, milliseconds. */
  ms: number;
  struck: number;
}

/** Faults in force, set by `POST /_control/faults` or for one request by the header `Stripe-Sandbox-Fault: kind; ms=100; times=1`. */
export class Faults {
  private list: Fault[] = [];
  private random = new Random(1);
  private counter = 0;
  /** Header faults with `times` count per idempotency key, since an SDK repeats the header with each retry. */
  private readonly struckByKey = new Map<string, number>();

  add(fault: Partial<Fault> & { kind: FaultKind }): Fault {
    const added: Fault = { times: 1, probability: 1, ms: 0, ...fault, id: `fault_${++this.counter}`, struck: 0 };
    this.list.push(added);
    return added;
  }

  seed(seed: number): void {
    this.random = new Random(seed);
  }

  all(): Fault[] {
    return this.list;
  }

  clear(): void {
    this.list = [];
    this.struckByKey.clear();
  }

  remove(id: string): boolean {
    const before = this.list.length;
    this.list = this.list.filter((fault) => fault.id !== id);
    return this.list.length < before;
  }

  /** The fault that strikes this request, if any. */
  strike(request: {
    method: string;
    path: string;
    account: string;
    header: string | undefined;
    key: string | null;
  }): Fault | null {
    if (request.header) {
      const fault = this.fromHeader(request.header, request.key);
      if (fault) return fault;
    }
    for (const fault of this.list) {
      if (fault.times !== null && fault.struck >= fault.times) continue;
      if (fault.method && fault.method !== request.method) continue;
      if (fault.account && fault.account !== request.account) continue;
      if (fault.path && !matches(fault.path, request.path)) continue;
      if (fault.probability < 1 && !this.random.chance(fault.probability)) continue;
      fault.struck++;
      return fault;
    }
    return null;
  }

  private fromHeader(header: string, key: string | null): Fault | null {
    const [kind = '', ...rest] = header.split(';').map((part) => part.trim());
    if (!(faultKinds as readonly string[]).includes(kind))
      throw invalid(`Unknown fault '${kind}'. Known: ${faultKinds.join(', ')}`);
    const options = Object.fromEntries(rest.map((part) => part.split('=') as [string, string]));
    const times = options['times'] === undefined ? null : Number(options['times']);
    if (times !== null && key !== null) {
      const struck = this.struckByKey.get(key) ?? 0;
      if (struck >= times) return null;
      this.struckByKey.set(key, struck + 1);
    }
    return { id: 'header', kind: kind as FaultKind, times, probability: 1, ms: Number(options['ms'] ?? 0), struck: 1 };
  }
}

function matches(pattern: string, path: string): boolean {
  const wanted = pattern.split('/');
  const given = path.split('/');
  return wanted.length <= given.length && wanted.every((segment, i) => segment === '*' || segment === given[i]);
}
