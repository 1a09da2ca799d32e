import { FieldResolver, Resolver } from 'type-graphql';
import { answeredByReadModel } from '../../db/reads/attach.js';
import { extendReads, one } from '../../db/reads/model.js';
import { StripeSubscription } from '../subscriptions/subscription.entity.js';
import { subscriptionReads } from '../subscriptions/subscription.reads.js';
import { PaymentMethod } from './payment-method.entity.js';
import { paymentMethodReads } from './payment-method.reads.js';

// By Stripe's id: a subscription may name a method before we have heard of it.
extendReads(subscriptionReads, {
  defaultPaymentMethod: one(() => paymentMethodReads, { stripe_default_payment_method_id: 'stripe_payment_method_id' }),
});

/** What payment methods add to subscriptions. */
@Resolver(() => StripeSubscription)
export class SubscriptionMethodResolver {
  @FieldResolver(() => PaymentMethod, {
    nullable: true,
    description: "What is charged; null when it is the customer's default, or is not known yet.",
  })
  defaultPaymentMethod(): PaymentMethod | null {
    return answeredByReadModel();
  }
}
