import { parseArgs } from 'node:util';
import { eraseCustomer } from '../src/features/webhook-events/erasure.js';
import { isUuid } from '../src/shared/uuid.js';
import { Progress } from './progress.js';
import { connectParts, runCommand, UsageError } from './server-parts.js';

const usage = `npm run erase -- --tenant UUID --customer ID

Erases names, addresses and telephone numbers of a customer from the stored events of the tenant, and what it was mailed. Ids and amounts stay. Erase the customer
at Stripe first: what Stripe sends later is stored as it comes.

Exit code: 0 done, 1 failed, 2 misused.
`;

await runCommand(usage, async () => {
  const { values } = parseArgs({ options: { tenant: { type: 'string' }, customer: { type: 'string' } } });
  const tenant = values.tenant?.toLowerCase();
  if (!isUuid(tenant)) throw new UsageError('--tenant must be the id of a tenant.');
  const customer = Number(values.customer);
  if (!Number.isInteger(customer) || customer < 1) throw new UsageError('--customer must be the id of a customer.');
  const parts = await connectParts();
  try {
    const progress = new Progress('looked at');
    let looked = 0;
    const changed = await eraseCustomer(parts.database.tenant(tenant), customer, 'npm run erase', (done) => {
      looked = done;
      progress.at(done);
    });
    progress.end(looked);
    console.log(`${changed} of ${looked} events had something of the customer; it is gone.`);
    return 0;
  } finally {
    await parts.close();
  }
});
