import type Stripe from 'stripe';
import { type Context } from '../context.js';
import { p } from '../params.js';
import { type Resource } from '../resource.js';
import { route } from '../router.js';
import { changeAccount, requireAccount } from './account-state.js';
import { deauthorize } from './accounts.js';
import { ensureBankAccount } from './external-accounts.js';
import { methodTypes } from './payment-intents.js';

/** What a test or a demo does to a connected account from outside. */
export const accountsControl: Resource = {
  routes: [
    /** Finishes onboarding as the hosted page would. */
    route(
      'POST',
      '/_control/accounts/:id/onboard',
      {},
      (ctx, _params, { id }) => completeOnboarding(ctx, id),
      'public',
    ),
    /** What a form may offer: Stripe.js asks for this in a way of its own. */
    route(
      'GET',
      '/_control/accounts/:id/payment_method_types',
      { currency: p.string().required() },
      (ctx, { currency }, { id }) => {
        requireAccount(ctx, id);
        return { data: methodTypes(ctx.on(id), currency) };
      },
      'public',
    ),
    /** Sets what is due, pending or wrong, and restricts. With `current_deadline` the restriction comes when that time is reached. */
    route(
      'POST',
      '/_control/accounts/:id',
      {
        currently_due: p.array(p.string()),
        eventually_due: p.array(p.string()),
        past_due: p.array(p.string()),
        pending_verification: p.array(p.string()),
        errors: p.array(p.any()),
        current_deadline: p.timestamp().clearable(),
        disabled_reason: p.string().clearable(),
        currencies: p.array(p.string()).clearable(),
        capabilities: p.record(p.enum('active', 'inactive', 'pending', 'unrequested')),
      },
      (ctx, params, { id }) =>
        changeAccount(ctx, requireAccount(ctx, id), (state) => {
          if (params.currently_due) [state.extraDue, state.overdue] = [params.currently_due, false];
          if (params.past_due) {
            state.extraDue = [...new Set([...(params.currently_due ?? []), ...params.past_due])];
            state.overdue = params.past_due.length > 0;
          }
          if (params.eventually_due) state.extraEventually = params.eventually_due;
          if (params.pending_verification) state.pendingVerification = params.pending_verification;
          if (params.errors) state.errors = params.errors as Stripe.Account.Requirements.Error[];
          if (params.disabled_reason !== undefined)
            state.disabledReason = params.disabled_reason as Stripe.Account.Requirements.DisabledReason | null;
          if (params.currencies !== undefined) state.currencies = params.currencies;
          if (params.capabilities) Object.assign(state.forced, params.capabilities);
          if (params.current_deadline !== undefined) {
            state.deadline = params.current_deadline;
            ctx.sandbox.scheduler.cancel(id, 'account.deadline');
            if (params.current_deadline !== null) ctx.on(id).schedule(params.current_deadline, 'account.deadline', id);
          }
        }),
      'public',
    ),
    route(
      'POST',
      '/_control/accounts/:id/deauthorize',
      {},
      (ctx, _params, { id }) => {
        deauthorize(ctx, id);
        return { id, deauthorized: true };
      },
      'public',
    ),
  ],
};

/** Everything asked for is provided and verified, a bank account for payouts included. */
export function completeOnboarding(ctx: Context, id: string): Stripe.Account {
  return changeAccount(ctx, requireAccount(ctx, id), (state) => {
    ensureBankAccount(ctx.on(id));
    state.onboarded = true;
    state.extraDue = [];
    state.overdue = false;
    state.deadline = null;
    state.errors = [];
    state.pendingVerification = [];
  });
}
