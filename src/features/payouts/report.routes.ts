import { pipeline } from 'node:stream/promises';
import { stringify } from 'csv-stringify';
import { type Request, Router } from 'express';
import { type Database } from '../../db/database.js';
import { AppError } from '../../shared/errors.js';
import { type Logger } from '../../shared/logger.js';
import { type Viewer } from '../../shared/viewer.js';
import { Figure, type Report, reports, rowsOf, type Span } from './reports.js';

export interface ReportRouteParts {
  readonly database: Database;
  /** Who sent a request, by its `Authorization` header. @throws AppError UNAUTHENTICATED */
  readonly authenticate: (header: string | undefined) => Promise<Viewer | null>;
  /** What higher features have as CSV, by name. */
  readonly more?: Readonly<Record<string, Report>>;
  readonly logger: Pick<Logger, 'error'>;
}

/**
 * `GET /api/reports/{payments,ledger,payouts}.csv?from=…&to=…` and what is given besides, with the same bearer token as GraphQL. The times are RFC 3339, and both may be left
 * out. The file is written while it is read, so it begins at once and has no limit.
 */
export function reportRoutes({ database, authenticate, more = {}, logger }: ReportRouteParts): Router {
  const router = Router();
  const all = { ...reports, ...more };
  router.get('/api/reports/:file', async (request, response) => {
    try {
      const name = /^([a-z-]+)\.csv$/.exec(request.params.file)?.[1] ?? '';
      const report = Object.hasOwn(all, name) ? all[name] : undefined;
      if (!report) return void response.status(404).json({ error: 'not-found' });
      const viewer = await authenticate(request.headers.authorization);
      if (!viewer) throw new AppError('UNAUTHENTICATED', 'A token is needed: `Authorization: Bearer …`.');
      if (!viewer.tenantId) throw new AppError('FORBIDDEN', 'This is for the people of a tenant.');
      const span = spanOf(request);
      response.type('text/csv; charset=utf-8');
      response.set('Cache-Control', 'private, no-store');
      response.attachment(request.params.file);
      // Payers choose names and descriptions; a spreadsheet would run one that begins like a formula.
      const csv = stringify({
        bom: true,
        header: true,
        columns: [...report.columns],
        escape_formulas: true,
        record_delimiter: 'windows',
        cast: { object: (value) => ({ value: value instanceof Figure ? value.text : '', escape_formulas: false }) },
      });
      await pipeline(rowsOf(database.tenant(viewer.tenantId), report, span), csv, response);
    } catch (error) {
      if (response.headersSent) {
        // What was sent cannot be taken back; a connection that breaks says that the file is not whole.
        response.destroy();
        if ((error as { code?: unknown }).code !== 'ERR_STREAM_PREMATURE_CLOSE')
          logger.error({ err: error }, 'A report broke off');
        return;
      }
      response.removeHeader('Content-Disposition');
      const code = error instanceof AppError ? error.code : 'INTERNAL';
      if (code === 'INTERNAL') logger.error({ err: error }, 'A report could not be written');
      const status = { UNAUTHENTICATED: 401, FORBIDDEN: 403, BAD_USER_INPUT: 400 }[code as string] ?? 500;
      response.status(status).json({ error: error instanceof AppError ? error.message : 'Internal error', code });
    }
  });
  return router;
}

function spanOf({ query }: Request): Span {
  const read = (name: 'from' | 'to'): Date | null => {
    const value = query[name];
    if (value === undefined) return null;
    const isTime = typeof value === 'string' && /^\d{4}-\d{2}-\d{2}(T[\d:.]+(Z|[+-]\d{2}:\d{2}))?$/.test(value);
    const date = new Date(isTime ? value : NaN);
    if (Number.isNaN(date.getTime()))
      throw new AppError('BAD_USER_INPUT', `\`${name}\` is no time as RFC 3339 writes it.`, { field: name });
    return date;
  };
  return { from: read('from'), to: read('to') };
}
