import { relative, sep } from 'node:path';
import ts from 'typescript';

/** Families that no answer of the local Stripe ever contains in full; see "stub" above. */
const STUBBED =
  /^(issuing|treasury|climate|identity|terminal|radar|reporting|sigma|tax\.|financial_connections|forwarding|capital|source$|file|review$|quote|subscription_schedule|payment_link|promotion_code|test_helpers\.(?!test_clock)|topup|transfer|cash_balance|customer_cash|apps\.|entitlements|billing\.|reserve|three_d_secure|early_fraud|person|plan$|connect_collection|confirmation_token|v2\.(?!core\.(account|event))|v2\.core\.account_(person|token))/;

/** Turns TypeScript types into JSON Schema; one instance per run, because it remembers which types it has named. */
export class SchemaWriter {
  /** @type {Record<string, object>} */
  schemas = {};
  #names = new Map();

  /**
   * @param {ts.TypeChecker} checker
   * @param {string} sdk folder of the declarations; names are given relative to it
   */
  constructor(checker, sdk) {
    this.checker = checker;
    this.sdk = sdk;
  }

  /**
   * @param {ts.Type} type
   * @param {'json' | 'form'} wire how the value travels
   * @returns {object} JSON Schema, a `$ref` where the type has a name of its own
   */
  write(type, wire) {
    const flags = type.flags;
    if (flags & (ts.TypeFlags.Any | ts.TypeFlags.Unknown)) return {};
    if (type.isUnion()) return this.#union(type.types, wire);
    if (isBigint(flags)) return { type: 'string', pattern: '^-?\\d+$' };
    if (isOtherString(type)) return { type: 'string' };
    if (type.isStringLiteral()) return { const: type.value };
    if (type.isNumberLiteral())
      return wire === 'form' ? { enum: [type.value, String(type.value)] } : { const: type.value };
    if (flags & ts.TypeFlags.BooleanLiteral) {
      const value = type.intrinsicName === 'true';
      return wire === 'form' ? { enum: [value, String(value)] } : { const: value };
    }
    if (flags & ts.TypeFlags.Null) return { type: 'null' };
    if (flags & ts.TypeFlags.String) return { type: 'string' };
    if (flags & ts.TypeFlags.Number) return wire === 'form' ? formNumber : { type: 'number' };
    if (flags & ts.TypeFlags.Boolean) return wire === 'form' ? formBoolean : { type: 'boolean' };
    if (this.checker.isArrayType(type)) {
      return { type: 'array', items: this.write(this.checker.getTypeArguments(type)[0], wire) };
    }
    const name = nameOf(type, this.checker, this.sdk);
    if (name === 'Decimal') return { type: 'string', pattern: '^-?\\d+(\\.\\d+)?$' };
    if (name === 'StripeContext') return { type: 'string' }; // the SDK parses it
    if (name === 'Uint8Array' || name === 'Buffer') return {};
    if (flags & (ts.TypeFlags.Object | ts.TypeFlags.Intersection)) return this.#named(type, wire, name);
    throw new Error(`make-schemas: no rule for the type ${this.checker.typeToString(type)}`);
  }

