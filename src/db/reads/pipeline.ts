import { Lane, type LaneSettings } from './lane.js';
import { type Scope, type Statement } from './unit.js';

export interface PipelineSettings extends LaneSettings {
  readonly connections: number;
}

/** So many requests of one turn of the event loop leave in one write. One connection answers them one after the other. */
const maxTogether = 4;

/**
 * A few connections on which whole transactions are sent without waiting for answers: one right behind the other, many in one packet.
 * PostgreSQL answers in order. A failure ends with its own transaction; the next one on the same connection does not notice.
 *
 * Only for statements that change nothing: when a connection breaks, what was under way is sent once more on another.
 */
export class Pipeline {
  private readonly lanes = new Set<Lane>();
  private stopped = false;
  /** Where the last request went. */
  private current: Lane | null = null;

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

  /** What others of this turn go by, or else the least busy connection, or a new one while there may be more. */
  private lane(): Lane {
    if (this.stopped) throw new Error('The server is stopping.');
    const { current } = this;
    // Each write costs node as much as all of a request's own code: better one of many requests than many of one.
    if (current?.isUsable && current.gathered > 0 && current.gathered < maxTogether) return current;
    return (this.current = this.leastBusy());
  }

  private leastBusy(): Lane {
    let best: Lane | null = null;
    let usable = 0;
    for (const lane of this.lanes) {
      if (!lane.isUsable) continue;
      usable += 1;
      if (!best || lane.underWay < best.underWay) best = lane;
    }
    if (best && (best.underWay === 0 || usable >= this.settings.connections)) return best;
    const fresh = new Lane(this.settings, (lane) => this.lanes.delete(lane));
    this.lanes.add(fresh);
    return fresh;
  }
}
