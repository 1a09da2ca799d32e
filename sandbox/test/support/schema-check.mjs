/**
 * Judges recorded traffic of the local Stripe by the types of the installed SDK (see `tools/make-schemas.mjs`).
 *
 * The local Stripe records what passes when it is told to (`onExchange` in process, `--record FILE` as a child); this file reads
 * the record afterwards, so that checking costs the tests themselves nothing. It is plain JavaScript because Jest loads its
 * global teardown without any transform.
 *
 * What is checked of an exchange:
 * - the request, if it was accepted: a refused one may be as wrong as it likes;
 * - the answer, by its route; every event in it also by its type; an error by the SDK's error type;
 * - a path below /v1 or /v2 that was answered although the SDK knows no such call;
 * - a delivered event, by its type.
 */
import { createReadStream, readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Ajv } from 'ajv';
import { ensureSchemas } from '../../tools/schemas.mjs';
import { allowed } from './schema-allow.mjs';

/**
 * @typedef {object} Exchange one request with its answer
 * @property {string} method
 * @property {string} path with or without a query, which is not read
 * @property {unknown} [params] decoded query or body; numbers and booleans may still be text
 * @property {string} [version] the Stripe-Version it was answered in
 * @property {boolean} [publishable] made with a publishable key: the SDK's types do not say what Stripe.js sends and is shown
 * @property {number} status
 * @property {unknown} body decoded answer; text where it was no JSON (an injected fault)
 *
 * @typedef {object} Delivery one payload posted to a webhook endpoint
 * @property {unknown} event
 *
 * @typedef {object} Violation
 * @property {string} on `POST /v1/refunds`, or the type of an event
 * @property {string} at `request /amount: must be number`
 */

const BASE = 'stripe:sdk';

/** Checks one exchange or delivery at a time; compiles the schemas it needs on first need (about a second altogether). */
export class SchemaChecker {
  #ajv = new Ajv({ allErrors: true, strict: false, validateSchema: false, inlineRefs: false, verbose: true });
  #validators = new Map();
  #routes;

  /** @param {string} [file] the bundle; by default the one of the installed SDK, made when there is none yet */
  constructor(file = ensureSchemas()) {
    this.bundle = JSON.parse(readFileSync(file, 'utf8'));
    this.#ajv.addSchema({ ...this.bundle, $id: BASE });
    this.#routes = Object.entries(this.bundle.routes)
      .map(([route, schemas]) => ({ route, schemas, pattern: patternOf(route) }))
      // `/v1/invoices/create_preview` before `/v1/invoices/{}`
      .sort((a, b) => a.route.split('{}').length - b.route.split('{}').length);
  }

  /**
   * @param {Exchange | Delivery} record
   * @returns {Violation[]} empty when all is as Stripe's types say, or allowed in `schema-allow.mjs`
   */
  check(record) {
    const found = 'event' in record ? this.#event(record.event, 'event') : this.#exchange(record);
    return found.filter(({ on, at }) => !allowed.some((entry) => entry.on.test(on) && entry.at.test(at)));
  }

  #exchange({ method, path, params, publishable, status, body }) {
    const [pathname] = path.split('?');
    if (!/^\/v[12]\//.test(pathname)) return []; // control, hosted pages
    const on = `${method} ${pathname}`;
    if (typeof body !== 'object' || body === null) return []; // an injected fault: HTML, or half a body
    if (status >= 400) return this.#error(on, body);
    const known = this.#routes.find(({ pattern }) => pattern.test(on));
    if (!known) return [{ on, at: 'request: the SDK knows no such call' }];
    const { result, params: accepted } = known.schemas;
    // What a browser sees is a part of the object, but of the same object.
    if (publishable)
      return this.#against(result, body, known.route, 'answer').filter(({ at }) => !at.endsWith(': missing'));
    return [
      ...this.#against(accepted ?? NO_PARAMS, params ?? {}, known.route, 'request'),
      ...this.#against(result, body, known.route, 'answer'),
      ...eventsIn(body).flatMap((event) => this.#event(event, 'answer')),
    ];
  }

  #error(on, body) {
    const shape = {
      type: 'object',
      required: ['error'],
      properties: { error: this.bundle.error },
      additionalProperties: false,
    };
    return this.#against(shape, body, on.replace(/(?<=\/)[a-z]+_\w{8,}/g, '{}'), 'error');
  }

