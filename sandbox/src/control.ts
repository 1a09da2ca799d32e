import { invalid, missing } from './errors.js';
import { faultKinds } from './faults.js';
import { p } from './params.js';
import { type Resource } from './resource.js';
import { html, route } from './router.js';
import { overview } from './overview.js';

/**
 * The sandbox's own controls, `/_control/*`: no key, JSON or form bodies. Controls that belong to one resource stand in its own file.
 */
export const control: Resource = {
  routes: [
    route(
      'GET',
      '/',
      { account: p.string(), refresh: p.int() },
      ({ sandbox }, filter) => html(overview(sandbox, filter)),
      'public',
    ),
    route(
      'GET',
      '/_control/health',
      {},
      (ctx) => ({ ok: true, url: ctx.url, platform: ctx.sandbox.platform, now: ctx.now }),
      'public',
    ),
    route(
      'GET',
      '/_control/state',
      { account: p.string(), full: p.boolean() },
      ({ sandbox }, { account, full }) => {
        const partitions = [...sandbox.store.all()].filter((partition) => !account || partition.account === account);
        return {
          platform: sandbox.platform,
          now: sandbox.clock.now(),
          accounts: partitions.map((partition) => ({
            account: partition.account,
            counts: partition.counts(),
            ...(full && partition.dump()),
          })),
          due: sandbox.scheduler.all().slice(0, 100),
          deliveries: sandbox.deliveries.faults,
          faults: sandbox.faults.all(),
          memory_mb: Math.round(process.memoryUsage().rss / 1_048_576),
        };
      },
      'public',
    ),
    route('GET', '/_control/requests', {}, ({ sandbox }) => ({ data: [...sandbox.requests].reverse() }), 'public'),
    route(
      'POST',
      '/_control/advance',
      { seconds: p.number(), to: p.timestamp() },
      ({ sandbox }, { seconds, to }) => {
        if ((seconds === undefined) === (to === undefined)) throw invalid('Give seconds or to.');
        const done = sandbox.advance(to ?? sandbox.clock.exact() + (seconds ?? 0));
        return { now: sandbox.clock.now(), done };
      },
      'public',
    ),
    route(
      'POST',
      '/_control/reset',
      {},
      ({ sandbox }) => {
        sandbox.reset();
        sandbox.onReset();
        return { ok: true };
      },
      'public',
    ),
    route(
      'POST',
      '/_control/settings',
      { settle_ms: p.int(), retry_schedule: p.array(p.number()), timeout_ms: p.int(), concurrency: p.int() },
      ({ sandbox }, params) => {
        if (params.settle_ms !== undefined) sandbox.options.settleMs = params.settle_ms;
        if (params.retry_schedule) sandbox.deliveries.options.retrySchedule = params.retry_schedule;
        if (params.timeout_ms !== undefined) sandbox.deliveries.options.timeoutMs = params.timeout_ms;
        if (params.concurrency !== undefined) sandbox.deliveries.options.concurrency = params.concurrency;
        return { settle_ms: sandbox.options.settleMs, ...sandbox.deliveries.options };
      },
      'public',
    ),

    route('GET', '/_control/faults', {}, ({ sandbox }) => ({ data: sandbox.faults.all() }), 'public'),
    route(
      'POST',
      '/_control/faults',
      {
        kind: p.enum(...faultKinds).required(),
        method: p.enum('GET', 'POST', 'DELETE'),
        path: p.string(),
        account: p.string(),
        times: p.int().clearable(),
        probability: p.number(),
        ms: p.int(),
        seed: p.int(),
      },
      ({ sandbox }, { seed, ...fault }) => {
        if (seed !== undefined) sandbox.faults.seed(seed);
        return sandbox.faults.add(fault);
      },
      'public',
    ),
    route('DELETE', '/_control/faults', {}, ({ sandbox }) => (sandbox.faults.clear(), { ok: true }), 'public'),
    route(
      'DELETE',
      '/_control/faults/:id',
      {},
      ({ sandbox }, _params, { id }) => ({ ok: sandbox.faults.remove(id) }),
      'public',
    ),

    route(
      'GET',
      '/_control/deliveries',
      { state: p.string(), type: p.string(), event: p.string(), endpoint: p.string() },
      ({ sandbox }, filter) => ({
        faults: sandbox.deliveries.faults,
        data: sandbox.deliveries.list(filter).map(({ secrets: _secrets, payload: _payload, ...rest }) => rest),
      }),
      'public',
    ),
    /** Cheap, unlike the log: for whoever waits until all has arrived. */
    route('GET', '/_control/undelivered', {}, ({ sandbox }) => sandbox.deliveries.undelivered(), 'public'),
    route(
      'GET',
      '/_control/deliveries/:id',
      {},
      ({ sandbox }, _params, { id }) => {
        const found = sandbox.deliveries.list().find((delivery) => delivery.id === id);
        if (!found) throw missing('delivery', id);
        return { ...found, secrets: undefined };
      },
      'public',
    ),
    route(
      'POST',
      '/_control/deliveries/faults',
      {
        drop: p.number(),
        duplicate: p.number(),
        delay_ms: p.int(),
        reorder_ms: p.int(),
        hold: p.boolean(),
        types: p.array(p.string()),
        seed: p.int(),
      },
      ({ sandbox }, change) => sandbox.deliveries.setFaults(change),
      'public',
    ),
    route(
      'DELETE',
      '/_control/deliveries/faults',
      {},
      ({ sandbox }) => (sandbox.deliveries.clearFaults(), sandbox.deliveries.faults),
      'public',
    ),
    route(
      'POST',
      '/_control/deliveries/hold',
      {},
      ({ sandbox }) => sandbox.deliveries.setFaults({ hold: true }),
      'public',
    ),
    route(
      'POST',
      '/_control/deliveries/release',
      { ids: p.array(p.string()), keep_holding: p.boolean() },
      ({ sandbox }, { ids, keep_holding: keep }) => {
        if (!keep) sandbox.deliveries.setFaults({ hold: false });
        return { released: sandbox.deliveries.release(ids) };
      },
      'public',
    ),
    route(
      'POST',
      '/_control/deliveries/:id/resend',
      {},
      ({ sandbox }, _params, { id }) => {
        if (!sandbox.deliveries.resend(id)) throw missing('delivery', id);
        return { ok: true };
      },
      'public',
    ),
  ],
};
