import { parseArgs } from 'node:util';
import { eventTypes } from '../src/webhooks/event-types.js';
import { handlers } from '../src/webhooks/handlers.js';
import { countReplay, replayEvents, type Replay } from '../src/webhooks/replay.js';
import { Progress } from './progress.js';
import { connectParts, runCommand, UsageError } from './server-parts.js';

const usage = `npm run events:replay -- [options]

Queues stored events again. Without --status: those that came before anything here handled their type.

  --type TYPE      only this type (repeatable)
  --status STATUS  DEAD, FAILED, IGNORED or PROCESSED instead (repeatable)
  --since TIME     only those stored since then: 2026-11-01 or 2026-11-01T12:00:00Z
  --dry-run        only say what would be queued
  --types          print every type, who handles it, and stop

Exit code: 0 done, 1 failed, 2 misused, 3 with --dry-run when there is something to queue.
`;

const statuses = ['DEAD', 'FAILED', 'IGNORED', 'PROCESSED'];

function readArguments() {
  const { values } = parseArgs({
    options: {
      type: { type: 'string', multiple: true },
      status: { type: 'string', multiple: true },
      since: { type: 'string' },
      'dry-run': { type: 'boolean', default: false },
      types: { type: 'boolean', default: false },
    },
  });
  const { type: types, status } = values;
  const since = values.since === undefined ? undefined : new Date(values.since);
  if (since && Number.isNaN(since.getTime())) throw new UsageError(`--since: ${values.since} is no time.`);
  for (const one of status ?? []) if (!statuses.includes(one)) throw new UsageError(`--status: there is no ${one}.`);
  for (const one of types ?? []) if (!handlers.has(one)) throw new UsageError(`--type: nothing handles ${one}.`);
  const replay: Replay = {
    ...(status ? { statuses: status } : { awaiting: true }),
    ...(types && { types }),
    ...(since && { since }),
  };
  return { replay, dryRun: values['dry-run'], list: values.types };
}

function printTypes(): number {
  for (const [type, { feature, ignored }] of Object.entries(eventTypes)) {
    const state = ignored ? 'ignored' : handlers.has(type) ? 'handled' : 'awaits ';
    console.log(`${state}  ${type.padEnd(74)} ${feature ?? ignored}`);
  }
  return 0;
}

await runCommand(usage, async () => {
  const { replay, dryRun, list } = readArguments();
  if (list) return printTypes();
  const parts = await connectParts();
  try {
    const counts = await countReplay(parts.database, handlers, replay);
    const total = [...counts.values()].reduce((sum, events) => sum + events, 0);
    for (const [type, events] of counts) console.log(`${String(events).padStart(8)}  ${type}`);
    if (total === 0) console.log('Nothing to queue.');
    if (dryRun || total === 0) return total > 0 ? 3 : 0;
    const progress = new Progress('queued', total);
    const queued = await replayEvents(parts.database, handlers, replay, (done) => progress.at(done));
    progress.end(queued);
    console.log(`${queued} events are queued; the workers process them.`);
    return 0;
  } finally {
    await parts.close();
  }
});
