import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { brokenBooks } from '../faults/books.js';
import { atRest } from '../support/sandbox.js';
import { startApp, type TestApp } from '../support/harness.js';
import { partsOn, type Parts } from '../webhooks/parts.js';
import { programEnvironment, testProgram } from '../support/program.js';

// A real process is killed with SIGKILL between any two steps of bringing books up to date. Whatever it left behind, the next one posts what is
// missing, and nothing twice. Nobody else keeps books here.

let app: TestApp;
let parts: Parts;

beforeAll(async () => {
  app = await startApp({ env: { PROCESS_ROLE: 'api' } });
  parts = partsOn(app.db, app.sandbox);
});
afterAll(async () => {
  await parts?.close();
  await app?.stop();
});

type Tenant = Awaited<ReturnType<TestApp['aConnectedTenant']>>;

async function keepBooks({ id: tenantId, accountId }: Tenant, failpoint?: string): Promise<NodeJS.Signals | null> {
  const { secretKey, publishableKey, url: apiBase } = app.sandbox;
  const settings = { url: app.db.url, secretKey, publishableKey, apiBase, tenantId, accountId };
  const script = testProgram(new URL('./support/import.mjs', import.meta.url));
  const child = spawn(process.execPath, [script, JSON.stringify(settings)], {
    env: { ...programEnvironment, ...(failpoint && { FAILPOINT: failpoint }) },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const [, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  return signal;
}

test('books whose keeper dies at any step are complete in the end, and nothing is posted twice', async () => {
  const tenant = await app.aConnectedTenant();
  const call = <T>(path: string, form: Record<string, string>) =>
    app.sandbox.api<T>('POST', path, { account: tenant.accountId, form });
  const pay = { currency: 'usd', payment_method: 'pm_card_bypassPending', confirm: 'true' };
  for (const amount of ['9000', '7000', '500'])
    await call('/v1/payment_intents', { ...pay, amount, return_url: 'https://psa.test' });
  await atRest(app.sandbox);
  await call('/v1/payouts', { amount: '5000', currency: 'usd' });
  await app.sandbox.control('/advance', { seconds: 4 * 86_400 });
  for (const failpoint of ['ledger.in-import', 'ledger.after-page', 'payout.after-record', 'payout.before-arrival'])
    expect([failpoint, await keepBooks(tenant, failpoint)]).toEqual([failpoint, 'SIGKILL']);
  expect(await keepBooks(tenant)).toBeNull();
  const causes = await app.db.query<{ category: string; n: number }>(
    `select category, count(*)::int as n from ledger_transactions where tenant_id = $1 group by 1 order by 1`,
    [tenant.id],
  );
  expect(causes).toEqual([
    { category: 'charge', n: 3 },
    // By hand, and by the schedule on the way.
    { category: 'payout', n: 2 },
    { category: 'payout_arrival', n: 2 },
  ]);
  // The payments themselves are told by events, which nobody works on here.
  const broken = (await brokenBooks(parts, tenant)).filter(({ what }) => what !== 'PAYMENT_NOT_KNOWN');
  expect(broken).toEqual([]);
});
