import { defaultFieldResolver, type GraphQLFieldResolver, type GraphQLSchema, isObjectType } from 'graphql';
import { readModels } from './model.js';
import { keyOf } from './selection.js';

/**
 * Lets the fields of all types with a read model be answered from their rows, in place of the resolvers that were generated for them: a
 * field costs a property access. Every field must be declared, either in the read model or among its `resolved` ones, so that none
 * can go back to the database row by row unnoticed.
 * @throws Error naming the fields that are not
 */
export function attachReads(schema: GraphQLSchema): GraphQLSchema {
  const strays: string[] = [];
  for (const model of readModels().values()) {
    const type = schema.getType(model.name);
    if (!isObjectType(type)) continue;
    for (const field of Object.values(type.getFields())) {
      if (model.fields[field.name])
        field.resolve = field.args.length ? (readWithArguments as typeof defaultFieldResolver) : defaultFieldResolver;
      else if (!model.resolved.includes(field.name)) strays.push(`${model.name}.${field.name}`);
    }
  }
  if (strays.length) throw new Error(`Not in a read model, nor among its resolved fields: ${strays.join(', ')}.`);
  return schema;
}

/** Reads a field with arguments off its row. */
export const readWithArguments: GraphQLFieldResolver<Record<string, unknown>, unknown, Record<string, unknown>> = (
  row,
  args,
  _context,
  info,
) => row[keyOf(info.fieldName, args)];

/** The body of a field resolver that only declares a field and its arguments: the read model answers it. */
export function answeredByReadModel(): never {
  throw new Error('This field is answered by its read model.');
}
