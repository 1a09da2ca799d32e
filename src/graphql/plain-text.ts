import { type ASTNode, GraphQLError, GraphQLID, type GraphQLScalarType, GraphQLString } from 'graphql';

/**
 * Lets no NUL character in: PostgreSQL's text cannot hold one, nor can anything that is compared with it. For every argument of text at once, in
 * variables and in documents, so that no resolver has to think of it. The two are the same objects in every schema.
 */
export function refuseNul(): void {
  for (const [scalar, parseValue, parseLiteral] of originals) {
    scalar.parseValue = (value) => withoutNul(parseValue(value));
    scalar.parseLiteral = (node, variables) => withoutNul(parseLiteral(node, variables), node);
  }
}

const originals = [GraphQLString, GraphQLID].map(
  (scalar: GraphQLScalarType<string, string>) =>
    [scalar, scalar.parseValue.bind(scalar), scalar.parseLiteral.bind(scalar)] as const,
);

function withoutNul(text: string, nodes?: ASTNode): string {
  if (text.includes('\0'))
    throw new GraphQLError('Text holds no NUL character.', { nodes, extensions: { code: 'BAD_USER_INPUT' } });
  return text;
}
