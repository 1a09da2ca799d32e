import { type Commands } from '../../jobs/commands/commands.js';
import { type AnyCommandKind, clientKey } from '../../jobs/commands/kind.js';
import { badInput } from '../../shared/errors.js';
import { type Uuid } from '../../shared/uuid.js';
import { type RefundPayment, refundPayment } from './refund-payment.js';
import { RefundReason } from './refund-state.js';

/** For the recovery of commands that were cut off. */
export const refundCommands: AnyCommandKind[] = [refundPayment];

/** What a client asks for; checked as far as that can be done without the database. */
export interface RefundRequest extends Omit<RefundPayment, 'reason'> {
  readonly reason: RefundReason | null;
  readonly idempotencyKey: string;
}

/** Gives money back to the customers of one tenant, from the tenant's own balance. */
export class RefundService {
  constructor(
    private readonly commands: Commands,
    /** The subject of the verified token. */
    private readonly actor: string,
  ) {}

  /**
   * Gives back all that is left of a payment, or a part. The refund may be pending for days, and may fail later: its status says.
   * @throws AppError NOT_FOUND · INVALID_STATE when nothing is left, or the bank has taken it back · BAD_USER_INPUT above what is left ·
   *   ACCOUNT_DISCONNECTED; and what {@link Commands.run} throws
   */
  async refundPayment({
    idempotencyKey,
    reason,
    ...what
  }: RefundRequest): Promise<{ refundId: Uuid; paymentId: Uuid }> {
    const key = clientKey(idempotencyKey);
    if (reason === RefundReason.EXPIRED_UNCAPTURED_CHARGE)
      throw badInput('input.reason', 'This reason is given by Stripe alone.');
    const { outcome } = await this.commands.run(refundPayment, {
      idempotencyKey: key,
      params: { ...what, reason },
      actor: this.actor,
    });
    return { refundId: outcome.refundId as Uuid, paymentId: what.paymentId };
  }
}
