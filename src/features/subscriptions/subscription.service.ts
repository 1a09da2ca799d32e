import { type Commands } from '../../jobs/commands/commands.js';
import { type AnyCommandKind, type CommandKind, clientKey } from '../../jobs/commands/kind.js';
import { AppError, badInput, notFound } from '../../shared/errors.js';
import { type Uuid } from '../../shared/uuid.js';
import { invoiceReport, type InvoiceReport } from '../../stripe/billing-reports.js';
import { type StripeService } from '../../stripe/stripe.service.js';
import { type AccountId, type ProductId, type SubscriptionId } from '../../stripe/types.js';
import { knownStripeCustomer } from '../customers/stripe-customer.js';
import { connectedAccount } from '../onboarding/connected-account.js';
import {
  cancelSubscription,
  type CancelSubscription,
  pauseSubscription,
  type PauseSubscription,
  planChange,
  resumeSubscription,
  type ResumeSubscription,
  updateSubscription,
  type UpdateSubscription,
} from './change-subscription.js';
import {
  type Confirmation,
  confirmationOf,
  createSubscription,
  type CreateSubscription,
} from './create-subscription.js';
import { createStripePrice, knownProduct } from './stripe-price.js';
import { StripeSubscription } from './subscription.entity.js';
import { stripeIntervalOf } from './subscription-state.js';

/** For the recovery of commands that were cut off. */
export const subscriptionCommands: AnyCommandKind[] = [
  createStripePrice,
  createSubscription,
  updateSubscription,
  cancelSubscription,
  pauseSubscription,
  resumeSubscription,
];

/** A subscription that was asked for, and what the browser needs to let the payer confirm it. */
export interface AskedSubscription {
  readonly subscriptionId: Uuid;
  readonly stripeSubscriptionId: SubscriptionId;
  readonly stripeAccountId: AccountId;
  readonly publishableKey: string;
  /** Undefined when this repeats an earlier answer: it is never stored, and {@link SubscriptionService.confirmation} asks Stripe for it. */
  readonly confirmation: Confirmation | null | undefined;
}

type Keyed<T, Key extends string | null = string | null> = T & { readonly idempotencyKey: Key };

/** Bills the contracts of one tenant through Stripe, on the tenant's own account. */
export class SubscriptionService {
  constructor(
    private readonly commands: Commands,
    private readonly stripe: StripeService,
    /** The subject of the verified token. */
    private readonly actor: string,
  ) {}

  /**
   * Bills a contract from now on, or from its later start.
   * @throws AppError BAD_USER_INPUT · NOT_FOUND · TENANT_NOT_READY · ACCOUNT_DISCONNECTED · INVALID_STATE for a contract that is not active,
   *   has ended or has a subscription · CONFLICT while one is being made; and what {@link Commands.run} throws
   */
  async createSubscription({
    idempotencyKey,
    ...params
  }: Keyed<CreateSubscription, string>): Promise<AskedSubscription> {
    const request = { idempotencyKey: clientKey(idempotencyKey), params, actor: this.actor };
    const { outcome, report } = await this.commands.run(createSubscription, request);
    return {
      subscriptionId: outcome.subscriptionId as Uuid,
      stripeSubscriptionId: outcome.stripeSubscriptionId as SubscriptionId,
      stripeAccountId: outcome.stripeAccountId as AccountId,
      publishableKey: this.stripe.publishableKey,
      confirmation: report ? report.confirmation : undefined,
    };
  }

  /** What the payer must confirm, and with what; null when there is nothing. @throws StripeFailure */
  async confirmation({
    confirmation,
    stripeAccountId,
    stripeSubscriptionId,
  }: AskedSubscription): Promise<Confirmation | null> {
    if (confirmation !== undefined) return confirmation;
    return confirmationOf(await this.stripe.forAccount(stripeAccountId).retrieveSubscription(stripeSubscriptionId));
  }

  /**
   * Other seats, or another price.
   * @throws AppError NOT_FOUND · BAD_USER_INPUT · INVALID_STATE · CONFLICT; and what {@link Commands.run} throws
   */
  updateSubscription(request: Keyed<UpdateSubscription, string>): Promise<Uuid> {
    return this.change(updateSubscription, request);
  }

  /**
   * What {@link updateSubscription} would make of the next invoice. Nothing is changed.
   * @throws AppError as there; and StripeFailure
   */
  async preview(input: UpdateSubscription): Promise<InvoiceReport> {
    const { subscription, change, customerId, productId } = await this.commands.db.transaction(async (em) => {
      const subscription = await em.findOne(StripeSubscription, { id: input.id });
      if (!subscription) throw notFound('subscription', 'input.id');
      const { stripeAccountId: accountId } = subscription;
      const config = await connectedAccount(em);
      if (config.stripeAccountId !== accountId)
        throw new AppError('ACCOUNT_DISCONNECTED', 'The subscription is on an account that is disconnected.');
      const change = planChange(input, subscription);
      const productId = change.price && (await knownProduct(em, change.price));
      return {
        ...{ subscription, change, productId },
        customerId: await knownStripeCustomer(em, subscription.customerId, accountId),
      };
    });
    const { price, quantity, itemId, prorate, prorationDate } = change;
    const newPrice = price && {
      productId: productId as ProductId,
      unitAmount: price.unitAmount,
      currency: price.currency,
      ...stripeIntervalOf(price.interval),
    };
    const invoice = await this.stripe.forAccount(subscription.stripeAccountId).previewInvoice({
      ...{ itemId, prorate, customerId: customerId!, subscriptionId: subscription.stripeSubscriptionId },
      ...(quantity !== null && { quantity }),
      ...(newPrice && { newPrice }),
      ...(prorationDate !== null && { prorationDate: new Date(prorationDate) }),
    });
    return invoiceReport(invoice);
  }

  /**
   * Lets a subscription end with its period, or ends it now, or takes back that it will end.
   * @throws AppError NOT_FOUND · BAD_USER_INPUT · INVALID_STATE · CONFLICT; and what {@link Commands.run} throws
   */
  async cancelSubscription(request: Keyed<CancelSubscription>): Promise<Uuid> {
    if (request.prorate && (request.atPeriodEnd || request.undo))
      throw badInput('input.prorate', 'Only what ends now leaves time to give back: with `atPeriodEnd: false`.');
    return this.change(cancelSubscription, request);
  }

  /**
   * Stops collecting for a while, or stops the subscription itself.
   * @throws AppError NOT_FOUND · BAD_USER_INPUT · INVALID_STATE · CONFLICT; and what {@link Commands.run} throws
   */
  pauseSubscription(request: Keyed<PauseSubscription>): Promise<Uuid> {
    return this.change(pauseSubscription, request);
  }

  /**
   * Collects again, or begins again.
   * @throws AppError NOT_FOUND · INVALID_STATE · CONFLICT; and what {@link Commands.run} throws
   */
  resumeSubscription(request: Keyed<ResumeSubscription>): Promise<Uuid> {
    return this.change(resumeSubscription, request);
  }

  private async change<Params extends { readonly id: Uuid }, Plan extends object, Report>(
    kind: CommandKind<Params, Plan, Report>,
    { idempotencyKey, ...params }: Keyed<Params>,
  ): Promise<Uuid> {
    const key = idempotencyKey === null ? null : clientKey(idempotencyKey);
    await this.commands.run(kind, { idempotencyKey: key, params: params as unknown as Params, actor: this.actor });
    return (params as unknown as Params).id;
  }
}
