/**
 * Makes JSON Schema out of the installed Stripe SDK's own type declarations, so that the local Stripe is judged by
 * what Stripe publishes and not by what its author remembers.
 *
 * Two sources are joined: the `.js` of each resource class says which method and path a call uses, the `.d.ts` beside it says
 * what goes in and what comes out. The result is one bundle:
 *
 *   version   the API version that the SDK is pinned to
 *   routes    `POST /v1/refunds/{}` → `{ params, result }`, names in `schemas`
 *   events    snapshot event type → schema of its `data.object`
 *   thin, notifications   thin event type → schema of the event as it is fetched, as it is delivered
 *   schemas   name → JSON Schema (they refer to each other by `$ref`)
 *
 * How the types are read:
 * - An object is closed (`additionalProperties: false`): a field or parameter that the SDK does not know is an error.
 * - `OtherString` marks an enum that Stripe may extend. Here it stays closed: the local Stripe has no reason to invent values.
 * - `Decimal` and `bigint` exist in the SDK only; on the wire both are strings.
 * - v1 parameters travel form-encoded, so every leaf may also be its text (`'true'`, `'100'`), and `Emptyable` is `''`.
 * - In API v2 an optional field may also be null.
 * - A resource that the local Stripe does not have is a stub: an object with the right `object`, not looked into. Without
 *   this the bundle is four times as large, nearly all of it for Issuing and Treasury.
 *
 * Use `ensureSchemas()` of `schemas.mjs` to get at the result; run by itself as `make-schemas.mjs FILE`.
 */
import { readFileSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { isTyped } from './served.mjs';
import { objectKind, SchemaWriter } from './schema-writer.mjs';

const require = createRequire(import.meta.url);
// The package exports no package.json, but its entry stands in cjs/ beside esm/.
const sdk = join(dirname(require.resolve('stripe')), '..', 'esm');

/** Reads which HTTP calls the SDK's resource classes make: `Refunds.js#RefundResource.create` → `[['POST', '/v1/refunds']]`. */
function readCalls(file) {
  const source = ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.Latest, false);
  const calls = new Map();
  for (const statement of source.statements) {
    if (!ts.isClassDeclaration(statement)) continue;
    for (const member of statement.members) {
      if (!ts.isMethodDeclaration(member) || !member.body) continue;
      const visit = (node) => {
        if (
          ts.isCallExpression(node) &&
          ts.isPropertyAccessExpression(node.expression) &&
          node.expression.name.text === '_makeRequest'
        ) {
          const path = pathOf(node.arguments[1]);
          if (path) {
            const key = `${statement.name.text}.${member.name.text}`;
            calls.set(key, [...(calls.get(key) ?? []), [node.arguments[0].text, path]]);
          }
        }
        ts.forEachChild(node, visit);
      };
      visit(member.body);
    }
  }
  return calls;
}

function pathOf(node) {
  if (ts.isStringLiteralLike(node)) return node.text;
  if (ts.isTemplateExpression(node))
    return node.head.text + node.templateSpans.map((s) => `{}${s.literal.text}`).join('');
  return undefined; // a url that came with an answer, as for related objects
}

/** @returns every file below `dir` that ends in `suffix` */
function filesBelow(dir, suffix) {
  return readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(suffix))
    .map((entry) => join(entry.parentPath, entry.name));
}

const listOf = (item) => ({
  type: 'object',
  required: ['object', 'data', 'has_more', 'url'],
  properties: {
    object: { const: 'list' },
    data: { type: 'array', items: item },
    has_more: { type: 'boolean' },
    url: { type: 'string' },
  },
  additionalProperties: false,
});
const v2ListOf = (item) => ({
  type: 'object',
  required: ['data', 'next_page_url', 'previous_page_url'],
  properties: {
    data: { type: 'array', items: item },
    next_page_url: { type: ['string', 'null'] },
    previous_page_url: { type: ['string', 'null'] },
  },
  additionalProperties: false,
});
const searchOf = (item) => ({
  type: 'object',
  required: ['object', 'data', 'has_more', 'url'],
  properties: {
    object: { const: 'search_result' },
    data: { type: 'array', items: item },
    has_more: { type: 'boolean' },
    url: { type: 'string' },
    next_page: { type: ['string', 'null'] },
    total_count: { type: 'number' },
  },
  additionalProperties: false,
});

