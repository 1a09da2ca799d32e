import { Agent as HttpAgent, request as httpRequest } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { randomText } from './ids.js';
import { Random } from './random.js';
import { signatureHeader } from './signature.js';

/** Where an event is to be posted. */
export interface Target {
  endpoint: string;
  url: string;
  secrets: string[];
  kind: 'snapshot' | 'thin';
}

interface Attempt {
  /** Milliseconds, the machine's clock. */
  at: number;
  /** HTTP status, or null when there was none. */
  status: number | null;
  error: string | null;
}

export interface Delivery extends Target {
  id: string;
  account: string;
  event: string;
  type: string;
  payload: string;
  state: 'held' | 'pending' | 'sending' | 'succeeded' | 'failed' | 'dropped';
  attempts: Attempt[];
}

/** How deliveries misbehave. Probabilities in [0, 1]; times in milliseconds. */
export interface DeliveryFaults {
  /** Never sent. */
  drop: number;
  /** Sent twice, at the same moment. */
  duplicate: number;
  /** Each first attempt waits a random time up to this. */
  delay_ms: number;
  /** Like delay, but only for a half of the deliveries, so that neighbours change places. */
  reorder_ms: number;
  /** Kept back until released. */
  hold: boolean;
  /** Only these event types; empty means all. */
  types: string[];
  seed: number;
}

export interface DeliveryOptions {
  /** Seconds between attempts. A sandbox of Stripe's tries three times over hours; here the default is seconds. */
  retrySchedule: number[];
  timeoutMs: number;
  concurrency: number;
}

export const defaultDeliveryOptions: DeliveryOptions = {
  retrySchedule: [1, 5, 20],
  timeoutMs: 10_000,
  concurrency: 16,
};
const noFaults: DeliveryFaults = { drop: 0, duplicate: 0, delay_ms: 0, reorder_ms: 0, hold: false, types: [], seed: 1 };
const keptFinished = 2_000;

/**
 * Posts events: at least once, signed anew at each attempt, tried again after anything but a 2xx. Waiting is done on the machine's clock, and signatures
 * carry its time, however far the sandbox's own clock has been advanced: a receiver would refuse a stamp of next year.
 * {@link https://docs.stripe.com/webhooks#behaviors}
 */
export class Deliveries {
  faults: DeliveryFaults = { ...noFaults };
  private random = new Random(1);
  private readonly all = new Map<string, Delivery>();
  private readonly finished: string[] = [];
  private queue: Delivery[] = [];
  private sending = 0;
  private readonly timers = new Set<NodeJS.Timeout>();
  private readonly agents = {
    'http:': new HttpAgent({ keepAlive: true }),
    'https:': new HttpsAgent({ keepAlive: true }),
  };
  private stopped = false;
  private readonly held = new Set<Delivery>();
  private idle: (() => void)[] = [];
  /** Told when an endpoint took an event: `pending_webhooks` goes down. */
  onSucceeded: (delivery: Delivery) => void = () => undefined;

  constructor(readonly options: DeliveryOptions) {}

  enqueue(account: string, event: string, type: string, payload: string, target: Target): void {
    const { faults } = this;
    const applies = faults.types.length === 0 || faults.types.includes(type);
    const copies = applies && this.random.chance(faults.duplicate) ? 2 : 1;
    for (let i = 0; i < copies; i++) {
      const delivery: Delivery = {
        ...target,
        id: `whd_${randomText(16)}`,
        account,
        event,
        type,
        payload,
        state: 'pending',
        attempts: [],
      };
      this.all.set(delivery.id, delivery);
      if (applies && this.random.chance(faults.drop)) this.finish(delivery, 'dropped');
      else if (applies && faults.hold) this.hold(delivery);
      else this.later(delivery, applies ? this.wait() : 0);
    }
  }

  /** Changes the dials that are named; a seed starts the random sequence anew. */
  setFaults(change: Partial<DeliveryFaults>): DeliveryFaults {
    this.faults = { ...this.faults, ...change };
    if (change.seed !== undefined) this.random = new Random(change.seed);
    return this.faults;
  }

  clearFaults(): void {
    this.faults = { ...noFaults };
  }

  /** Lets held deliveries go, oldest first or in the order given. Returns how many. */
  release(ids?: string[]): number {
    const held = ids ? ids.map((id) => this.all.get(id)).filter((d) => d !== undefined) : [...this.all.values()];
    let released = 0;
    for (const delivery of held) {
      if (delivery.state !== 'held') continue;
      delivery.state = 'pending';
      this.held.delete(delivery);
      this.later(delivery, 0);
      released++;
    }
    return released;
  }

  /** Sends a delivery's event once more, whatever became of it: what Stripe's "resend" does. */
  resend(id: string): boolean {
    const delivery = this.all.get(id);
    if (!delivery) return false;
    this.later({ ...delivery, state: 'pending', attempts: [], id: this.remember(delivery) }, 0);
    return true;
  }

  list(filter: { state?: string; type?: string; event?: string; endpoint?: string } = {}): Delivery[] {
    return [...this.all.values()].filter(
      (d) =>
        (!filter.state || d.state === filter.state) &&
        (!filter.type || d.type === filter.type) &&
        (!filter.event || d.event === filter.event) &&
        (!filter.endpoint || d.endpoint === filter.endpoint),
    );
  }

