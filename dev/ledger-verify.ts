import { parseArgs } from 'node:util';
import { type Difference, ledgerChecks } from '../src/features/ledger/ledger-check.js';
import { connectedAccounts, verifyBooks, verifyPlatformBooks } from '../src/features/ledger/ledger-verification.js';
import { payoutChecks } from '../src/features/payouts/payout-books.js';
import { formatMoney } from '../src/shared/money.js';
import { isUuid } from '../src/shared/uuid.js';
import { Progress } from './progress.js';
import { connectParts, runCommand, UsageError } from './server-parts.js';

const usage = `npm run ledger:verify -- [options]

Proves the books of every account: each transaction sums to zero, each payment's gross is its fees and its net, the balance is the one that Stripe
states, each payout is the sum of what it contains, and the bank has what was paid out. What it finds is kept in ledger_checks.

  --tenant UUID   one tenant's only; without it all, and the platform's own
  --settle N      leaves out payments and payouts that changed within the last N seconds, 0 to 86400 (60)

Exit code: 0 nothing differs, 1 failed or incomplete, 2 misused, 3 there are differences.
`;

function print(whose: string, differences: readonly Difference[]): void {
  for (const { what, subject, currency, expected, found } of differences) {
    const amount = (minor: number) => (currency ? formatMoney(minor, currency) : String(minor));
    console.log(`DIFFERENT  ${whose}  ${what.padEnd(16)} ${subject}  ${amount(found)} instead of ${amount(expected)}`);
  }
}

await runCommand(usage, async () => {
  const { values } = parseArgs({
    options: { tenant: { type: 'string' }, settle: { type: 'string', default: '60' } },
  });
  const tenant = values.tenant?.toLowerCase();
  if (tenant !== undefined && !isUuid(tenant)) throw new UsageError('--tenant must be the id of a tenant.');
  const settleSeconds = Number(values.settle);
  if (!Number.isInteger(settleSeconds) || settleSeconds < 0 || settleSeconds > 86_400)
    throw new UsageError('--settle: 0 to 86400.');

  const parts = await connectParts();
  const { database, stripe } = parts;
  try {
    const accounts = await connectedAccounts(database, tenant);
    const progress = new Progress('accounts checked', accounts.length);
    let [done, transactions, different, failed] = [0, 0, 0, 0];
    for (const { tenantId, accountId } of accounts) {
      progress.at(done, accountId);
      const db = database.tenant(tenantId);
      try {
        const checks = [...ledgerChecks, ...payoutChecks];
        const checked = await verifyBooks(db, stripe.forAccount(accountId), { accountId, checks, settleSeconds });
        transactions += checked.transactions;
        different += checked.differences.length;
        print(accountId, checked.differences);
      } catch (error) {
        failed += 1;
        console.error(`${accountId} could not be checked: ${(error as Error).message}`);
      }
      done += 1;
    }
    progress.end(done);
    if (tenant === undefined) {
      const platform = await verifyPlatformBooks(database, stripe);
      different += platform.length;
      print('platform', platform);
    }
    console.log(`${done - failed} accounts, ${transactions} transactions, ${different} differences.`);
    if (failed > 0) return 1;
    return different > 0 ? 3 : 0;
  } finally {
    await parts.close();
  }
});
