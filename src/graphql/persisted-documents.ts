import { readFile } from 'node:fs/promises';
import { type GraphQLSchema, parse, validate } from 'graphql';
import * as z from 'zod';
import { badInput } from '../shared/errors.js';

/** What Apollo's `generate-persisted-query-manifest` writes. */
const manifest = z.object({
  format: z.literal('apollo-persisted-query-manifest'),
  version: z.literal(1),
  operations: z.array(
    z.object({
      id: z.string().min(1),
      name: z.string(),
      type: z.enum(['query', 'mutation', 'subscription']),
      body: z.string(),
    }),
  ),
});

/**
 * The documents of the PSA's own front end, made when that is built. A client sends the id in place of the text, as Apollo Client does with
 * `createPersistedQueryLink`: `{ "extensions": { "persistedQuery": { "version": 1, "sha256Hash": "<id>" } } }`.
 *
 * @see https://www.apollographql.com/docs/react/data/persisted-queries
 */
export class PersistedDocuments {
  private readonly texts: ReadonlySet<string>;

  private constructor(
    private readonly byId: ReadonlyMap<string, string>,
    private readonly isStrict: boolean,
  ) {
    this.texts = new Set(byId.values());
  }

  /**
   * Reads a manifest, and holds it against the schema: a document that could not be answered is found out at the start.
   * @param isStrict whether anything else is refused
   * @throws Error naming the file, and what is wrong with it
   */
  static async read(path: string, isStrict: boolean, schema: GraphQLSchema): Promise<PersistedDocuments> {
    const parsed = manifest.safeParse(parseJson(path, await readFile(path, 'utf8')));
    if (!parsed.success)
      throw new Error(`${path} is no manifest of persisted queries: ${z.prettifyError(parsed.error)}`);
    const byId = new Map<string, string>();
    for (const { id, name, body } of parsed.data.operations) {
      if (byId.has(id)) throw new Error(`${path}: the id ${id} is there twice.`);
      const [problem] = problemsOf(schema, body);
      if (problem) throw new Error(`${path}: ${name} does not fit the schema: ${problem.message}`);
      byId.set(id, body);
    }
    return new PersistedDocuments(byId, isStrict);
  }

  /**
   * Puts the text in place of the id.
   * @param body of a request, as it arrived
   * @throws AppError BAD_USER_INPUT for an unknown id; in strict mode for any text that is not in the manifest
   */
  resolve(body: unknown): unknown {
    if (typeof body !== 'object' || body === null || Array.isArray(body)) return body;
    const { query, extensions, ...rest } = body as { query?: unknown; extensions?: unknown };
    const id = (extensions as { persistedQuery?: { sha256Hash?: unknown } } | null | undefined)?.persistedQuery
      ?.sha256Hash;
    if (query === undefined && typeof id === 'string') {
      const text = this.byId.get(id);
      if (text === undefined) throw badInput('extensions.persistedQuery', 'There is no document of this id.');
      return { ...rest, query: text };
    }
    if (this.isStrict && !(typeof query === 'string' && this.texts.has(query))) {
      throw badInput('query', 'Only persisted documents are answered here.');
    }
    return typeof id === 'string' ? { ...rest, query } : body;
  }
}

function problemsOf(schema: GraphQLSchema, body: string): readonly Error[] {
  try {
    return validate(schema, parse(body));
  } catch (error) {
    return [error as Error];
  }
}

function parseJson(path: string, text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw new Error(`${path} is no JSON.`, { cause: error });
  }
}
