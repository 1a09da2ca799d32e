import { parseArgs } from 'node:util';
import { DriftService } from '../src/features/drift/drift.service.js';
import { isUuid } from '../src/shared/uuid.js';
import { Progress } from './progress.js';
import { connectParts, runCommand, UsageError } from './server-parts.js';

const usage = `npm run reconcile -- --tenant UUID [options]

Compares a tenant's rows with what Stripe has: account, payment methods, subscriptions and their invoices, payments, refunds, disputes, payouts.

  --tenant UUID   whose
  --days N        compare what was made in the last N days, 1 to 3650 (30), and older things that can still change
  --settle N      look at what differs once more after N seconds, 0 to 600 (2): its webhook may be on the way
  --repair        put right what differs, through the code that webhooks use

Exit code: 0 no differences are left, 1 failed or incomplete, 2 misused, 3 there are differences.
`;

await runCommand(usage, async () => {
  const { values } = parseArgs({
    options: {
      tenant: { type: 'string' },
      days: { type: 'string', default: '30' },
      settle: { type: 'string', default: '2' },
      repair: { type: 'boolean', default: false },
    },
  });
  const tenant = values.tenant?.toLowerCase();
  if (!isUuid(tenant)) throw new UsageError('--tenant must be the id of a tenant.');
  const days = Number(values.days);
  if (!Number.isInteger(days) || days < 1 || days > 3_650) throw new UsageError('--days: 1 to 3650.');
  const settle = Number(values.settle);
  if (!Number.isInteger(settle) || settle < 0 || settle > 600) throw new UsageError('--settle: 0 to 600.');

  const parts = await connectParts();
  try {
    const progress = new Progress('compared');
    const drift = new DriftService({
      ...parts,
      db: parts.database.tenant(tenant),
      actor: 'npm run reconcile',
      settleMs: settle * 1_000,
    });
    const report = await drift.run({
      dryRun: !values.repair,
      days,
      onProgress: (examined, object) => progress.at(examined, object),
    });
    progress.end(report.examined);
    for (const { object, stripeId, kind, field, ours, stripes, repaired } of report.differences) {
      const what = field === null ? kind : `${field}: ${ours} here, ${stripes} at Stripe`;
      console.log(`${repaired ? 'repaired ' : 'DIFFERENT'}  ${object.padEnd(16)} ${stripeId}  ${what}`);
    }
    const { differenceCount, repairedCount, problem } = report;
    console.log(`${report.examined} compared, ${differenceCount} differences, ${repairedCount} repaired.`);
    if (problem !== null) {
      console.error(`Not complete: ${problem}`);
      return 1;
    }
    return differenceCount > repairedCount ? 3 : 0;
  } finally {
    await parts.close();
  }
});
