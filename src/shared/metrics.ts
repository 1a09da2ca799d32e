import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';

/** All numbers that this process shows on `/metrics`. One registry: names are unique over the whole server. */
export const metrics = new Registry();
collectDefaultMetrics({ register: metrics });

const registers = [metrics];

/** Deliveries of Stripe that were stored. */
export const eventsReceived = new Counter({
  name: 'webhook_events_received_total',
  help: 'Events stored for the first time, by what became of them: RECEIVED, IGNORED or PARKED.',
  labelNames: ['status'],
  registers,
});
export const eventsDuplicate = new Counter({
  name: 'webhook_events_duplicate_total',
  help: 'Deliveries of an event that was stored already.',
  registers,
});
export const eventsRefused = new Counter({
  name: 'webhook_deliveries_refused_total',
  help: 'Deliveries that were not stored, by reason. `unavailable` is ours: Stripe will deliver them again.',
  labelNames: ['reason'],
  registers,
});
export const inboxBatchSize = new Histogram({
  name: 'webhook_inbox_batch_size',
  help: 'Events per insert.',
  buckets: [1, 2, 4, 8, 16, 32, 64, 128, 256],
  registers,
});
export const eventsSettled = new Counter({
  name: 'webhook_events_settled_total',
  help: 'Events a worker came to an end with, by status: PROCESSED or IGNORED.',
  labelNames: ['status'],
  registers,
});
export const eventsFailed = new Counter({
  name: 'webhook_events_failed_total',
  help: 'Tries that failed; the event is tried again.',
  registers,
});
export const eventsDead = new Counter({
  name: 'webhook_events_dead_total',
  help: 'Events that were given up after the last try. Each needs a person.',
  registers,
});
export const leasesLost = new Counter({
  name: 'webhook_leases_lost_total',
  help: 'Batches whose work was thrown away because another worker had taken them over.',
  registers,
});
export const workerBatchSize = new Histogram({
  name: 'webhook_worker_batch_size',
  help: 'Events per claim.',
  buckets: [1, 4, 16, 64, 128, 256, 512],
  registers,
});
export const eventLag = new Histogram({
  name: 'webhook_event_lag_seconds',
  help: 'From being stored to being processed.',
  buckets: [0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60, 300, 3600],
  registers,
});
export const eventsWaiting = new Gauge({
  name: 'webhook_events_waiting',
  help: 'Events that are not settled, by state: READY, PARKED or DEAD.',
  labelNames: ['state'],
  registers,
});
export const oldestWaiting = new Gauge({
  name: 'webhook_oldest_ready_seconds',
  help: 'For how long the oldest event that could be processed has been waiting; 0 when there is none.',
  registers,
});
export const eventsRecent = new Gauge({
  name: 'webhook_events_recent',
  help: 'Events that came in the last five minutes, by their status now.',
  labelNames: ['status'],
  registers,
});
export const failureRate = new Gauge({
  name: 'webhook_failure_ratio',
  help: 'The part of the events of the last five minutes that failed or were given up, from 0 to 1.',
  registers,
});
/** Sweep and drift: what webhooks did not bring. */
export const eventsMissed = new Counter({
  name: 'webhook_events_missed_total',
  help: "Events that never came, and that the sweep of Stripe's lists found.",
  registers,
});
export const sweepsFailed = new Counter({
  name: 'webhook_sweeps_failed_total',
  help: 'Sweeps of an account that failed; they are made again.',
  registers,
});
export const sweepAge = new Gauge({
  name: 'webhook_sweep_age_seconds',
  help: 'For how long the connected account that was last swept the longest ago has not been swept.',
  registers,
});
export const driftFound = new Counter({
  name: 'drift_differences_total',
  help: 'Differences between Stripe and us that were found, by kind of object.',
  labelNames: ['object'],
  registers,
});
/** What a tenant has to answer before a bank decides without them. */
export const disputesToAnswer = new Gauge({
  name: 'disputes_to_answer',
  help: 'Disputes and inquiries of all tenants that wait for evidence, by when it is due: OVERDUE, SOON (three days) or LATER.',
  labelNames: ['due'],
  registers,
});
export const nextDisputeDeadline = new Gauge({
  name: 'dispute_next_deadline_seconds',
  help: 'How long there is until the next deadline of a dispute that waits for evidence; 0 when there is none.',
  registers,
});

/** Mails that came to an end, or not yet. */
export const mailsTried = new Counter({
  name: 'mails_total',
  help: 'Tries to send a mail, by outcome: SENT, BOUNCED, FAILED, RETRY, BLOCKED (by policy; tried again).',
  labelNames: ['outcome'],
  registers,
});
