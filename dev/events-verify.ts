import { parseArgs } from 'node:util';
import { isEmbedded, localSecrets, startLocalDatabase } from './local-directory.js';
import { Progress } from './progress.js';
import { rebuild } from './rebuild.js';
import { connectParts, runCommand, UsageError } from './server-parts.js';
import { hashOf } from './state-hash.js';

const usage = `npm run events:verify -- [--seed N]

Replays the whole log of events, shuffled, into an empty database beside the real one, and compares what comes of it: accounts, payment methods,
payments, refunds, disputes, payouts, subscriptions, the invoices of their cycles, and the books. The second database is deleted afterwards. Handlers that cannot tell the order of two events ask Stripe,
as ever; nothing is changed there. Events past their retention cannot be replayed: what only they told differs.

VERIFY_ADMIN_URL  a role that sees all rows and may create databases (the embedded database needs none)

Exit code: 0 the same, 1 failed, 2 misused, 3 different.
`;

async function adminUrl(): Promise<string> {
  if (process.env.VERIFY_ADMIN_URL) return process.env.VERIFY_ADMIN_URL;
  if (!isEmbedded(process.env)) throw new UsageError('VERIFY_ADMIN_URL is not set.');
  return (await startLocalDatabase(await localSecrets())).adminUrl;
}

await runCommand(usage, async () => {
  const { values } = parseArgs({ options: { seed: { type: 'string' } } });
  const seed = values.seed === undefined ? Math.floor(Math.random() * 1_000_000) : Number(values.seed);
  if (!Number.isInteger(seed)) throw new UsageError('--seed must be a whole number.');
  const parts = await connectParts();
  try {
    console.log(`seed ${seed}`);
    let progress: Progress | null = null;
    const { events, real, rebuilt, failed } = await rebuild({
      adminUrl: await adminUrl(),
      runtimeUrl: parts.config.database.url,
      livemode: parts.config.stripe.livemode,
      stripe: parts.stripe,
      seed,
      logger: parts.logger,
      onProgress: (done, total) => (progress ??= new Progress('replayed', total)).at(done),
    });
    (progress as Progress | null)?.end(events);
    const [before, after] = [new Set(real), new Set(rebuilt)];
    for (const line of failed) console.log(`FAILED   ${line}`);
    for (const line of real.filter((one) => !after.has(one)).slice(0, 50)) console.log(`real     ${line}`);
    for (const line of rebuilt.filter((one) => !before.has(one)).slice(0, 50)) console.log(`rebuilt  ${line}`);
    console.log(`${events} events, ${real.length} rows: real ${hashOf(real)}, rebuilt ${hashOf(rebuilt)}`);
    return hashOf(real) === hashOf(rebuilt) && failed.length === 0 ? 0 : 3;
  } finally {
    await parts.close();
  }
});
