import { type GraphQLResolveInfo, type GraphQLSchema, isObjectType } from 'graphql';
import { isPlain } from './plain-fields.js';

/** What the resolvers of one request said, by where in the answer they stand. */
export class Recording {
  hasFailures = false;
  private readonly values = new Map<string, unknown>();
  private readonly failures = new Map<string, unknown>();

  keep(path: string, value: unknown): void {
    this.values.set(path, value);
  }

  fail(path: string, error: unknown): void {
    this.hasFailures = true;
    this.failures.set(path, error);
  }

  value(path: string): unknown {
    return this.values.get(path);
  }

  /** Says it again, as the resolver did. */
  replay(path: string): unknown {
    if (this.failures.has(path)) throw this.failures.get(path);
    if (!this.values.has(path)) throw new Error(`Nobody was asked for ${path}.`);
    return this.values.get(path);
  }
}

/** Recordings that GraphQL's own execution is to complete, by the context of their request. */
const toComplete = new WeakMap<object, Recording>();

/** From now on, resolvers that are asked in this context repeat what they said. */
export function completeFrom(recording: Recording, context: object): void {
  toComplete.set(context, recording);
}

/** Lets every resolver be asked only once per request: where there is a recording, it answers. */
export function recordable(schema: GraphQLSchema): GraphQLSchema {
  for (const type of Object.values(schema.getTypeMap())) {
    if (!isObjectType(type) || type.name.startsWith('__')) continue;
    for (const field of Object.values(type.getFields())) {
      const { resolve } = field;
      if (!resolve || isPlain(field)) continue;
      field.resolve = (source, args, context: object, info) => {
        const recording = toComplete.get(context);
        return recording ? recording.replay(pathOf(info.path)) : resolve(source, args, context, info);
      };
    }
  }
  return schema;
}

/** Response keys from the root, joined by points. */
export function pathOf({ prev, key }: GraphQLResolveInfo['path']): string {
  return prev ? `${pathOf(prev)}.${key}` : `${key}`;
}