/** @returns {{ sdk: string, version: string, routes: object, events: object, thin: object, notifications: object, schemas: object }} */
export function makeSchemas() {
  const roots = [...filesBelow(join(sdk, 'resources'), '.d.ts'), join(sdk, 'Types.d.ts'), join(sdk, 'apiVersion.d.ts')];
  const program = ts.createProgram(roots, {
    strict: true,
    skipLibCheck: true,
    noEmit: true,
    types: [],
    lib: ['lib.es2020.d.ts'],
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
  });
  const checker = program.getTypeChecker();
  const writer = new SchemaWriter(checker, sdk);
  const moduleOf = (file) => checker.getSymbolAtLocation(program.getSourceFile(file));
  const exported = (file, name) => checker.getExportsOfModule(moduleOf(file)).find((symbol) => symbol.name === name);

  const routes = {};
  for (const file of roots.filter((root) => root.includes(`${sep}resources${sep}`))) {
    const calls = readCalls(file.replace(/\.d\.ts$/, '.js'));
    if (![...calls.values()].flat().some(([, path]) => isTyped(path))) continue;
    for (const statement of program.getSourceFile(file).statements) {
      if (!ts.isClassDeclaration(statement)) continue;
      for (const member of statement.members) {
        if (!ts.isMethodDeclaration(member)) continue;
        for (const [method, path] of calls.get(`${statement.name.text}.${member.name.text}`) ?? []) {
          if (!isTyped(path)) continue;
          const params = member.parameters.find((p) => p.name.getText() === 'params');
          const known = routes[`${method} ${path}`];
          // Overloads repeat the method, and its params stand only in the first.
          if (known && (!params || known.params)) continue;
          const wire = path.startsWith('/v2/') && method === 'POST' ? 'json' : 'form';
          routes[`${method} ${path}`] = {
            ...(params
              ? { params: writer.write(checker.getNonNullableType(checker.getTypeAtLocation(params.type)), wire) }
              : {}),
            result: resultOf(member.type, writer, checker),
          };
        }
      }
    }
  }

  const events = {};
  const eventsFile = join(sdk, 'resources', 'Events.d.ts');
  for (const type of checker.getDeclaredTypeOfSymbol(exported(eventsFile, 'Event')).types) {
    const name = checker.getTypeOfPropertyOfType(type, 'type').value;
    const data = checker.getTypeOfPropertyOfType(type, 'data');
    events[name] = writer.write(checker.getTypeOfPropertyOfType(data, 'object'), 'json');
  }
  // The envelope once, for all event types; what is in `data` is looked up in `events` by the checker.
  const base = writer.write(checker.getDeclaredTypeOfSymbol(exported(eventsFile, 'EventBase')), 'json');
  const envelope = writer.schemas[base.$ref.slice('#/schemas/'.length)];
  envelope.properties.data = {
    type: 'object',
    required: ['object'],
    properties: { object: { type: 'object' }, previous_attributes: { type: 'object' } },
    additionalProperties: false,
  };

  const thin = {};
  const thinFile = join(sdk, 'resources', 'V2', 'Core', 'Events.d.ts');
  const notifications = {};
  for (const [name, into] of Object.entries({ Event: thin, EventNotification: notifications })) {
    for (const type of checker.getDeclaredTypeOfSymbol(exported(thinFile, name)).types) {
      into[checker.getTypeOfPropertyOfType(type, 'type').value] = writer.write(type, 'json');
    }
  }

  const error = writer.write(
    checker.getDeclaredTypeOfSymbol(exported(join(sdk, 'Types.d.ts'), 'StripeRawError')),
    'json',
  );
  // What the SDK adds to an error after it has arrived.
  for (const own of ['headers', 'statusCode', 'requestId', 'detail', 'exception']) {
    delete writer.schemas[error.$ref.slice('#/schemas/'.length)].properties[own];
  }
  const { version: sdkVersion } = JSON.parse(readFileSync(join(sdk, '..', 'package.json'), 'utf8'));
  const version = /ApiVersion = '([^']+)'/.exec(readFileSync(join(sdk, 'apiVersion.js'), 'utf8'))[1];
  return { sdk: sdkVersion, version, routes, events, event: base, thin, notifications, error, schemas: writer.schemas };
}

/** `Promise<Response<Refund>>` → Refund, `ApiListPromise<Refund>` → a list of them. */
function resultOf(node, writer, checker) {
  const name = node.typeName?.getText();
  const inner = node.typeArguments?.[0];
  if (name === 'Promise') return resultOf(inner, writer, checker);
  if (name === 'Response') return resultOf(inner, writer, checker);
  if (name === 'ApiListPromise' || name === 'ApiList') return listOf(eventOr(inner, writer, checker));
  if (name === 'V2ListPromise') return v2ListOf(eventOr(inner, writer, checker));
  if (name === 'ApiSearchResultPromise') return searchOf(eventOr(inner, writer, checker));
  return eventOr(node, writer, checker);
}

/** Events have a hundred shapes, told apart by `type`: here only that they are events, the checker looks up the rest. */
function eventOr(node, writer, checker) {
  const type = checker.getTypeAtLocation(node);
  const kind = type.isUnion() && type.types.length > 50 ? objectKind(type.types[0], checker) : undefined;
  if (kind) return { type: 'object', required: ['object'], properties: { object: { const: kind } } };
  return writer.write(type, 'json');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  // Written aside and renamed: two test runs that start together must not read half a file.
  const file = process.argv[2];
  writeFileSync(`${file}.${process.pid}`, JSON.stringify(makeSchemas()));
  renameSync(`${file}.${process.pid}`, file);
}
