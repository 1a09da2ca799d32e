import { type ApolloServerPlugin, HeaderMap } from '@apollo/server';
import {
  type DocumentNode,
  type FormattedExecutionResult,
  getVariableValues,
  type GraphQLSchema,
  Kind,
  type OperationDefinitionNode,
  visit,
} from 'graphql';
import { compile } from './compile.js';
import { type Program } from './program.js';
import { completeFrom } from './recording.js';

/** Data that has been written already. Apollo passes it on, and `stringifyResult` puts it in place. */
class WrittenData {
  [key: string]: unknown;

  constructor(readonly json: string) {}
}

/** `@skip` and `@include` by variables make several programs of one document. Beyond so many, it goes the ordinary way. */
const maxPrograms = 32;

interface KnownDocument {
  /** Variables that decide what is included. */
  readonly deciding: readonly string[];
  readonly programs: Map<string, Program | null>;
}

/** They live as long as the document in Apollo's store, whose size is bounded. */
const knownOperations = new WeakMap<OperationDefinitionNode, KnownDocument>();

/**
 * Answers queries by compiled programs. Whether a document is compiled is decided before anything of it runs; what is not goes the ordinary way.
 * Parsing, validation with all its limits, and authorization are Apollo's and the resolvers', as ever.
 */
export function compiledQueries<Context extends object>(schema: GraphQLSchema): ApolloServerPlugin<Context> {
  const listener = {
    async responseForOperation({
      document,
      operation,
      request,
      contextValue,
    }: {
      readonly document: DocumentNode;
      /** None when the document has no such operation. */
      readonly operation?: OperationDefinitionNode;
      readonly request: { readonly variables?: Record<string, unknown> };
      readonly contextValue: Context;
    }) {
      if (!operation) return null;
      let variables: Readonly<Record<string, unknown>> = {};
      if (operation.variableDefinitions?.length) {
        const { coerced } = getVariableValues(schema, operation.variableDefinitions, request.variables ?? {});
        if (!coerced) return null;
        variables = coerced;
      }
      const program = programFor(schema, document, operation, variables);
      if (!program) return null;
      const outcome = await program.run(contextValue, variables);
      if ('json' in outcome) {
        const singleResult = { data: new WrittenData(outcome.json) };
        return {
          http: { status: undefined, headers: new HeaderMap() },
          body: { kind: 'single' as const, singleResult },
        };
      }
      completeFrom(outcome.recording, contextValue);
      return null;
    },
  };
  return { requestDidStart: () => Promise.resolve(listener as never) };
}

/** Apollo's setting `stringifyResult`. */
export function stringifyResult(result: FormattedExecutionResult): string {
  if (result.data instanceof WrittenData) return `{"data":${result.data.json}}\n`;
  return `${JSON.stringify(result)}\n`;
}

function programFor(
  schema: GraphQLSchema,
  document: DocumentNode,
  operation: OperationDefinitionNode,
  variables: Readonly<Record<string, unknown>>,
): Program | null {
  let known = knownOperations.get(operation);
  if (!known) knownOperations.set(operation, (known = { deciding: decidingVariables(document), programs: new Map() }));
  const { deciding, programs } = known;
  const key = deciding.map((name) => variables[name]).join();
  const found = programs.get(key);
  if (found !== undefined) return found;
  if (programs.size >= maxPrograms) return null;
  const program = compile(schema, document, operation, variables);
  programs.set(key, program);
  return program;
}

function decidingVariables(document: DocumentNode): string[] {
  const names = new Set<string>();
  visit(document, {
    Directive: ({ arguments: given = [] }) => {
      for (const { value } of given) if (value.kind === Kind.VARIABLE) names.add(value.name.value);
    },
  });
  return [...names].sort();
}
