import { type FieldNode, getArgumentValues, type GraphQLField, type GraphQLResolveInfo } from 'graphql';
import { Recording } from './recording.js';

/** What one run of a program knows. */
export interface Run {
  readonly context: unknown;
  /** Coerced. */
  readonly variables: Readonly<Record<string, unknown>>;
  readonly recording: Recording;
}

/** Turns a value into JSON. @throws Odd, or what a scalar throws */
export type Write = (value: unknown, run: Run) => string;

/** A value that GraphQL's own execution must judge: a null where none may be, an error among the values, a promise. */
export class Odd extends Error {}

/** A field that somebody has to be asked for. Such fields stand at the root, or below another of them that is a single object. */
export interface Asking {
  readonly path: string;
  readonly field: GraphQLField<unknown, unknown>;
  readonly nodes: readonly FieldNode[];
  readonly info: Omit<GraphQLResolveInfo, 'variableValues'>;
  /** What is asked of its value, once that is there. */
  readonly below: readonly Asking[];
}

export type Outcome = { readonly json: string } | { readonly recording: Recording };

/**
 * One query of one document, compiled: who is asked, and how the answers become JSON. It runs in two steps. First all resolvers are asked,
 * each once, and what they said is recorded. Then it is written, from the rows straight to text. If one failed, or a value is odd, nothing
 * is written: GraphQL's own execution completes the answer from the recording, so nobody is ever asked twice.
 */
export class Program {
  constructor(
    private readonly askings: readonly Asking[],
    private readonly write: Write,
  ) {}

  /** @returns the data as JSON, or what it should be completed from */
  async run(context: unknown, variables: Readonly<Record<string, unknown>>): Promise<Outcome> {
    const recording = new Recording();
    const run = { context, variables, recording };
    await ask(this.askings, undefined, run);
    if (recording.hasFailures) return { recording };
    try {
      return { json: this.write({}, run) };
    } catch {
      return { recording }; // whatever it was: GraphQL's own execution meets it again, and says it properly
    }
  }
}

/** Asks all of them at once, so that what they read travels together. */
async function ask(askings: readonly Asking[], source: unknown, run: Run): Promise<void> {
  await Promise.all(askings.map((asking) => askOne(asking, source, run)));
}

async function askOne({ path, field, nodes, info, below }: Asking, source: unknown, run: Run): Promise<void> {
  const { context, variables, recording } = run;
  try {
    const args = field.args.length ? getArgumentValues(field, nodes[0]!, variables) : {};
    const value: unknown = await field.resolve!(source, args, context, { ...info, variableValues: variables });
    recording.keep(path, value);
    if (below.length && typeof value === 'object' && value !== null && !(value instanceof Error)) {
      await ask(below, value, run);
    }
  } catch (error) {
    recording.fail(path, error);
  }
}
