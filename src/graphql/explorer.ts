import { randomBytes } from 'node:crypto';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import express, { Router } from 'express';

export interface ExplorerSettings {
  /** Where GraphQL is asked, and where the explorer shows to browsers. */
  readonly path: string;
  /** A token to start with. Development only: everybody who opens the page sees it. */
  readonly token?: string | undefined;
}

/** What stands in the editor of a newcomer. */
const firstQuery = `# Ctrl-Enter runs it. The schema is behind "Docs".
{
  viewer { subject role tenant { name } }
  customers(first: 5) { nodes { id name email } pageInfo { hasNextPage endCursor } }
}
`;

/**
 * Altair, for people who would rather look than read: `GET /graphql` in a browser. Everything comes from this server, and the page may talk to
 * nobody else; it works without the internet.
 */
export function explorerRouter({ path, token }: ExplorerSettings): Router {
  const files = `${path}/explorer`;
  const dist = join(dirname(createRequire(import.meta.url).resolve('altair-static')), 'dist');
  const router = Router();

  router.get(path, async (request, response, next) => {
    if (request.accepts(['json', 'html']) !== 'html') return next();
    // Only who opens the explorer pays for it: it takes a while to load.
    const { renderAltair } = await import('altair-static');
    const nonce = randomBytes(16).toString('base64');
    const page = renderAltair({
      baseURL: `${files}/`,
      endpointURL: path,
      initialQuery: firstQuery,
      initialHeaders: token ? { Authorization: `Bearer ${token}` } : {},
      instanceStorageNamespace: 'psa_payments_',
      disableAccount: true,
      cspNonce: nonce,
    });
    response
      .set({ 'Content-Security-Policy': policy(nonce), 'Cache-Control': 'no-store' })
      .type('html')
      .send(named(page, nonce));
  });
  // Its frame for scripts of the user's own is left out: it would need rights that no page here has.
  router.use(`${files}/iframe-sandbox`, (_request, response) => void response.status(404).end());
  router.use(files, express.static(dist, { index: false, immutable: false, maxAge: '1h' }));
  return router;
}

/** Three style elements that Altair 8.5.9 adds without a nonce, the first of them empty. */
const namelessStyles = [
  "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='",
  "'sha256-KEusrVhJr9hIBdaMJvOVaP+WWz8kc3DCY43CCLLIGfY='",
  "'sha256-yk9i/VlAiCewfGAOHBXDc9YkttDeM+lHMEWQuZFElGM='",
];

/** Scripts and styles of ours only; requests to this server only. Styles that the editor sets on single elements cannot carry a nonce. */
function policy(nonce: string): string {
  return [
    "default-src 'none'",
    `script-src 'self' 'nonce-${nonce}'`,
    `style-src 'self' 'nonce-${nonce}' ${namelessStyles.join(' ')}`,
    "style-src-attr 'unsafe-inline'",
    "connect-src 'self'",
    "img-src 'self' data:",
    "font-src 'self' data:",
    "worker-src 'self'",
    "manifest-src 'self'",
    "base-uri 'self'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
}

/** Angular gives the nonce to the styles that it adds, if it is told. */
function named(page: string, nonce: string): string {
  return page
    .replace('<app-root>', `<app-root ngCspNonce="${nonce}">`)
    .replace('<title>Altair', '<title>GraphQL explorer');
}
