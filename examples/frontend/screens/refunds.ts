import { RequestRefused, type Server } from '../client.js';
import { RefundPaymentDocument, RefundScreenDocument } from '../generated/graphql.js';

/** What can still be given back, in minor units. */
export async function refundable(server: Server, paymentId: string): Promise<number> {
  const { payment } = await server.ask(RefundScreenDocument, { paymentId });
  return payment ? payment.amount.amount - payment.refunded.amount : 0;
}

/**
 * @param idempotencyKey made when the dialog opens, not when the button is pressed: a second press is the same refund
 * @returns what to tell the user
 */
export async function refund(
  server: Server,
  paymentId: string,
  amount: number,
  idempotencyKey: string,
): Promise<string> {
  try {
    const { refundPayment } = await server.ask(RefundPaymentDocument, { input: { paymentId, amount, idempotencyKey } });
    return `${refundPayment.payment.refunded.formatted} given back so far.`;
  } catch (error) {
    if (error instanceof RequestRefused && error.code === 'OUTCOME_UNKNOWN')
      return 'It is being found out whether this was done. Press again to see.';
    throw error;
  }
}
