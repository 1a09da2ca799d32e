import { type Request, type Response, Router } from 'express';
import { rateLimit } from 'express-rate-limit';
import { AppError } from '../../shared/errors.js';
import { type Logger } from '../../shared/logger.js';
import { type LinkState } from './link-state.js';
import { type OnboardingLinks } from './onboarding-links.js';
import { type OnboardingService } from './onboarding.service.js';

export interface OnboardingRouteParts {
  readonly links: OnboardingLinks;
  readonly livemode: boolean;
  /** The service of the tenant that a state names, with nobody's token behind it. */
  readonly serviceOf: (tenantId: LinkState['tenantId']) => OnboardingService;
  readonly logger: Pick<Logger, 'warn' | 'error'>;
  /** Visits per minute and address: 30. Each may cost a call to Stripe. */
  readonly visitsPerMinute?: number;
}

/** What a browser that comes from Stripe is sent on with, added to the PSA's own address. */
type Note = 'link_expired' | 'account_disconnected' | 'try_again';

/**
 * `GET /api/stripe/onboarding-complete` and `GET /api/stripe/onboarding-refresh`: where Stripe sends browsers. They come without a token; the
 * signed state in the address says whose they are. Both only ever answer with a redirect: to the PSA, or into Stripe's form.
 */
export function onboardingRoutes({
  links,
  livemode,
  serviceOf,
  logger,
  visitsPerMinute = 30,
}: OnboardingRouteParts): Router {
  const router = Router();
  router.use(
    ['/api/stripe/onboarding-complete', '/api/stripe/onboarding-refresh'],
    rateLimit({ windowMs: 60_000, limit: visitsPerMinute, standardHeaders: true, legacyHeaders: false }),
  );

  // Coming back does not mean that anything was filled in: what became of it is read from Stripe.
  router.get('/api/stripe/onboarding-complete', async (request, response) => {
    const state = links.read('complete', request.query.state);
    if (!state) return refuse(response);
    if (!state.isExpired && state.livemode === livemode) {
      // The visitor goes on whatever happens here: Stripe's events bring the same news.
      await serviceOf(state.tenantId)
        .syncConnectAccount(state.accountId)
        .catch((error: unknown) => report(error, request, state));
    }
    redirect(response, state.returnUrl);
  });

  router.get('/api/stripe/onboarding-refresh', async (request, response) => {
    const state = links.read('refresh', request.query.state);
    if (!state) return refuse(response);
    if (state.isExpired || state.livemode !== livemode) return redirect(response, noted(state, 'link_expired'));
    try {
      const { url } = await serviceOf(state.tenantId).renewAccountLink(state);
      redirect(response, url);
    } catch (error) {
      report(error, request, state);
      const isGone = error instanceof AppError && error.code === 'ACCOUNT_DISCONNECTED';
      redirect(response, noted(state, isGone ? 'account_disconnected' : 'try_again'));
    }
  });

  function report(error: unknown, request: Request, { tenantId, accountId }: LinkState): void {
    const level = error instanceof AppError ? 'warn' : 'error';
    // The path alone: the state in the query is a way in.
    logger[level]({ err: error, path: request.path, tenantId, accountId }, 'Onboarding could not be followed up');
  }

  return router;
}

function noted({ refreshUrl }: LinkState, note: Note): string {
  const url = new URL(refreshUrl);
  url.searchParams.set('onboarding', note);
  return url.href;
}

function redirect(response: Response, url: string): void {
  // Neither the state nor the link may be kept by a cache, or told to the next page.
  response.set({ 'Cache-Control': 'no-store', 'Referrer-Policy': 'no-referrer' }).redirect(303, url);
}

function refuse(response: Response): void {
  response
    .set({ 'Cache-Control': 'no-store', 'Referrer-Policy': 'no-referrer' })
    .status(400)
    .type('text/plain')
    .send('This address is not valid. Please go back and begin again.\n');
}
