import { pino, type Logger } from 'pino';

export type { Logger };

/** Values under these keys never reach a log, whatever is logged around them. */
const secrets = [
  'authorization',
  'cookie',
  'client_secret',
  'clientSecret',
  'email',
  'password',
  'token',
  'secret',
  'apiKey',
];

/** One structured logger for the process; JSON lines on stdout. */
export function createLogger(level: string): Logger {
  return pino({
    level,
    serializers: { err: harmless },
    redact: {
      paths: secrets.flatMap((key) => [key, `*.${key}`, `*.*.${key}`, `*.*.*.${key}`]),
      censor: '[redacted]',
    },
  });
}

/**
 * An error without what PostgreSQL quotes of the row at fault: `detail` and `where` may hold a customer's name or address. What constraint was
 * broken, and where in the code, stays.
 */
function harmless(error: unknown): object {
  if (!(error instanceof Error)) return { message: String(error) };
  const { code, constraint, table, column, cause } = error as Error & Partial<Record<string, unknown>>;
  return {
    type: error.name,
    message: withoutDetail(error.message),
    ...(error.stack && { stack: withoutDetail(error.stack) }),
    ...Object.fromEntries(
      Object.entries({ code, constraint, table, column }).filter(([, value]) => value !== undefined),
    ),
    ...(cause instanceof Error && { cause: harmless(cause) }),
  };
}

/** MikroORM puts PostgreSQL's detail into the message. */
function withoutDetail(text: string): string {
  return text.replace(/\n *- detail:[^\n]*/g, '');
}
