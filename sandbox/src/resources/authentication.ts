import { type Context } from '../context.js';
import { card, escapeHtml } from '../dashboard.js';
import { missing } from '../errors.js';
import { formatMoney } from '../money.js';
import { p } from '../params.js';
import { type Resource } from '../resource.js';
import { html, redirect, route } from '../router.js';
import { authenticate, intentState } from './payment-intent-flow.js';
import { authenticateSetup } from './setup-intents.js';

interface Challenge {
  /** What the page asks the customer to confirm. */
  question: string;
  returnUrl: string | null;
  finish: (result: 'succeed' | 'fail') => void;
  /** Query parameters Stripe adds to the return URL. */
  reply: () => Record<string, string>;
}

function find(ctx: Context, account: string, id: string, token: string): Challenge | null {
  if (!ctx.sandbox.store.get(account)) throw missing('account', account);
  const own = ctx.on(account);
  const { challenge, returnUrl = null } = intentState(own, id);
  if (challenge !== token) return null;
  const payment = own.table('payment_intent').get(id);
  if (payment) {
    return {
      question: `Pay ${formatMoney(payment.amount, payment.currency)}?`,
      returnUrl,
      finish: (result) => void authenticate(own, payment, result),
      reply: () => ({
        payment_intent: id,
        payment_intent_client_secret: payment.client_secret ?? '',
        redirect_status:
          payment.status === 'requires_payment_method'
            ? 'failed'
            : payment.status === 'succeeded'
              ? 'succeeded'
              : 'pending',
      }),
    };
  }
  const setup = own.table('setup_intent').require(id);
  return {
    question: 'Save this payment method for later?',
    returnUrl,
    finish: (result) => void authenticateSetup(own, setup, result),
    reply: () => ({
      setup_intent: id,
      setup_intent_client_secret: setup.client_secret ?? '',
      redirect_status: setup.status === 'succeeded' ? 'succeeded' : 'failed',
    }),
  };
}

const gone = () =>
  html(card('This page has expired', '<p>The authentication was finished or replaced by a newer one.</p>'), 404);

/** The bank's 3-D Secure page: the customer passes or fails. {@link https://docs.stripe.com/payments/3d-secure/authentication-flow} */
export const authentication: Resource = {
  routes: [
    route(
      'GET',
      '/3ds/:account/:intent/:token',
      {},
      (ctx, _params, { account, intent, token }) => {
        const challenge = find(ctx, account, intent, token);
        if (!challenge) return gone();
        return html(
          card(
            '3-D Secure',
            `<p>${escapeHtml(challenge.question)}</p>
            <form method="post"><div class="actions"><button name="result" value="succeed">Complete authentication</button>
            <button class="quiet" name="result" value="fail">Fail authentication</button></div></form>`,
          ),
        );
      },
      'public',
    ),
    route(
      'POST',
      '/3ds/:account/:intent/:token',
      { result: p.enum('succeed', 'fail').required() },
      (ctx, { result }, { account, intent, token }) => {
        const challenge = find(ctx, account, intent, token);
        if (!challenge) return gone();
        challenge.finish(result);
        if (challenge.returnUrl === null) return html(card('3-D Secure', '<p>Done. You can close this window.</p>'));
        const url = new URL(challenge.returnUrl);
        for (const [name, value] of Object.entries(challenge.reply())) url.searchParams.set(name, value);
        return redirect(url.href);
      },
      'public',
    ),
  ],
};