  /**
   * Unions are sorted by the JSON type of their members and written as `if … then … else`, never as a list of alternatives: of
   * an expanded object with one wrong field one wants to hear about the field, not that it is neither a string nor null.
   */
  #union(types, wire) {
    const members = { scalars: [], arrays: [], objects: [] };
    // An open enum is `'a' | 'b' | OtherString`: with the values known, the rest of the strings is left out.
    const enumerated = types.some((t) => t.isStringLiteral() && t.value !== '');
    for (const type of types) {
      if (type.flags & (ts.TypeFlags.Undefined | ts.TypeFlags.Void)) continue;
      if (isOtherString(type) && enumerated) continue;
      const schema = this.write(type, wire);
      if (schema.type === 'array') members.arrays.push(schema);
      else if (schema.$ref || schema.type === 'object') members.objects.push({ type, schema });
      else members.scalars.push(schema);
    }
    const scalar = oneOfScalars(members.scalars);
    const array = members.arrays.length > 1 ? { anyOf: members.arrays } : members.arrays[0];
    const object = this.#oneOfObjects(members.objects);
    return choose('object', object, choose('array', array, scalar)) ?? {};
  }

  /** Objects of one union differ in a literal (`object`, `type`), or one of them is the deleted form of the other. */
  #oneOfObjects(branches) {
    if (branches.length < 2) return branches[0]?.schema;
    const literal = ({ type }, name) => {
      const symbol = this.checker.getPropertyOfType(type, name);
      const value = symbol && this.checker.getTypeOfSymbol(symbol);
      if (value?.isStringLiteral()) return value.value;
      return value && value.flags & ts.TypeFlags.BooleanLiteral ? value.intrinsicName === 'true' : undefined;
    };
    const deleted = branches.filter((branch) => literal(branch, 'deleted') === true);
    if (deleted.length > 0 && deleted.length < branches.length) {
      const alive = this.#oneOfObjects(branches.filter((branch) => !deleted.includes(branch)));
      return { if: { required: ['deleted'] }, then: this.#oneOfObjects(deleted), else: alive };
    }
    const tag = ['object', 'type'].find((name) => {
      const values = branches.map((branch) => literal(branch, name));
      return !values.includes(undefined) && new Set(values).size === values.length;
    });
    if (!tag) return { anyOf: branches.map((branch) => branch.schema) };
    const [first, ...rest] = branches;
    const isFirst = { required: [tag], properties: { [tag]: { const: literal(first, tag) } } };
    return { if: isFirst, then: first.schema, else: this.#oneOfObjects(rest) };
  }

  #named(type, wire, name) {
    const key = wire === 'form' ? `form:${name}` : name;
    const known = this.#names.get(type)?.[wire];
    if (known) return { $ref: ref(known) };
    if (!name) return this.#object(type, wire);
    let unique = key;
    for (let n = 2; unique in this.schemas; n++) unique = `${key}~${n}`;
    this.#names.set(type, { ...this.#names.get(type), [wire]: unique });
    this.schemas[unique] = {}; // taken before descending: types refer to themselves
    this.schemas[unique] = this.#object(type, wire);
    return { $ref: ref(unique) };
  }

  #object(type, wire) {
    const kind = objectKind(type, this.checker);
    if (wire === 'json' && kind && STUBBED.test(kind)) {
      return { type: 'object', required: ['object'], properties: { object: { const: kind } } };
    }
    const isV2 = wire === 'json' && type.symbol?.declarations?.[0]?.getSourceFile().fileName.includes('/resources/V2/');
    const properties = {};
    const required = [];
    for (const symbol of this.checker.getPropertiesOfType(type)) {
      const property = this.checker.getTypeOfSymbol(symbol);
      if (property.getCallSignatures().length > 0) continue; // fetchRelatedObject and the like: the SDK's own
      if (property.flags & (ts.TypeFlags.Void | ts.TypeFlags.Undefined)) continue;
      const optional = Boolean(symbol.flags & ts.SymbolFlags.Optional);
      if (optional && isOnlyVoid(property)) continue; // `deleted?: void`: the field is what deleted objects have
      const schema = this.write(property, wire);
      // API v2 sends null where v1 leaves a field out (https://docs.stripe.com/api-includable-response-values).
      properties[symbol.name] = optional && isV2 ? { if: { type: 'null' }, then: {}, else: schema } : schema;
      if (!optional) required.push(symbol.name);
    }
    const index = this.checker.getIndexInfoOfType(type, ts.IndexKind.String);
    const additionalProperties = index ? this.write(index.type, wire) : false;
    return { type: 'object', ...(required.length ? { required } : {}), properties, additionalProperties };
  }
}

/** `if` of this JSON type `then` the one schema `else` the other; either may be missing. */
function choose(type, schema, otherwise) {
  if (!schema || !otherwise) return schema ?? otherwise;
  return { if: { type }, then: schema, else: otherwise };
}

function oneOfScalars(schemas) {
  const values = schemas.flatMap((schema) => ('const' in schema ? [schema.const] : (schema.enum ?? [])));
  const others = schemas.filter((schema) => !('const' in schema) && !schema.enum);
  const isPlain = (schema) => Object.keys(schema).join() === 'type';
  if (others.every(isPlain) && values.length === 0 && others.length > 0) {
    const types = [...new Set(others.map((schema) => schema.type))];
    return { type: types.length === 1 ? types[0] : types };
  }
  // An enum that may be null is one enum.
  if (others.every((schema) => schema.type === 'null')) values.push(...others.splice(0).map(() => null));
  const all = [...(values.length ? [{ enum: [...new Set(values)] }] : []), ...others];
  return all.length > 1 ? { anyOf: all } : all[0];
}

const formNumber = { type: ['number', 'string'], pattern: '^-?\\d+(\\.\\d+)?$' };
const formBoolean = { enum: [true, false, 'true', 'false'] };
const ref = (name) => `#/schemas/${name}`;
const isBigint = (flags) => Boolean(flags & ts.TypeFlags.BigIntLike);
const isOtherString = (type) => type.isIntersection() && type.types.some((t) => t.flags & ts.TypeFlags.String);
const isOnlyVoid = (type) =>
  type.isUnion() && type.types.every((t) => t.flags & (ts.TypeFlags.Void | ts.TypeFlags.Undefined));

/** A readable and stable name: `Invoices.Invoice.LineItem`; empty for anonymous and generic types, which are written in place. */
function nameOf(type, checker, sdk) {
  const symbol = type.aliasSymbol && !type.aliasTypeArguments ? type.aliasSymbol : type.symbol;
  if (!symbol || symbol.flags & ts.SymbolFlags.TypeLiteral) return '';
  if (type.aliasTypeArguments || (type.flags & ts.TypeFlags.Object && checker.getTypeArguments(type).length > 0))
    return '';
  const declared = symbol.declarations?.[0]?.getSourceFile().fileName ?? '';
  const file = relative(sdk, declared)
    .split(sep)
    .join('/')
    .replace(/^resources\/|\.d\.ts$/g, '')
    .replaceAll('/', '.');
  const name = checker.getFullyQualifiedName(symbol).replace(/^".*"\./, '');
  return ['Decimal', 'StripeContext', 'Uint8Array'].includes(name) ? name : `${file}.${name}`;
}

/** The literal in a type's `object` field, `charge` for a Charge. */
export function objectKind(type, checker) {
  const symbol = checker.getPropertyOfType(type, 'object');
  const of = symbol && checker.getTypeOfSymbol(symbol);
  return of?.isStringLiteral() ? of.value : undefined;
}
