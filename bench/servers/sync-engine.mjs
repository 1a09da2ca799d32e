// Stripe's sync engine as its README has it: every webhook is upserted before it is answered.
import { createRequire } from 'node:module';
import express from 'express';

// Its ES module build does not find its own migrations (0.48.5: `__dirname is not defined`); the other one does.
const { StripeSync, runMigrations } = createRequire(import.meta.url)('@supabase/stripe-sync-engine');

const { DATABASE_URL, WEBHOOK_SECRET, PORT } = process.env;
await runMigrations({ databaseUrl: DATABASE_URL, schema: 'stripe', logger: { info() {}, error: console.error } });
const sync = new StripeSync({
  poolConfig: { connectionString: DATABASE_URL, max: 10 },
  stripeSecretKey: 'sk_test_local_bench',
  stripeWebhookSecret: WEBHOOK_SECRET,
});

const app = express();
app.post('/webhook', express.raw({ type: 'application/json', limit: '256kb' }), async (request, response) => {
  await sync.processWebhook(request.body, request.headers['stripe-signature']);
  response.status(200).json({ received: true });
});
app.listen(Number(PORT), '127.0.0.1');
