import { Lane, type LaneSettings } from './lane.js';
import { type Scope, type Statement } from './unit.js';

export interface PipelineSettings extends LaneSettings {
  readonly connections: number;
}

/** So many transactions wait for one connection before another is used. It answers them one after the other. */
const mostInLane = 32;

/** Milliseconds without an answer after which what is under way on a connection counts as slow: nothing more is put behind it. */
const slowMs = 10;

/**
 * A few connections on which whole transactions are sent without waiting for answers: one right behind the other, many in one packet.
 * PostgreSQL answers in order. A failure ends with its own transaction; the next one on the same connection does not notice.
 *
 * Only for statements that change nothing: when a connection breaks, what was under way is sent once more on another.
 */
export class Pipeline {
  private readonly lanes = new Set<Lane>();
  private stopped = false;

  constructor(private readonly settings: PipelineSettings) {}

  /** Runs the statements in one read-only transaction. */
  async run(scope: Scope, statements: readonly Statement[]): Promise<void> {
    let waiting = statements;
    for (let tries = 1; waiting.length; tries += 1) {
      try {
        const lane = this.lane();
        if (!lane.isReady && !(await this.isOpened(lane, tries < 3))) continue;
        waiting = await lane.run(scope, waiting, tries < 3);
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
   * @returns false when PostgreSQL let it in and it broke before it could be used: nothing was sent, another may do better
   * @throws what kept it from being opened
   */
  private async isOpened(lane: Lane, mayRepeat: boolean): Promise<boolean> {
    try {
      await lane.ready;
      return true;
    } catch (error) {
      if (lane.wasLetIn && mayRepeat) return false;
      throw error;
    }
  }

  /**
   * The first connection that keeps up, then a new one, and when there may be no more the least busy. What goes by one connection leaves in one write and
   * is answered in few, while node works on the answers before: as many as there may be in turn cost PostgreSQL and node a fifth more.
   */
  private lane(): Lane {
    if (this.stopped) throw new Error('The server is stopping.');
    let best: Lane | null = null;
    let least = Infinity;
    let usable = 0;
    for (const lane of this.lanes) {
      if (!lane.isUsable) continue;
      usable += 1;
      const isSlow = lane.silence >= slowMs;
      if (!isSlow && lane.underWay < mostInLane) return lane;
      // Behind many that are quick rather than behind one that is not.
      const load = isSlow ? lane.underWay * 1_000 : lane.underWay;
      if (load < least) [best, least] = [lane, load];
    }
    if (best && usable >= this.settings.connections) return best;
    const fresh = new Lane(this.settings, (lane) => this.lanes.delete(lane));
    this.lanes.add(fresh);
    return fresh;
  }
}
