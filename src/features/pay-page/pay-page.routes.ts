import { randomBytes } from 'node:crypto';
import { type Request, type Response, Router } from 'express';
import { rateLimit } from 'express-rate-limit';
import { AppError } from '../../shared/errors.js';
import { type Logger } from '../../shared/logger.js';
import { type Uuid } from '../../shared/uuid.js';
import { notePage, payPage } from './pay-page.html.js';
import { type PayLinks } from './pay-links.js';
import { type PayPageService } from './pay-page.service.js';

export interface PayPageRouteParts {
  readonly links: PayLinks;
  readonly livemode: boolean;
  /** Where the local Stripe is; with Stripe itself, nothing. */
  readonly localStripe: string | undefined;
  readonly publishableKey: string;
  /** The service of the tenant that a link names, with nobody's token behind it. */
  readonly serviceOf: (tenantId: Uuid) => PayPageService;
  readonly logger: Pick<Logger, 'warn' | 'error'>;
  /** Per minute and address: how often the page is loaded, its state asked for, and a payment begun. */
  readonly perMinute?: { readonly loads: number; readonly looks: number; readonly payments: number };
}

const usualRates = { loads: 60, looks: 180, payments: 20 };

/**
 * `GET /pay/:token`: an invoice and its payment, for whoever has the link. `GET …/status` says how it stands, as Stripe's events bring it;
 * `POST …/intent` begins a payment, only when the payer presses the button: looking costs nothing at Stripe.
 */
export function payPageRoutes(parts: PayPageRouteParts): Router {
  const { links, livemode, localStripe, publishableKey, serviceOf, logger, perMinute = usualRates } = parts;
  const router = Router();
  const limited = (limit: number) =>
    rateLimit({ windowMs: 60_000, limit, standardHeaders: true, legacyHeaders: false, message: { state: 'busy' } });

  router.use('/pay', (_request, response, next) => {
    // The address is the way in: no cache keeps it, and no other site is told of it.
    response.set({
      'Cache-Control': 'no-store',
      'Referrer-Policy': 'no-referrer',
      'X-Robots-Tag': 'noindex, nofollow',
      'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
    });
    next();
  });

  router.get('/pay/:token', limited(perMinute.loads), async (request, response) => {
    const nonce = randomBytes(16).toString('base64');
    const send = (status: number, html: string) =>
      void response.set('Content-Security-Policy', policy(nonce, localStripe)).status(status).type('html').send(html);
    const link = linkOf(request);
    if (link?.isExpired) return send(410, notePage('expired', nonce));
    const view = link && (await serviceOf(link.tenantId).view(link.invoiceId));
    if (!view) return send(404, notePage('unknown', nonce));
    send(200, payPage(view, { nonce, localStripe, publishableKey }));
  });

  router.get('/pay/:token/status', limited(perMinute.looks), async (request, response) => {
    const link = linkOf(request);
    if (link?.isExpired) return void response.status(410).json({ state: 'expired' });
    const view = link && (await serviceOf(link.tenantId).view(link.invoiceId));
    if (!view) return void response.status(404).json({ state: 'unknown' });
    const { state, due, dueMinor, reason } = view;
    response.json({ state, due, dueMinor, reason });
  });

  router.post('/pay/:token/intent', limited(perMinute.payments), async (request, response) => {
    const link = linkOf(request);
    if (!link) return void response.status(404).json({ state: 'unknown' });
    if (link.isExpired) return void response.status(410).json({ state: 'expired' });
    try {
      response.json(await serviceOf(link.tenantId).intent(link.invoiceId));
    } catch (error) {
      refuse(error, link, response);
    }
  });

  function linkOf(request: Request) {
    const link = links.read(request.params.token);
    return link && link.livemode === livemode ? link : null;
  }

  /** What is wrong is the tenant's to know; the payer learns whether another try is worth it. */
  function refuse(error: unknown, { tenantId, invoiceId }: { tenantId: Uuid; invoiceId: number }, response: Response) {
    const code = error instanceof AppError ? error.code : 'INTERNAL';
    const level = error instanceof AppError ? 'warn' : 'error';
    if (code !== 'INVALID_STATE')
      logger[level]({ err: error, tenantId, invoiceId }, 'The pay page could not begin a payment');
    if (code === 'INVALID_STATE' || code === 'NOT_FOUND') response.status(409).json({ state: 'changed' });
    else if (code === 'TENANT_NOT_READY' || code === 'ACCOUNT_DISCONNECTED')
      response.status(409).json({ state: 'not-ready' });
    else response.status(503).json({ state: 'busy' });
  }

  return router;
}

/**
 * Only what the page itself brings; with Stripe, also what Stripe.js needs. https://docs.stripe.com/security/guide#content-security-policy
 */
function policy(nonce: string, localStripe: string | undefined): string {
  const stripe = 'https://js.stripe.com https://*.js.stripe.com';
  return [
    "default-src 'none'",
    `script-src 'nonce-${nonce}'${localStripe ? '' : ` ${stripe}`}`,
    `style-src 'nonce-${nonce}'`,
    `connect-src 'self' ${localStripe ? new URL(localStripe).origin : 'https://api.stripe.com'}`,
    ...(localStripe ? [] : [`frame-src ${stripe} https://hooks.stripe.com`]),
    `img-src data:${localStripe ? '' : ' https://*.stripe.com'}`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
}
