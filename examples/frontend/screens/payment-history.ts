import { type Server } from '../client.js';
import { PaymentChangesDocument, PaymentHistoryDocument, type PaymentRowFragment } from '../generated/graphql.js';

/** The payment history: pages of rows, kept current by what changes. */
export class PaymentHistory {
  readonly rows = new Map<string, PaymentRowFragment>();
  private cursor: string | null = null;
  private stop: (() => void) | null = null;

  constructor(
    private readonly server: Server,
    private readonly changed: () => void,
  ) {}

  /** @returns whether there are more */
  async more(): Promise<boolean> {
    const { payments } = await this.server.ask(PaymentHistoryDocument, { first: 50, after: this.cursor });
    for (const row of payments.nodes) this.rows.set(row.id, row);
    this.cursor = payments.pageInfo.endCursor ?? null;
    this.stop ??= this.server.follow(PaymentChangesDocument, {}, ({ paymentUpdated }) => {
      this.rows.set(paymentUpdated.id, paymentUpdated);
      this.changed();
    });
    this.changed();
    return payments.pageInfo.hasNextPage;
  }

  close(): void {
    this.stop?.();
  }
}
