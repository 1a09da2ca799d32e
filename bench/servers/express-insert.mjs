// What a careful tutorial ends with: the signature checked by Stripe's SDK, the event inserted once, and answered. Nothing is processed.
import express from 'express';
import pg from 'pg';
import Stripe from 'stripe';

const { DATABASE_URL, WEBHOOK_SECRET, PORT } = process.env;
const stripe = new Stripe('sk_test_local_bench');
const pool = new pg.Pool({ connectionString: DATABASE_URL, max: 10 });
await pool.query(`create table if not exists events (
  id text primary key, type text not null, account text, payload jsonb not null, received_at timestamptz not null default now())`);

const app = express();
app.post('/webhook', express.raw({ type: 'application/json', limit: '256kb' }), async (request, response) => {
  const event = stripe.webhooks.constructEvent(request.body, request.headers['stripe-signature'], WEBHOOK_SECRET);
  await pool.query('insert into events (id, type, account, payload) values ($1, $2, $3, $4) on conflict do nothing', [
    event.id,
    event.type,
    event.account,
    request.body.toString(),
  ]);
  response.status(200).json({ received: true });
});
app.listen(Number(PORT), '127.0.0.1');
