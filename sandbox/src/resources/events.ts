import { invalid, missing } from '../errors.js';
import { renderEvent, renderThinEvent, subscribes } from '../events.js';
import { listPage } from '../list.js';
import { inRange, listParams, p } from '../params.js';
import { type Resource } from '../resource.js';
import { route } from '../router.js';
import { pageParams, v2Page } from '../v2.js';

/** Snapshot and thin events, to be read. {@link https://docs.stripe.com/api/events} {@link https://docs.stripe.com/api/v2/core/events} */
export const events: Resource = {
  routes: [
    route(
      'GET',
      '/v1/events',
      {
        ...listParams,
        created: p.range(),
        type: p.string(),
        types: p.array(p.string()),
        delivery_success: p.boolean(),
      },
      (ctx, { created, type, types, delivery_success: delivered, ...page }) => {
        const wanted = types ?? (type === undefined ? ['*'] : [type]);
        const list = listPage(
          ctx.table('event'),
          '/v1/events',
          page,
          (event) =>
            inRange(event.created, created) &&
            subscribes(wanted, event.type) &&
            (delivered === undefined || (event.pending === 0) === delivered),
        );
        return { ...list, data: list.data.map(renderEvent) };
      },
    ),
    route('GET', '/v1/events/:id', {}, (ctx, _params, { id }) => renderEvent(ctx.table('event').require(id))),
    route(
      'GET',
      '/v2/core/events',
      {
        ...pageParams,
        object_id: p.string(),
        types: p.array(p.string()),
        created: p.record(p.string()),
      },
      (ctx, { object_id: objectId, types, created, ...page }) => {
        const range = Object.fromEntries(Object.entries(created ?? {}).map(([key, value]) => [key, stamp(key, value)]));
        const rows = [...ctx.table('v2.core.event').newestFirst()].filter(
          (event) =>
            (objectId === undefined || event.related_object?.id === objectId) &&
            (!types || types.includes(event.type)) &&
            inRange(event.created, range),
        );
        const filters: Record<string, string | string[] | undefined> = { object_id: objectId, types };
        for (const [key, value] of Object.entries(created ?? {})) filters[`created[${key}]`] = value;
        return v2Page(rows, '/v2/core/events', page, renderThinEvent, filters);
      },
    ),
    route('GET', '/v2/core/events/:id', {}, (ctx, _params, { id }) => {
      const event = ctx.table('v2.core.event').get(id);
      if (!event) throw missing('v2.core.event', id);
      return renderThinEvent(event);
    }),
  ],
};

/** A bound of v2's `created`: RFC 3339, in milliseconds. */
function stamp(name: string, value: string): number {
  const at = /^\d{4}-\d\d-\d\dT/.test(value) ? Date.parse(value) : NaN;
  if (Number.isNaN(at)) throw invalid('Invalid timestamp', `created[${name}]`);
  return at;
}
