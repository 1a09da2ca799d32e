import { readFileSync } from 'node:fs';
import { resources } from '../src/resources/index.js';
import { ensureSchemas } from '../tools/schemas.mjs';
import { allowed } from './support/schema-allow.mjs';

interface Bundle {
  routes: Record<string, { params?: { $ref?: string } }>;
  schemas: Record<string, { properties?: Record<string, unknown>; anyOf?: { $ref: string }[] }>;
}

const bundle = JSON.parse(readFileSync(ensureSchemas(), 'utf8')) as Bundle;

/** Names of the parameters that the SDK can send on a route; undefined when it has no such call. */
function known(route: string): Set<string> | undefined {
  const entry = bundle.routes[route];
  if (!entry) return undefined;
  const resolve = (ref?: string): string[] => {
    const schema = ref ? bundle.schemas[ref.slice('#/schemas/'.length)] : undefined;
    return [...Object.keys(schema?.properties ?? {}), ...(schema?.anyOf ?? []).flatMap(({ $ref }) => resolve($ref))];
  };
  return new Set(resolve(entry.params?.$ref));
}

const isAllowed = (on: string, at: string): boolean => allowed.some((entry) => entry.on.test(on) && entry.at.test(at));

const routes = resources
  .flatMap(({ routes }) => routes)
  .filter(({ path }) => /^\/v[12]\//.test(path))
  .map(({ method, path, params }) => ({ on: `${method} ${path.replace(/:\w+/g, '{}')}`, params: Object.keys(params) }));

describe('what the local Stripe declares', () => {
  test('every route is a call that the SDK makes', () => {
    const invented = routes.filter(({ on }) => !known(on) && !isAllowed(on, 'request: the SDK knows no such call'));
    expect(invented.map(({ on }) => on)).toEqual([]);
  });

  test('every parameter is one that the SDK knows for this call', () => {
    const invented = routes.flatMap(({ on, params }) =>
      params
        .filter((name) => known(on)?.has(name) === false && !isAllowed(on, `request /${name}: unknown`))
        .map((name) => `${on} ${name}`),
    );
    expect(invented).toEqual([]);
  });
});
