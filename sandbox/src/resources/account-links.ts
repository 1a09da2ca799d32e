import { type Context } from '../context.js';
import { card, escapeHtml } from '../dashboard.js';
import { invalid, missing } from '../errors.js';
import { randomText } from '../ids.js';
import { p } from '../params.js';
import { type Resource } from '../resource.js';
import { html, type RawAnswer, redirect, route } from '../router.js';
import { requireAccount, stateOf } from './account-state.js';
import { completeOnboarding } from './accounts-control.js';

interface Link {
  account: string;
  type: string;
  refreshUrl: string;
  returnUrl: string;
  expiresAt: number;
  /** Opened once; a second visit goes to the refresh URL. */
  used: boolean;
  /** The page was opened under this token and is still being filled in. */
  session: string;
  v2: boolean;
}

/** An account link lives five minutes. {@link https://docs.stripe.com/api/account_links} */
const lifetime = 300;

function newLink(
  ctx: Context,
  link: Pick<Link, 'account' | 'type' | 'refreshUrl' | 'returnUrl' | 'v2'>,
): { url: string; expiresAt: number } {
  const token = randomText(24);
  const expiresAt = ctx.now + lifetime;
  Object.assign(ctx.platform.secret(`link_${token}`), { ...link, expiresAt, used: false, session: '' } satisfies Link);
  return { url: `${ctx.url}/setup/e/${link.account}/${token}`, expiresAt };
}

function checkUrl(value: string | undefined, param: string): string {
  if (value === undefined) throw invalid(`Missing required param: ${param}.`, param, 'parameter_missing');
  if (!/^https?:\/\//.test(value)) throw invalid(`Not a valid URL`, param, 'url_invalid');
  return value;
}

const collection = p.hash({
  fields: p.enum('currently_due', 'eventually_due'),
  future_requirements: p.enum('include', 'omit'),
});
const v2UseCase = p.hash({
  refresh_url: p.string().required(),
  return_url: p.string(),
  collection_options: collection,
});

function linkOf(ctx: Context, account: string, token: string): Link {
  const link = ctx.platform.secret<Link>(`link_${token}`);
  if (link.account !== account) throw missing('account_link', token);
  return link as Link;
}

/** The page itself: one form, so that a browser, or a person, can click through. */
function page(ctx: Context, link: Link, token: string): RawAnswer {
  const account = requireAccount(ctx, link.account);
  const due = account.requirements?.currently_due ?? [];
  const name = stateOf(ctx, account.id).displayName ?? account.business_profile?.name ?? account.id;
  return html(
    card(
      'Connect your account',
      `<p>${escapeHtml(name)} <code class="soft">${escapeHtml(account.id)}</code></p>
      <p>${due.length === 0 ? 'Nothing is missing.' : `Still needed: ${escapeHtml(due.join(', '))}`}</p>
      <form method="post" action="/setup/e/${escapeHtml(account.id)}/${token}">
        <input type="hidden" name="session" value="${link.session}">
        <div class="actions"><button name="result" value="complete">Provide everything and submit</button>
        <button class="quiet" name="result" value="leave">Return without finishing</button></div>
      </form>`,
    ),
  );
}

/** Account links, v1 and v2, and the hosted onboarding they open. {@link https://docs.stripe.com/connect/hosted-onboarding} */
export const accountLinks: Resource = {
  routes: [
    route(
      'POST',
      '/v1/account_links',
      {
        account: p.string().required(),
        type: p.enum('account_onboarding', 'account_update').required(),
        refresh_url: p.string(),
        return_url: p.string(),
        collect: p.enum('currently_due', 'eventually_due'),
        collection_options: collection,
      },
      (ctx, params) => {
        const account = requireAccount(ctx, params.account);
        if (params.type === 'account_update' && account.controller?.requirement_collection !== 'application') {
          throw invalid(
            'You cannot create `account_update` type Account Links for this account; the account updates its information in its Dashboard.',
            'type',
          );
        }
        const { url, expiresAt } = newLink(ctx, {
          account: params.account,
          type: params.type,
          refreshUrl: checkUrl(params.refresh_url, 'refresh_url'),
          returnUrl: checkUrl(params.return_url, 'return_url'),
          v2: false,
        });
        return { object: 'account_link', created: ctx.now, expires_at: expiresAt, url };
      },
    ),
    route(
      'POST',
      '/v2/core/account_links',
      {
        account: p.string().required(),
        use_case: p
          .hash({
            type: p.enum('account_onboarding', 'account_update').required(),
            account_onboarding: v2UseCase,
            account_update: v2UseCase,
          })
          .required(),
      },
      (ctx, { account, use_case: useCase }) => {
        requireAccount(ctx, account);
        const options = useCase[useCase.type];
        if (!options)
          throw invalid(
            `Missing required param: use_case.${useCase.type}.`,
            `use_case.${useCase.type}`,
            'parameter_missing',
          );
        const refreshUrl = checkUrl(options.refresh_url, `use_case.${useCase.type}.refresh_url`);
        const { url, expiresAt } = newLink(ctx, {
          account,
          type: useCase.type,
          refreshUrl,
          returnUrl: options.return_url ?? refreshUrl,
          v2: true,
        });
        return {
          object: 'v2.core.account_link',
          account,
          created: new Date(ctx.now * 1000).toISOString(),
          expires_at: new Date(expiresAt * 1000).toISOString(),
          livemode: false,
          url,
          use_case: useCase,
        };
      },
    ),
    route(
      'GET',
      '/setup/e/:account/:token',
      {},
      (ctx, _params, { account, token }) => {
        const link = linkOf(ctx, account, token);
        if (link.used || link.expiresAt <= ctx.now) return redirect(link.refreshUrl);
        link.used = true;
        link.session = randomText(16);
        return page(ctx, link, token);
      },
      'public',
    ),
    route(
      'POST',
      '/setup/e/:account/:token',
      { session: p.string().required(), result: p.enum('complete', 'leave').required() },
      (ctx, { session, result }, { account, token }) => {
        const link = linkOf(ctx, account, token);
        if (session !== link.session || link.session === '') return redirect(link.refreshUrl);
        link.session = '';
        if (result === 'complete') completeOnboarding(ctx, account);
        if (link.v2) {
          const data = { account_id: account, configurations: ['merchant'], use_case: link.type };
          ctx.sandbox.events.publishThin(
            ctx.on(account),
            'v2.core.account_link.returned',
            { object: 'v2.core.account_link' },
            { data },
          );
        }
        return redirect(link.returnUrl);
      },
      'public',
    ),
    /** What a login link opens. */
    route(
      'GET',
      '/express/:account/:token',
      {},
      (ctx, _params, { account }) =>
        html(card('Express Dashboard', `<p>${escapeHtml(requireAccount(ctx, account).id)}</p>`)),
      'public',
    ),
  ],
};
