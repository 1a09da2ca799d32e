import { ApolloArmor } from '@escape.tech/graphql-armor';
import { GraphQLError, type ValidationContext, type ValidationRule } from 'graphql';

/** Tokens a document may have. graphql-armor's own limit answers with a 500. */
export const maxTokens = 1_000;

/**
 * What a document may ask for, judged before anything is executed. How many rows it may fetch is judged later, where the arguments are known:
 * see db/reads.
 */
export function limitRules(): ValidationRule[] {
  const limit = {
    propagateOnRejection: false,
    onReject: [
      (context: ValidationContext | null, { message }: GraphQLError) => {
        const text = message.replace(/^Syntax Error: /, '');
        context?.reportError(new GraphQLError(text, { extensions: { code: 'QUERY_TOO_COMPLEX' } }));
      },
    ],
  };
  return new ApolloArmor({
    maxAliases: { n: 15, allowList: [], ...limit },
    maxDirectives: { n: 8, ...limit },
    maxDepth: { n: 10, ...limit },
    costLimit: { maxCost: 100_000, ...limit },
    maxTokens: { enabled: false },
    blockFieldSuggestion: { enabled: false },
  }).protect().validationRules;
}
