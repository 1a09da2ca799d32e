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
    redact: {
      paths: secrets.flatMap((key) => [key, `*.${key}`, `*.*.${key}`, `*.*.*.${key}`]),
      censor: '[redacted]',
    },
  });
}
