import {
  type DocumentNode,
  type FieldNode,
  type FragmentDefinitionNode,
  getArgumentValues,
  getNullableType,
  type GraphQLField,
  type GraphQLObjectType,
  type GraphQLOutputType,
  type GraphQLResolveInfo,
  type GraphQLSchema,
  isLeafType,
  isListType,
  isNonNullType,
  isObjectType,
  Kind,
  type OperationDefinitionNode,
  OperationTypeNode,
} from 'graphql';
import { keyOf, visitFields } from '../../db/reads/selection.js';
import { leafWriter } from './json.js';
import { isPlain } from './plain-fields.js';
import { type Asking, Odd, Program, type Run, type Write } from './program.js';
import { pathOf } from './recording.js';

/** What goes the ordinary way: mutations, introspection, abstract types, resolvers within lists. */
class NotCompiled extends Error {}

/** Where in the answer an object stands, if its fields may have resolvers. */
interface Place {
  readonly askings: Asking[];
  readonly path: GraphQLResolveInfo['path'] | undefined;
}

/**
 * Compiles one operation of a document that was found valid.
 * @param included values of the variables that `@skip` and `@include` look at
 * @returns null for what is not compiled
 */
export function compile(
  schema: GraphQLSchema,
  document: DocumentNode,
  operation: OperationDefinitionNode,
  included: Readonly<Record<string, unknown>>,
): Program | null {
  const query = schema.getQueryType();
  if (operation.operation !== OperationTypeNode.QUERY || !query || operation.directives?.length) return null;
  const fragments: Record<string, FragmentDefinitionNode> = {};
  for (const definition of document.definitions) {
    if (definition.kind === Kind.FRAGMENT_DEFINITION) fragments[definition.name.value] = definition;
  }
  try {
    const askings: Asking[] = [];
    const compiler = new Compiler(schema, operation, fragments, included);
    const write = compiler.object(query, [operation], { askings, path: undefined });
    return new Program(askings, write);
  } catch (error) {
    if (error instanceof NotCompiled) return null;
    throw error;
  }
}

type Source = Readonly<Record<string, unknown>>;

interface Member {
  readonly read: (source: Source, run: Run) => unknown;
  readonly write: Write;
}

function property(field: GraphQLField<unknown, unknown>, node: FieldNode): Member['read'] {
  const { name } = field;
  if (!field.args.length) return (source) => source[name];
  return (source, { variables }) => source[keyOf(name, getArgumentValues(field, node, variables))];
}

type Parent = Pick<FieldNode | OperationDefinitionNode, 'selectionSet'>;

class Compiler {
  constructor(
    readonly schema: GraphQLSchema,
    private readonly operation: OperationDefinitionNode,
    readonly fragments: Readonly<Record<string, FragmentDefinitionNode>>,
    readonly variableValues: Readonly<Record<string, unknown>>,
  ) {}

  /** How an object is written. */
  object(type: GraphQLObjectType, parents: readonly Parent[], place: Place | null): Write {
    if (type.isTypeOf) throw new NotCompiled();
    const parts = [...this.fieldsOf(type, parents)].map(([responseKey, nodes], i) => {
      const prefix = `${i ? ',' : ''}${JSON.stringify(responseKey)}:`;
      return { prefix, ...this.member(type, responseKey, nodes, place) };
    });
    return (source, run) => {
      if (typeof source !== 'object' || source === null || source instanceof Error || source instanceof Promise)
        throw new Odd();
      let text = '{';
      for (const { prefix, read, write } of parts) text += prefix + write(read(source as Source, run), run);
      return `${text}}`;
    };
  }

  private member(
    type: GraphQLObjectType,
    responseKey: string,
    nodes: readonly FieldNode[],
    place: Place | null,
  ): Member {
    const { name } = nodes[0]!;
    const field = type.getFields()[name.value];
    if (!field) {
      if (name.value !== '__typename') throw new NotCompiled();
      const text = JSON.stringify(type.name);
      return { read: () => type.name, write: () => text };
    }
    if (isPlain(field)) return { read: property(field, nodes[0]!), write: this.value(field.type, nodes, null) };
    if (!place) throw new NotCompiled();
    const key = { prev: place.path, key: responseKey, typename: type.name };
    const path = pathOf(key);
    const below: Asking[] = [];
    const write = this.value(field.type, nodes, { askings: below, path: key });
    const { schema, fragments, operation } = this;
    const info = { fieldName: field.name, fieldNodes: nodes, returnType: field.type, parentType: type, path: key, schema, fragments, operation, rootValue: undefined }; // prettier-ignore
    place.askings.push({ path, field, nodes, info, below });
    return { read: (_, { recording }) => recording.value(path), write };
  }

  /** How a value of the type is written. */
  private value(type: GraphQLOutputType, nodes: readonly FieldNode[], place: Place | null): Write {
    const write = this.present(getNullableType(type), nodes, place);
    if (isNonNullType(type)) return write;
    return (value, run) => (value === null || value === undefined ? 'null' : write(value, run));
  }

  /** The same, and odd when it is null. */
  private present(type: GraphQLOutputType, nodes: readonly FieldNode[], place: Place | null): Write {
    if (isObjectType(type)) return this.object(type, nodes, place);
    if (isListType(type)) {
      const write = this.value(type.ofType, nodes, null);
      return (value, run) => {
        if (!Array.isArray(value)) throw new Odd();
        let text = '[';
        for (let i = 0; i < value.length; i += 1) text += (i ? ',' : '') + write(value[i], run);
        return `${text}]`;
      };
    }
    if (!isLeafType(type)) throw new NotCompiled();
    return leafWriter(type);
  }

  /** What is asked of an object, by response key, in the order of the answer. */
  private fieldsOf(type: GraphQLObjectType, parents: readonly Parent[]): Map<string, FieldNode[]> {
    const fields = new Map<string, FieldNode[]>();
    const visited = new Set<string>();
    const add = (node: FieldNode) => {
      const responseKey = node.alias?.value ?? node.name.value;
      const known = fields.get(responseKey);
      if (known) known.push(node);
      else fields.set(responseKey, [node]);
    };
    for (const { selectionSet } of parents) if (selectionSet) visitFields(this, type, selectionSet, add, visited);
    return fields;
  }
}
