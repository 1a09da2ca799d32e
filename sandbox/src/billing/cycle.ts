import type Stripe from 'stripe';
import { type Context } from '../context.js';
import { idOf } from '../objects.js';
import { draftInvoice } from './bill.js';
import { nextCycle, setPeriod } from './changes.js';
import { cancelSubscription, pauseSubscription } from './ending.js';
import { markUncollectible, planDraft } from './invoice-flow.js';
import { previewOf } from './preview.js';
import { cycleLine } from './prorations.js';
import { changeSubscription, endsWithoutMethod, planCycle, quietly, subscriptionState } from './subscription.js';

type Subscription = Stripe.Subscription;

/**
 * A period ends: the next begins, with a draft that is finalized and collected an hour later; or the subscription ends, or its trial.
 * {@link https://docs.stripe.com/billing/subscriptions/overview#subscription-lifecycle}
 */
export function renew(ctx: Context, subscription: Subscription, at: number): void {
  const state = subscriptionState(ctx, subscription.id);
  if (state.renewAt !== at || !['active', 'trialing', 'past_due', 'unpaid'].includes(subscription.status)) return;
  if (subscription.cancel_at !== null && subscription.cancel_at <= at) return endAtDate(ctx, subscription);
  const trialEnds = subscription.status === 'trialing';
  const instead = trialEnds ? endsWithoutMethod(ctx, subscription) : null;
  if (instead === 'cancel') return void cancelSubscription(ctx, subscription);
  if (instead === 'pause') return void pauseSubscription(ctx, subscription, 'trial_end_without_payment_method');
  const next = nextCycle(subscription)!;
  const [ending] = subscription.items.data.filter((item) => item.current_period_end === at);
  const period = { start: ending?.current_period_start ?? at, end: at };
  let invoice: Stripe.Invoice | undefined;
  changeSubscription(ctx, subscription, () =>
    quietly(ctx, subscription, () => {
      if (trialEnds) subscription.status = 'active';
      for (const item of next.items) {
        const own = subscription.items.data.find(({ id }) => id === item.id)!;
        setPeriod(own, { start: item.current_period_start, end: item.current_period_end });
      }
      invoice = draftInvoice(
        ctx,
        subscription,
        'subscription_cycle',
        next.items.map((item) => cycleLine(ctx, subscription, item)),
        { period, waits: true },
      );
    }),
  );
  planCycle(ctx, subscription);
  open(ctx, subscription, invoice!);
}

/** The renewal's draft starts on its way, unless collection is paused or given up. */
function open(ctx: Context, subscription: Subscription, invoice: Stripe.Invoice): void {
  const paused = subscription.pause_collection?.behavior;
  if (paused !== undefined || subscription.status === 'unpaid') {
    invoice.auto_advance = false;
    invoice.automatically_finalizes_at = null;
    invoice.next_payment_attempt = null;
  }
  ctx.emit('invoice.created', invoice);
  if (paused === 'mark_uncollectible') markUncollectible(ctx, invoice, 'subscription_paused');
  else if (paused === 'void') {
    ctx.change(invoice, 'invoice.updated', () => {
      invoice.status = 'void';
      invoice.status_transitions.voided_at = ctx.now;
    });
    ctx.emit('invoice.voided', invoice);
  } else planDraft(ctx, invoice);
}

/** `cancel_at` has come, be it the end of a period or not. */
export function endAtDate(ctx: Context, subscription: Subscription): void {
  cancelSubscription(ctx, subscription);
}

/** Days before a renewal: what will be billed. It has no id, since there is no such invoice yet. */
export function announce(ctx: Context, subscription: Subscription): void {
  const state = subscriptionState(ctx, subscription.id);
  if (state.renewAt === undefined || state.renewAt === null || state.renewAt < ctx.now || subscription.pause_collection)
    return;
  const next = nextCycle(subscription);
  if (!next || next.at !== state.renewAt) return;
  const customer = ctx.table('customer').get(idOf(subscription.customer));
  if (!customer) return;
  const { id: _id, ...upcoming } = previewOf(ctx, {
    customer,
    subscription,
    at: next.at,
    lines: next.items.map((item) => cycleLine(ctx, subscription, item)),
    withPending: true,
  });
  ctx.emit('invoice.upcoming', upcoming);
}
