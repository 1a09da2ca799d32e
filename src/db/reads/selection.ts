import {
  type FieldNode,
  type FragmentDefinitionNode,
  getArgumentValues,
  getDirectiveValues,
  GraphQLIncludeDirective,
  type GraphQLNamedType,
  type GraphQLObjectType,
  type GraphQLResolveInfo,
  type GraphQLSchema,
  GraphQLSkipDirective,
  getNamedType,
  isAbstractType,
  isObjectType,
  Kind,
  type SelectionNode,
  type SelectionSetNode,
  visit,
} from 'graphql';

/** What the selections of one operation are read with. */
export type Asked = Pick<GraphQLResolveInfo, 'schema' | 'fragments' | 'variableValues'>;

/** A field that is asked for, with all selections made of it wherever they stand in the document. */
export interface SelectedField {
  readonly name: string;
  readonly args: Readonly<Record<string, unknown>>;
  /** Where its value is kept in a row. */
  readonly key: string;
  readonly nodes: FieldNode[];
  readonly type: GraphQLNamedType;
}

/**
 * Where a row keeps the value of a field. Two aliases of a field without arguments are the same value; with arguments, the arguments tell
 * them apart. The alias itself plays no part, so a row can be read by field name.
 */
export function keyOf(name: string, args: Readonly<Record<string, unknown>>): string {
  for (const _ in args) return name + JSON.stringify(args);
  return name;
}

/** The fields asked for of `type` by `nodes`: fragments are followed, `@skip` and `@include` obeyed, equal fields merged. */
export function selectedFields(asked: Asked, type: GraphQLObjectType, nodes: readonly FieldNode[]): SelectedField[] {
  const fields = new Map<string, SelectedField>();
  for (const { selectionSet } of nodes) {
    if (selectionSet) visitFields(asked, type, selectionSet, (node) => addField(asked, type, node, fields));
  }
  return [...fields.values()];
}

/** Shows every field that a selection set asks for of `type`, in the order of GraphQL's own CollectFields. */
export function visitFields(
  asked: Asked,
  type: GraphQLObjectType,
  { selections }: SelectionSetNode,
  visitor: (node: FieldNode) => void,
  visited = new Set<string>(),
): void {
  for (const node of selections) {
    if (!isWanted(asked, node)) continue;
    if (node.kind === Kind.FIELD) {
      visitor(node);
      continue;
    }
    if (node.kind === Kind.FRAGMENT_SPREAD) {
      if (visited.has(node.name.value)) continue;
      visited.add(node.name.value);
    }
    const fragment = node.kind === Kind.FRAGMENT_SPREAD ? asked.fragments[node.name.value] : node;
    if (fragment && appliesTo(asked.schema, fragment.typeCondition?.name.value, type)) {
      visitFields(asked, type, fragment.selectionSet, visitor, visited);
    }
  }
}

function addField(asked: Asked, type: GraphQLObjectType, node: FieldNode, fields: Map<string, SelectedField>): void {
  const field = type.getFields()[node.name.value];
  if (!field) return; // __typename
  const args = field.args.length ? getArgumentValues(field, node, asked.variableValues) : {};
  const key = keyOf(field.name, args);
  const known = fields.get(key);
  if (known) known.nodes.push(node);
  else fields.set(key, { name: field.name, args, key, nodes: [node], type: getNamedType(field.type) });
}

function isWanted({ variableValues }: Asked, node: SelectionNode): boolean {
  if (!node.directives?.length) return true;
  if (getDirectiveValues(GraphQLSkipDirective, node, variableValues)?.if === true) return false;
  return getDirectiveValues(GraphQLIncludeDirective, node, variableValues)?.if !== false;
}

function appliesTo(schema: GraphQLSchema, condition: string | undefined, type: GraphQLObjectType): boolean {
  if (condition === undefined || condition === type.name) return true;
  const wanted = schema.getType(condition);
  return isAbstractType(wanted) && schema.isSubType(wanted, type);
}

/** @throws Error when the named type is no object type: a read model cannot answer it */
export function asObjectType(type: GraphQLNamedType): GraphQLObjectType {
  if (!isObjectType(type)) throw new Error(`${type.name} is no object type.`);
  return type;
}

/** The variables that the selections below a field can depend on. Those in its own arguments are not among them. */
export function variablesBelow(
  node: FieldNode,
  fragments: Readonly<Record<string, FragmentDefinitionNode>>,
): readonly string[] {
  const names = new Set<string>();
  const seen = new Set<string>();
  const gather = (root: SelectionSetNode): void => {
    visit(root, {
      Variable: ({ name }) => void names.add(name.value),
      FragmentSpread: ({ name }) => {
        const fragment = fragments[name.value];
        if (!fragment || seen.has(name.value)) return;
        seen.add(name.value);
        gather(fragment.selectionSet);
      },
    });
  };
  if (node.selectionSet) gather(node.selectionSet);
  return [...names];
}