  #event(event, side) {
    const on = String(event?.type);
    if (event?.object === 'v2.core.event') {
      // Delivered, it has no data: that is what makes it thin.
      const schema = this.bundle[side === 'event' ? 'notifications' : 'thin'][on];
      return schema
        ? this.#against(schema, event, on, side)
        : [{ on, at: `${side}: the SDK knows no such thin event` }];
    }
    const schema = this.bundle.events[on];
    if (!schema) return [{ on, at: `${side}: the SDK knows no such event` }];
    const { object, previous_attributes: previous = {} } = event.data ?? {};
    // `invoice.upcoming` previews an invoice that does not exist yet: it alone has no id.
    const subject = on === 'invoice.upcoming' ? { id: 'in_upcoming', ...object } : object;
    const known = this.#fieldsOf(schema);
    return [
      ...this.#against(this.bundle.event, event, on, side),
      ...this.#against(schema, subject, on, side, '/data/object'),
      // Nested hashes list only what changed in them, so no schema fits further down than the names.
      ...Object.keys(previous)
        .filter((field) => known && !(field in known))
        .map((field) => ({ on, at: `${side} /data/previous_attributes/${field}: unknown` })),
    ];
  }

  #fieldsOf(schema) {
    const target = schema.$ref ? this.bundle.schemas[schema.$ref.slice('#/schemas/'.length)] : schema;
    return target.additionalProperties === false ? target.properties : undefined;
  }

  #against(schema, value, on, side, prefix = '') {
    const validate = this.#compiled(schema);
    if (validate(value)) return [];
    const found = (validate.errors ?? []).map((error) => describe(error, prefix)).filter(Boolean);
    return [...new Set(found)].map((at) => ({ on, at: `${side} ${at}` }));
  }

  #compiled(schema) {
    const key = JSON.stringify(schema);
    let validate = this.#validators.get(key);
    if (!validate) {
      validate = this.#ajv.compile(JSON.parse(key.replaceAll('"#/schemas/', `"${BASE}#/schemas/`)));
      this.#validators.set(key, validate);
    }
    return validate;
  }
}

const NO_PARAMS = { type: 'object', additionalProperties: false };

function patternOf(route) {
  const escaped = route.replace(/[.*+?^$()|[\]\\]/g, '\\$&').replaceAll('{}', '[^/]+');
  return new RegExp(`^${escaped}$`);
}

/** One line per fault, ids and indexes left out so that the same fault of many objects reads the same. */
function describe({ keyword, instancePath, params, data, message }, prefix) {
  const at = (prefix + instancePath).replace(/\/\d+(?=\/|$)/g, '/*');
  switch (keyword) {
    case 'if': // only says that `then` or `else` failed, and that has its own line
      return undefined;
    case 'additionalProperties':
      return `${at}/${params.additionalProperty}: unknown`;
    case 'required':
      return `${at}/${params.missingProperty}: missing`;
    case 'type':
      return `${at}: must be ${[params.type].flat().join(' or ')}, is ${brief(data)}`;
    case 'const':
      return `${at}: must be ${brief(params.allowedValue)}, is ${brief(data)}`;
    case 'enum':
      return `${at}: ${brief(data)} is none of ${params.allowedValues.slice(0, 8).join(', ')}${params.allowedValues.length > 8 ? ', …' : ''}`;
    default:
      return `${at}: ${message}`;
  }
}

function brief(value) {
  if (value === undefined) return 'absent';
  const text = JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}

function eventsIn(body) {
  const isEvent = (value) => value?.object === 'event' || value?.object === 'v2.core.event';
  if (isEvent(body)) return [body];
  return Array.isArray(body.data) ? body.data.filter(isEvent) : [];
}

/**
 * Reads records (JSON lines, each an Exchange or a Delivery) and sums up what is wrong in them.
 *
 * @param {string} path a file, or a folder of `*.jsonl`
 * @param {SchemaChecker} [checker]
 * @returns {Promise<{ checked: number, routes: Set<string>, faults: Map<string, { count: number, example: object }> }>}
 */
async function checkExchanges(path, checker = new SchemaChecker()) {
  const faults = new Map();
  const routes = new Set();
  let checked = 0;
  for (const file of recordsAt(path)) {
    for await (const line of createInterface({ input: createReadStream(file), crlfDelay: Infinity })) {
      const record = parsed(line);
      if (!record) continue;
      checked++;
      for (const { on, at } of checker.check(record)) {
        const fault = faults.get(`${on} · ${at}`) ?? { count: 0, example: record };
        fault.count++;
        faults.set(`${on} · ${at}`, fault);
      }
      if (record.path)
        routes.add(`${record.method} ${record.path.split('?')[0].replace(/(?<=\/)[a-z]+_\w{8,}/g, '{}')}`);
    }
  }
  return { checked, routes, faults };
}

/**
 * The one call for a test run's teardown: fails with a list of all that is not as Stripe's types say.
 *
 * @param {string} path a file, or a folder of `*.jsonl`; nothing there is nothing wrong
 * @param {SchemaChecker} [checker]
 * @returns {Promise<number>} how many records were checked
 */
export async function assertExchangesValid(path, checker) {
  const { checked, faults } = await checkExchanges(path, checker);
  if (faults.size === 0) return checked;
  const lines = [...faults].map(([fault, { count }]) => `  ${fault}${count > 1 ? `  (${count} times)` : ''}`);
  throw new Error(
    `The local Stripe differs from the SDK's types in ${faults.size} ways (${checked} records):\n${lines.sort().join('\n')}`,
  );
}

function recordsAt(path) {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (!stat) return []; // nothing was recorded: no test of this run used the local Stripe
  if (!stat.isDirectory()) return [path];
  return readdirSync(path)
    .filter((name) => name.endsWith('.jsonl'))
    .map((name) => join(path, name));
}

/** A process that was killed on purpose (crash tests) leaves half a last line. */
function parsed(line) {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
