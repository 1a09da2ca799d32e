import { type Commands } from '../../jobs/commands/commands.js';
import { type AnyCommandKind, clientKey } from '../../jobs/commands/kind.js';
import { badInput } from '../../shared/errors.js';
import { type Uuid } from '../../shared/uuid.js';
import { type StripeService } from '../../stripe/stripe.service.js';
import { type AccountId, type PaymentIntentId } from '../../stripe/types.js';
import { type CreatePayment, createPayment } from './create-payment.js';
import { type CycleIntent, cycleIntent } from './cycle-intent.js';
import { checkDescription, readMetadata } from './payment-input.js';
import { type CancelPayment, cancelPayment, type CapturePayment, capturePayment } from './settle-payment.js';

/** For the recovery of commands that were cut off. */
export const paymentCommands: AnyCommandKind[] = [createPayment, capturePayment, cancelPayment];

export interface CreatePaymentRequest extends Omit<CreatePayment, 'metadata'> {
  readonly idempotencyKey: string;
  readonly metadata: Readonly<Record<string, unknown>> | null;
}

/** A payment that was asked for, and what the browser needs to let the payer confirm it. */
export interface AskedPayment {
  readonly paymentId: Uuid;
  readonly stripePaymentIntentId: PaymentIntentId;
  readonly stripeAccountId: AccountId;
  readonly publishableKey: string;
  /** Null when this repeats an earlier answer: it is never stored, and {@link PaymentService.clientSecret} asks Stripe for it. */
  readonly clientSecret: string | null;
}

/** Takes money from the customers of one tenant, on the tenant's own account. */
export class PaymentService {
  constructor(
    private readonly commands: Commands,
    private readonly stripe: StripeService,
    /** The subject of the verified token. */
    private readonly actor: string,
  ) {}

  /**
   * Asks for money: what is due on an invoice, or any amount.
   * @throws AppError BAD_USER_INPUT · NOT_FOUND · AMOUNT_TOO_LARGE · TENANT_NOT_READY · ACCOUNT_DISCONNECTED · INVALID_STATE, with nothing
   *   written; CARD_DECLINED · PAYMENT_ACTION_REQUIRED, with the payment's id; and what {@link Commands.run} throws
   */
  async createPaymentIntent({ idempotencyKey, ...request }: CreatePaymentRequest): Promise<AskedPayment> {
    const { confirm, offSession, paymentMethodId, description } = request;
    const key = clientKey(idempotencyKey);
    if (confirm && paymentMethodId === null)
      throw badInput('input.paymentMethodId', 'To confirm a payment here, name a saved payment method.');
    if (offSession && !confirm) throw badInput('input.offSession', 'Only a payment that is confirmed here can be.');
    if (description !== null) checkDescription(description, 'input.description');
    const metadata = readMetadata(request.metadata ?? {}, 'input.metadata');
    const { outcome, report } = await this.commands.run(createPayment, {
      idempotencyKey: key,
      params: { ...request, metadata },
      actor: this.actor,
    });
    return {
      paymentId: outcome.paymentId as Uuid,
      stripePaymentIntentId: outcome.stripePaymentIntentId as PaymentIntentId,
      stripeAccountId: outcome.stripeAccountId as AccountId,
      publishableKey: this.stripe.publishableKey,
      clientSecret: report?.clientSecret ?? null,
    };
  }

  /** What the browser confirms a payment with. @throws StripeFailure */
  async clientSecret({ clientSecret, stripeAccountId, stripePaymentIntentId }: AskedPayment): Promise<string | null> {
    if (clientSecret !== null) return clientSecret;
    return (await this.stripe.forAccount(stripeAccountId).retrievePaymentIntent(stripePaymentIntentId)).client_secret;
  }

  /**
   * What the browser pays the invoice of a cycle with: Stripe's own intent of it.
   * @throws AppError as {@link cycleIntent}
   */
  async cycleIntent(
    ...which: [invoiceId: number, amount: number, metadata: Readonly<Record<string, unknown>>]
  ): Promise<CycleIntent & { readonly publishableKey: string }> {
    const [invoiceId, amount, metadata] = which;
    const intent = await cycleIntent(this.commands.db, this.stripe, { invoiceId, amount, metadata });
    return { ...intent, publishableKey: this.stripe.publishableKey };
  }

  /**
   * Takes the money that is held for a payment, or a part of it; the rest is released.
   * @throws AppError NOT_FOUND · INVALID_STATE · BAD_USER_INPUT · AMOUNT_TOO_LARGE; and what {@link Commands.run} throws
   */
  async capturePayment({ idempotencyKey, ...params }: CapturePayment & { idempotencyKey: string }): Promise<Uuid> {
    await this.commands.run(capturePayment, { idempotencyKey: clientKey(idempotencyKey), params, actor: this.actor });
    return params.paymentId;
  }

  /**
   * Gives a payment up, and releases what is held.
   * @throws AppError NOT_FOUND · INVALID_STATE; and what {@link Commands.run} throws
   */
  async cancelPayment({ idempotencyKey, ...params }: CancelPayment & { idempotencyKey: string | null }): Promise<Uuid> {
    const key = idempotencyKey === null ? null : clientKey(idempotencyKey);
    await this.commands.run(cancelPayment, { idempotencyKey: key, params, actor: this.actor });
    return params.paymentId;
  }
}
