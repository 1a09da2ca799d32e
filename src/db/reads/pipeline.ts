import { Lane, type LaneSettings } from './lane.js';
import { type Scope, type Statement } from './unit.js';

export interface PipelineSettings extends LaneSettings {
  readonly connections: number;
}

/** Milliseconds: who would probably wait for longer goes by another connection. */
const patienceMs = 10;

/** After a connection that could not be made, none is tried for so many milliseconds while there are others. */
const pauseMs = 1_000;

/**
 * A few connections on which whole transactions are sent without waiting for answers: one right behind the other, many in one packet.
 * PostgreSQL answers in order. A failure ends with its own transaction; the next one on the same connection does not notice.
 *
 * Only for statements that change nothing: when a connection breaks, what was under way is sent once more on another.
 */
export class Pipeline {
  private readonly lanes = new Set<Lane>();
  private stopped = false;
  private opening: Lane | null = null;
  private notBefore = 0;

  constructor(private readonly settings: PipelineSettings) {}

  /** Runs the statements in one read-only transaction. */
  async run(scope: Scope, statements: readonly Statement[]): Promise<void> {
    let waiting = statements;
    for (let tries = 1; waiting.length; tries += 1) {
      try {
        waiting = await this.lane(tries > 1).run(scope, waiting, tries < 3);
      } catch (error) {
        return waiting.forEach(({ reject }) => reject(error as Error));
      }
    }
  }

  async stop(): Promise<void> {
    this.stopped = true;
    await Promise.all([...this.lanes].map((lane) => lane.close()));
  }

  /**
   * The first connection that keeps up, else the least busy, while another is opened. What goes by one connection leaves in one write and is answered in
   * few, while node works on the answers before: spread over four, the same requests cost node and PostgreSQL a tenth more, and each waits for the other.
   * @param isRepeated what broke a connection must not take all that waited there to the next one
   */
  private lane(isRepeated: boolean): Lane {
    if (this.stopped) throw new Error('The server is stopping.');
    let best: Lane | null = null;
    for (const lane of this.lanes) {
      if (!lane.isUsable || !lane.isReady) continue;
      if (!isRepeated && lane.wait < patienceMs) {
        // One more stands by: for what is slow, and for the day that this one is replaced.
        if (this.lanes.size === 1) this.open();
        return lane;
      }
      if (!best || (isRepeated ? lane.underWay < best.underWay : lane.wait < best.wait)) best = lane;
    }
    if (!best) this.notBefore = 0;
    const opening = this.open();
    if (best) return best;
    // All that there may be are being replaced: theirs is the shortest way to an answer.
    return opening ?? this.anyLane();
  }

  private anyLane(): Lane {
    for (const lane of this.lanes) if (lane.isUsable) return lane;
    return this.add();
  }

  /** Opens one more connection, unless one is being opened, or there are as many as there may be. */
  private open(): Lane | null {
    if (this.opening || this.lanes.size >= this.settings.connections || performance.now() < this.notBefore)
      return this.opening;
    const lane = (this.opening = this.add());
    const done = () => (this.opening = null);
    lane.ready.then(done, () => {
      done();
      this.notBefore = performance.now() + pauseMs;
    });
    return lane;
  }

  private add(): Lane {
    const lane = new Lane(this.settings, (gone) => this.lanes.delete(gone));
    this.lanes.add(lane);
    return lane;
  }
}
