import { couponAfterDelete } from './billing/discounts.js';
import { type Context } from './context.js';
import { invalid } from './errors.js';
import { type ObjectName, prefixes } from './objects.js';
import { type Resource } from './resource.js';

type Hash = Record<string, unknown>;

const kinds = (Object.entries(prefixes) as [ObjectName, string][]).sort((a, b) => b[1].length - a[1].length);

/**
 * `expand[]`: replaces ids by objects, up to four levels deep; `data.` goes into the items of a list. {@link https://docs.stripe.com/expand}
 */
export class Expander {
  private readonly fields = new Set<string>();
  private readonly includable = new Map<string, Map<string, (ctx: Context, owner: never) => unknown>>();

  constructor(resources: Resource[]) {
    for (const resource of resources) {
      for (const field of resource.expandable ?? []) this.fields.add(field);
      for (const [object, fields] of Object.entries(resource.includable ?? {})) {
        let known = this.includable.get(object);
        if (!known) this.includable.set(object, (known = new Map<string, (ctx: Context, owner: never) => unknown>()));
        for (const [field, make] of Object.entries(fields)) known.set(field, make);
      }
    }
  }

  /** A copy of `value` with every path expanded; the original is not touched. */
  expand(ctx: Context, value: unknown, paths: string[]): unknown {
    if (paths.length === 0) return value;
    const copy = JSON.parse(JSON.stringify(value)) as unknown;
    for (const path of paths) {
      const segments = path.split('.');
      const depth = segments[0] === 'data' ? segments.length - 1 : segments.length;
      if (depth > 4) throw invalid('You cannot expand more than 4 levels of a property.', 'expand');
      this.walk(ctx, copy, segments, path);
    }
    return copy;
  }

  private walk(ctx: Context, at: unknown, segments: string[], path: string): void {
    if (Array.isArray(at)) {
      for (const item of at) this.walk(ctx, item, segments, path);
      return;
    }
    if (at === null || typeof at !== 'object') return;
    const owner = at as Hash;
    const [field, ...rest] = segments;
    if (field === undefined) return;
    const make = this.includable.get(String(owner['object']))?.get(field);
    if (make && (owner[field] === undefined || owner[field] === null))
      owner[field] = JSON.parse(JSON.stringify(make(ctx, owner as never)));
    const value = owner[field];
    if (typeof value === 'string' && this.fields.has(field)) owner[field] = this.find(ctx, value, field) ?? value;
    else if (Array.isArray(value) && value.some((item) => typeof item === 'string') && this.fields.has(field)) {
      owner[field] = value.map((item) =>
        typeof item === 'string' ? (this.find(ctx, item, field) ?? item) : (item as unknown),
      );
    } else if (value === undefined || (typeof value !== 'object' && value !== null)) {
      if (rest.length === 0 && owner['object'] !== undefined && !this.fields.has(field)) {
        throw invalid(`This property cannot be expanded (${field}).`, 'expand');
      }
      return;
    }
    if (rest.length > 0) this.walk(ctx, owner[field], rest, path);
  }

  /** Looks on the account itself, then on the platform for what lives there. */
  private find(ctx: Context, id: string, field: string): unknown {
    // The only ids without a prefix: whoever makes a coupon may choose its id.
    if (field === 'coupon') return copy(ctx.table('coupon').get(id) ?? couponAfterDelete(ctx, id).coupon);
    // Payments that are not by card are charges with an id of their own.
    const kind = id.startsWith('py_') ? 'charge' : kinds.find(([, prefix]) => id.startsWith(`${prefix}_`))?.[0];
    if (!kind) return null;
    const home = kind === 'account' || kind === 'application_fee' ? ctx.platform : ctx;
    const found = ctx.table(kind).get(id) ?? home.table(kind).get(id);
    return copy(found);
  }
}

const copy = (found: object | undefined): unknown => found && (JSON.parse(JSON.stringify(found)) as unknown);
