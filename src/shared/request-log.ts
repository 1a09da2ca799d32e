import { randomUUID } from 'node:crypto';
import { type IncomingMessage, type ServerResponse } from 'node:http';
import { type Logger } from './logger.js';

/**
 * One line per request, when it has been answered. Neither headers nor query: tokens and states travel there. A pay link is left out as well. What is logged is fixed, so it
 * is not searched for secrets.
 */
export function requestLog(logger: Logger) {
  const lines = logger.child({}, { redact: [] });
  return (request: IncomingMessage, response: ServerResponse): void => {
    const started = performance.now();
    const { method, url = '' } = request;
    const given = request.headers['x-request-id'];
    const id = typeof given === 'string' && /^[\w.:-]{1,100}$/.test(given) ? given : randomUUID();
    response.setHeader('X-Request-Id', id);
    if (!lines.isLevelEnabled('info')) return;
    response.once('close', () => {
      const mark = url.indexOf('?');
      const path = (mark < 0 ? url : url.slice(0, mark)).replace(/^\/pay\/[^/]+/, '/pay/…');
      const req = { id, method, path };
      const responseTime = Math.round(performance.now() - started);
      const text = response.writableFinished ? 'request completed' : 'request aborted';
      lines.info({ req, res: { status: response.statusCode }, responseTime }, text);
    });
  };
}
