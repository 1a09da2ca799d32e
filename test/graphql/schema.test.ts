import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type GraphQLNamedType, isEnumType, isInputObjectType, isInterfaceType, isObjectType } from 'graphql';
import { emitSchema } from '../../src/graphql/emit-schema.js';
import { createSchema } from '../../src/graphql/schema.js';

const schema = createSchema();
const own = Object.values(schema.getTypeMap()).filter(({ name }) => !name.startsWith('__'));

function elementsOf(type: GraphQLNamedType): [name: string, description: string | null | undefined][] {
  const elements: [string, string | null | undefined][] = [[type.name, type.description]];
  if (isEnumType(type)) {
    for (const value of type.getValues()) elements.push([`${type.name}.${value.name}`, value.description]);
  }
  if (isObjectType(type) || isInterfaceType(type) || isInputObjectType(type)) {
    for (const field of Object.values(type.getFields())) {
      elements.push([`${type.name}.${field.name}`, field.description]);
      if ('args' in field) {
        for (const arg of field.args) elements.push([`${type.name}.${field.name}(${arg.name})`, arg.description]);
      }
    }
  }
  return elements;
}

test('every type, field, argument and value is described', () => {
  const builtIn = new Set(['Query', 'Mutation', 'Subscription']);
  const bare = own.flatMap(elementsOf).filter(([name, description]) => !description?.trim() && !builtIn.has(name));
  expect(bare.map(([name]) => name)).toEqual([]);
});

test('mutations take one input and return a payload of their own, named after them', () => {
  const strays = Object.values(schema.getMutationType()!.getFields()).filter(({ name, args, type }) => {
    const base = name[0]!.toUpperCase() + name.slice(1);
    const takes =
      args.length === 0 ||
      (args.length === 1 && args[0]!.name === 'input' && String(args[0]!.type) === `${base}Input!`);
    return !takes || String(type) !== `${base}Payload!`;
  });
  expect(strays.map(({ name }) => name)).toEqual([]);
});

test('connections have edges, nodes and pageInfo', () => {
  const connections = own.filter(({ name }) => name.endsWith('Connection'));
  expect(connections.length).toBeGreaterThan(3);
  for (const type of connections) {
    if (!isObjectType(type)) throw new Error(type.name);
    expect(Object.keys(type.getFields()).toSorted()).toEqual(['edges', 'nodes', 'pageInfo']);
  }
});

test('values of enumerations are written in capitals', () => {
  const values = own.filter(isEnumType).flatMap((type) => type.getValues().map(({ name }) => name));
  expect(values.filter((name) => !/^[A-Z][A-Z0-9_]*$/.test(name))).toEqual([]);
});

describe('npm run schema', () => {
  let file: string;

  beforeEach(async () => {
    file = join(await mkdtemp(join(tmpdir(), 'schema-')), 'schema.graphql');
  });
  afterEach(() => rm(join(file, '..'), { recursive: true }));

  test('schema.graphql is current', async () => {
    expect(await emitSchema(true)).toBe(0);
  });

  test('a stale file fails the check and is put right by writing it', async () => {
    const said: string[] = [];
    const say = (line: string) => void said.push(line);
    await writeFile(file, 'type Query { old: Int }');
    expect(await emitSchema(true, { file, say })).toBe(1);
    expect(said.join()).toContain('npm run schema');
    expect(await emitSchema(false, { file, say })).toBe(0);
    expect(await emitSchema(true, { file, say })).toBe(0);
    expect(await readFile(file, 'utf8')).toContain('type Query');
  });
});