  /** How many are queued, under way or waiting for another try, and how many are held back. */
  undelivered(): { open: number; held: number } {
    const open = this.sending + this.queue.length + this.timers.size;
    return { open, held: this.held.size };
  }

  /** Resolves when nothing is queued, waiting for a retry or under way; held ones do not count. */
  async drained(timeoutMs: number): Promise<boolean> {
    if (this.undelivered().open === 0) return true;
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), timeoutMs);
      this.idle.push(() => {
        clearTimeout(timer);
        resolve(true);
      });
    });
  }

  /** What has not arrived yet, to be kept over a restart. */
  dump(): Delivery[] {
    return this.list().filter((d) => d.state === 'pending' || d.state === 'sending' || d.state === 'held');
  }

  load(deliveries: Delivery[]): void {
    for (const delivery of deliveries) {
      this.all.set(delivery.id, delivery);
      if (delivery.state === 'held') {
        this.held.add(delivery);
        continue;
      }
      delivery.state = 'pending';
      this.later(delivery, 0);
    }
  }

  clear(): void {
    for (const timer of this.timers) clearTimeout(timer);
    this.timers.clear();
    this.queue = [];
    this.all.clear();
    this.held.clear();
    this.finished.length = 0;
    this.wakeIdle();
  }

  stop(): void {
    this.stopped = true;
    this.clear();
    this.agents['http:'].destroy();
    this.agents['https:'].destroy();
  }

  private hold(delivery: Delivery): void {
    delivery.state = 'held';
    this.held.add(delivery);
  }

  private remember(delivery: Delivery): string {
    const copy: Delivery = { ...delivery, id: `whd_${randomText(16)}`, state: 'pending', attempts: [] };
    this.all.set(copy.id, copy);
    return copy.id;
  }

  private wait(): number {
    const { delay_ms: delay, reorder_ms: reorder } = this.faults;
    return (
      (delay > 0 ? this.random.next() * delay : 0) +
      (reorder > 0 && this.random.chance(0.5) ? this.random.next() * reorder : 0)
    );
  }

  private later(delivery: Delivery, ms: number): void {
    if (this.stopped) return;
    const known = this.all.get(delivery.id) ?? delivery;
    if (ms <= 0) {
      this.queue.push(known);
      this.pump();
      return;
    }
    const timer = setTimeout(() => {
      this.timers.delete(timer);
      this.queue.push(known);
      this.pump();
    }, ms);
    this.timers.add(timer);
  }

  private pump(): void {
    while (this.sending < this.options.concurrency && this.queue.length > 0) {
      const batch =
        this.queue.length > 1_000
          ? this.queue.splice(0, this.options.concurrency - this.sending)
          : [this.queue.shift()!];
      for (const delivery of batch) {
        this.sending++;
        delivery.state = 'sending';
        void this.attempt(delivery).then(() => {
          this.sending--;
          this.pump();
          this.wakeIdle();
        });
      }
    }
  }

  private async attempt(delivery: Delivery): Promise<void> {
    const at = Date.now();
    const outcome = await this.post(delivery, Math.floor(at / 1000));
    if (!this.all.has(delivery.id)) return;
    delivery.attempts.push({ at, ...outcome });
    if (outcome.status !== null && outcome.status >= 200 && outcome.status < 300) {
      this.onSucceeded(delivery);
      this.finish(delivery, 'succeeded');
      return;
    }
    const wait = this.options.retrySchedule[delivery.attempts.length - 1];
    if (wait === undefined) this.finish(delivery, 'failed');
    else {
      delivery.state = 'pending';
      this.later(delivery, Math.max(1, wait * 1000));
    }
  }

  private post(delivery: Delivery, timestamp: number): Promise<{ status: number | null; error: string | null }> {
    return new Promise((resolve) => {
      let url: URL;
      try {
        url = new URL(delivery.url);
      } catch {
        resolve({ status: null, error: 'invalid URL' });
        return;
      }
      const secure = url.protocol === 'https:';
      const request = (secure ? httpsRequest : httpRequest)(
        url,
        {
          method: 'POST',
          agent: this.agents[secure ? 'https:' : 'http:'],
          timeout: this.options.timeoutMs,
          headers: {
            'content-type': 'application/json; charset=utf-8',
            'content-length': Buffer.byteLength(delivery.payload),
            'user-agent': 'Stripe/1.0 (+https://stripe.com/docs/webhooks)',
            accept: '*/*; q=0.5, application/xml',
            'cache-control': 'no-cache',
            'stripe-signature': signatureHeader(delivery.payload, delivery.secrets, timestamp),
          },
        },
        (response) => {
          response.resume();
          response.on('end', () => resolve({ status: response.statusCode ?? null, error: null }));
          response.on('error', (error) => resolve({ status: null, error: error.message }));
        },
      );
      request.on('timeout', () => request.destroy(new Error('timed out')));
      request.on('error', (error) => resolve({ status: null, error: error.message }));
      request.end(delivery.payload);
    });
  }

  private finish(delivery: Delivery, state: 'succeeded' | 'failed' | 'dropped'): void {
    delivery.state = state;
    this.finished.push(delivery.id);
    if (this.finished.length > keptFinished) this.all.delete(this.finished.shift()!);
  }

  private wakeIdle(): void {
    if (this.undelivered().open > 0) return;
    for (const wake of this.idle.splice(0)) wake();
  }
}
