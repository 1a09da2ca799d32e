import { defaultFieldResolver, type GraphQLField, type GraphQLSchema, isObjectType } from 'graphql';
import { getMetadataStorage } from 'type-graphql';
import { readWithArguments } from '../../db/reads/attach.js';

/**
 * Lets fields that are no more than a property of their object be read as one. type-graphql gives each a resolver, which costs far more than
 * the property, and hides that there is nothing behind it.
 */
export function plainFields(schema: GraphQLSchema): GraphQLSchema {
  const { objectTypes, fieldResolvers } = getMetadataStorage();
  for (const { name, target, fields = [] } of objectTypes) {
    const type = schema.getType(name);
    if (!isObjectType(type)) continue;
    for (const declared of fields) {
      const field = type.getFields()[declared.schemaName];
      const isGuarded = Boolean(declared.roles ?? declared.middlewares?.length);
      if (!field || field.args.length || isGuarded || declared.name !== declared.schemaName) continue;
      const method = fieldResolvers.some(
        ({ getObjectType, methodName }) =>
          methodName === declared.name && getObjectType?.() === target && !isGetter(target, methodName),
      );
      if (!method) field.resolve = defaultFieldResolver;
    }
  }
  return schema;
}

/** Whether nothing runs for a field but a look at its object. */
export function isPlain(field: GraphQLField<unknown, unknown>): boolean {
  const resolve: unknown = field.resolve;
  return resolve === undefined || resolve === defaultFieldResolver || resolve === readWithArguments;
}

function isGetter(target: { readonly prototype: unknown }, name: string): boolean {
  const declared = Object.getOwnPropertyDescriptor(target.prototype, name);
  return declared !== undefined && 'get' in declared;
}
