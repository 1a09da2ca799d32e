import { unwrapResolverError } from '@apollo/server/errors';
import { type GraphQLFormattedError, GraphQLError, Kind, parse, visit } from 'graphql';
import { isWithoutConnection } from '../db/no-connection.js';
import { AppError, type ErrorCode } from '../shared/errors.js';
import { type Logger } from '../shared/logger.js';

/** What GraphQL and Apollo call the failures of a request, and what we call them. */
const codes: Readonly<Record<string, ErrorCode>> = {
  GRAPHQL_PARSE_FAILED: 'BAD_USER_INPUT',
  GRAPHQL_VALIDATION_FAILED: 'BAD_USER_INPUT',
  OPERATION_RESOLUTION_FAILURE: 'BAD_USER_INPUT',
  PERSISTED_QUERY_NOT_FOUND: 'BAD_USER_INPUT',
  PERSISTED_QUERY_NOT_SUPPORTED: 'BAD_USER_INPUT',
  BAD_REQUEST: 'BAD_USER_INPUT',
  BAD_USER_INPUT: 'BAD_USER_INPUT',
};

/**
 * Decides what a client learns of an error: what was meant for it in full, of anything else nothing but that it happened. That goes to the log,
 * in full.
 */
export function errorFormatter(logger: Logger) {
  return (formatted: GraphQLFormattedError, error: unknown): GraphQLFormattedError => {
    const { message, locations, path } = formatted;
    const place = { ...(locations && { locations }), ...(path && { path }) };
    const thrown = appErrorIn(error);
    if (thrown) return { message: thrown.message, ...place, extensions: { ...thrown.extensions } };
    const code = isTooComplex(error) ? 'QUERY_TOO_COMPLEX' : codeOf(formatted);
    const failure = unwrapResolverError(error);
    if (code === 'INTERNAL' && isWithoutConnection(failure)) {
      logger.warn({ err: failure, path: path?.join('.') }, 'A request had no connection to PostgreSQL');
      return { message: 'The server has too much to do just now. Try again.', ...place, extensions: { code } };
    }
    if (code === 'INTERNAL') {
      logger.error({ err: failure, path: path?.join('.') }, 'A request failed');
      return { message: 'Something went wrong. It has been reported.', ...place, extensions: { code } };
    }
    const field = code === 'BAD_USER_INPUT' ? fieldOf(error) : undefined;
    return { message, ...place, extensions: { ...(field && { field }), code } };
  };
}

function appErrorIn(error: unknown): AppError | null {
  for (let cause = error; cause instanceof Error; cause = (cause as GraphQLError).originalError) {
    if (cause instanceof AppError) return cause;
  }
  return null;
}

function codeOf({ extensions, message, path }: GraphQLFormattedError): ErrorCode {
  // From within a resolver: whatever it calls itself, it was not meant for the client.
  if (path) return 'INTERNAL';
  if (/^Syntax Error: Document contains more that? \d+ tokens/.test(message)) return 'QUERY_TOO_COMPLEX';
  const given = extensions?.code;
  return (typeof given === 'string' && codes[given]) || 'INTERNAL';
}

/** Apollo gives whatever a validation rule reports a code of its own. */
function isTooComplex(error: unknown): boolean {
  const reported = error instanceof GraphQLError ? error.originalError : undefined;
  return reported instanceof GraphQLError && reported.extensions.code === 'QUERY_TOO_COMPLEX' && !reported.path;
}

/** The input at fault, as a path from the arguments: `input.amount`. */
function fieldOf(error: unknown): string | undefined {
  if (!(error instanceof GraphQLError)) return undefined;
  const [, variable, at] = /^Variable "\$(\w+)" (?:got invalid value .* at "([^"]+)"|)/s.exec(error.message) ?? [];
  if (variable) return at ?? variable;
  const node = error.nodes?.[0];
  return node?.loc && error.source ? pathTo(error.source.body, node.loc.start, node.kind) : undefined;
}

/** Where in the arguments a value of the document stands. Only for documents that were refused. */
function pathTo(document: string, start: number, kind: Kind): string | undefined {
  let found: string | undefined;
  try {
    visit(parse(document, { maxTokens: 1_000 }), {
      enter(node, _key, parent, _path, ancestors) {
        if (found !== undefined || node.loc?.start !== start || node.kind !== kind) return;
        const names = [...ancestors, ...(parent ? [parent] : []), node].flatMap((around) =>
          'kind' in around && (around.kind === Kind.ARGUMENT || around.kind === Kind.OBJECT_FIELD)
            ? [around.name.value]
            : [],
        );
        if (names.length) found = names.join('.');
      },
    });
  } catch {
    return undefined;
  }
  return found;
}
