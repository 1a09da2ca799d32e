import pg from 'pg';
import { type Logger } from '../shared/logger.js';

/**
 * Hears PostgreSQL's notifications, on a connection of its own that must be direct: behind PgBouncer in transaction mode nothing would arrive. Only
 * makes things quicker: whoever listens also looks by itself from time to time.
 */
export class Listener {
  private client: pg.Client | null = null;
  private retry: NodeJS.Timeout | null = null;
  private pulse: NodeJS.Timeout | null = null;
  private stopped = true;

  /**
   * @param url connection string of the runtime role, past any pooler
   * @param heard also called after each connect, because what was said before that went unheard
   */
  constructor(
    private readonly url: string,
    private readonly channels: readonly string[],
    private readonly heard: (channel: string | null, payload?: string) => void,
    private readonly logger: Logger,
  ) {}

  /** Does not wait for the connection, and goes on trying. */
  start(): void {
    this.stopped = false;
    void this.connect();
  }

  async stop(): Promise<void> {
    this.stopped = true;
    if (this.retry) clearTimeout(this.retry);
    if (this.pulse) clearInterval(this.pulse);
    const { client } = this;
    this.client = null;
    await client?.end().catch(() => undefined);
  }

  private async connect(): Promise<void> {
    const client = new pg.Client({
      connectionString: this.url,
      application_name: 'psa-payments listener',
      connectionTimeoutMillis: 5_000,
      query_timeout: 5_000,
      keepAlive: true,
    });
    const lost = (error?: Error) => {
      if (this.client !== client) return;
      this.client = null;
      if (this.pulse) clearInterval(this.pulse);
      if (this.stopped) return;
      this.logger.warn({ err: error }, 'The listener lost its connection');
      void client.end().catch(() => undefined);
      this.retry = setTimeout(() => void this.connect(), 1_000);
    };
    this.client = client;
    client.on('error', lost);
    client.on('end', () => lost());
    client.on('notification', ({ channel, payload }) => this.heard(channel, payload));
    try {
      await client.connect();
      await client.query(this.channels.map((channel) => `listen ${pg.escapeIdentifier(channel)}`).join(';'));
      if (this.client !== client) return;
      // A connection that died without a word stays silent for ever: that must not pass for quiet.
      this.pulse = setInterval(() => void client.query('select 1').catch(lost), 15_000);
      this.heard(null);
    } catch (error) {
      lost(error as Error);
    }
  }
}
