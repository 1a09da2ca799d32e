import { type Commands } from '../../jobs/commands/commands.js';
import { clientKey } from '../../jobs/commands/kind.js';
import { badInput } from '../../shared/errors.js';
import { type Uuid } from '../../shared/uuid.js';
import { type StripeService } from '../../stripe/stripe.service.js';
import { type AccountId, type PaymentMethodId, type SetupIntentId } from '../../stripe/types.js';
import { attachMethod, createSetup, defaultMethod, detachMethod } from './payment-method.commands.js';

/** What the browser needs to save a method. */
export interface AskedSetup {
  readonly setupIntentId: SetupIntentId;
  readonly stripeAccountId: AccountId;
  readonly publishableKey: string;
  /** Null when this repeats an earlier answer: it is never stored, and {@link PaymentMethodService.clientSecret} asks Stripe for it. */
  readonly clientSecret: string | null;
}

/** Every change here is harmless to repeat, so a key is welcome and not needed. */
interface Keyed {
  readonly idempotencyKey: string | null;
}

/** The cards and bank accounts that a tenant's customers leave with Stripe. */
export class PaymentMethodService {
  constructor(
    private readonly commands: Commands,
    private readonly stripe: StripeService,
    /** The subject of the verified token. */
    private readonly actor: string,
  ) {}

  /**
   * Prepares to save a way to pay without charging it.
   * @throws AppError NOT_FOUND · TENANT_NOT_READY · ACCOUNT_DISCONNECTED; and what {@link Commands.run} throws
   */
  async createSetupIntent({ customerId, ...keyed }: { readonly customerId: number } & Keyed): Promise<AskedSetup> {
    const { outcome, report } = await this.commands.run(createSetup, this.request({ customerId }, keyed));
    return {
      setupIntentId: outcome.setupIntentId as SetupIntentId,
      stripeAccountId: outcome.stripeAccountId as AccountId,
      publishableKey: this.stripe.publishableKey,
      clientSecret: report?.clientSecret ?? null,
    };
  }

  /** What the browser confirms a setup with. @throws StripeFailure */
  async clientSecret({ clientSecret, stripeAccountId, setupIntentId }: AskedSetup): Promise<string | null> {
    if (clientSecret !== null) return clientSecret;
    return (await this.stripe.forAccount(stripeAccountId).retrieveSetupIntent(setupIntentId)).client_secret;
  }

  /**
   * Gives a method that the browser made to a customer.
   * @returns our id of it
   * @throws AppError BAD_USER_INPUT · NOT_FOUND · CARD_DECLINED · TENANT_NOT_READY · ACCOUNT_DISCONNECTED; and what {@link Commands.run} throws
   */
  async attachPaymentMethod(
    request: {
      readonly customerId: number;
      readonly stripePaymentMethodId: string;
      readonly setAsDefault: boolean;
    } & Keyed,
  ): Promise<Uuid> {
    const { customerId, stripePaymentMethodId, setAsDefault } = request;
    if (!isMethodId(stripePaymentMethodId))
      throw badInput('input.stripePaymentMethodId', 'This is not the id of a payment method at Stripe (`pm_…`).');
    const params = { customerId, stripePaymentMethodId, setAsDefault };
    const { outcome } = await this.commands.run(attachMethod, this.request(params, request));
    return outcome.paymentMethodId as Uuid;
  }

  /** Makes a method its customer's default, here and at Stripe. @throws AppError NOT_FOUND · INVALID_STATE; and what {@link Commands.run} throws */
  async setDefaultPaymentMethod({
    paymentMethodId,
    ...keyed
  }: { readonly paymentMethodId: Uuid } & Keyed): Promise<Uuid> {
    await this.commands.run(defaultMethod, this.request({ paymentMethodId }, keyed));
    return paymentMethodId;
  }

  /**
   * Takes a method from its customer for good.
   * @throws AppError NOT_FOUND · INVALID_STATE, also when a running subscription has no other, unless forced; and what {@link Commands.run} throws
   */
  async detachPaymentMethod({
    paymentMethodId,
    force = false,
    ...keyed
  }: { readonly paymentMethodId: Uuid; readonly force?: boolean } & Keyed): Promise<Uuid> {
    await this.commands.run(detachMethod, this.request({ paymentMethodId, force }, keyed));
    return paymentMethodId;
  }

  private request<Params>(params: Params, { idempotencyKey }: Keyed) {
    return { idempotencyKey: idempotencyKey === null ? null : clientKey(idempotencyKey), params, actor: this.actor };
  }
}

function isMethodId(id: string): id is PaymentMethodId {
  return /^(pm|card|src|ba)_[A-Za-z0-9_]{1,200}$/.test(id);
}
