// What asking Stripe costs by itself: bare node:http and Stripe's SDK. Nothing is checked, nothing is written down, nobody is asked who they are.
import { createServer } from 'node:http';
import Stripe from 'stripe';

const { STRIPE_API_BASE, STRIPE_SECRET_KEY, STRIPE_ACCOUNT, PORT } = process.env;
const { hostname, port } = new URL(STRIPE_API_BASE);
const stripe = new Stripe(STRIPE_SECRET_KEY, { host: hostname, port, protocol: 'http', telemetry: false });

createServer((request, response) => {
  const chunks = [];
  request.on('data', (chunk) => chunks.push(chunk));
  request.on('end', async () => {
    if (!chunks.length) return response.end();
    const { idempotencyKey, amount, currency } = JSON.parse(Buffer.concat(chunks)).variables.input;
    const intent = await stripe.paymentIntents.create(
      { amount, currency, automatic_payment_methods: { enabled: true } },
      { idempotencyKey, stripeAccount: STRIPE_ACCOUNT },
    );
    const body = JSON.stringify({ clientSecret: intent.client_secret });
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) });
    response.end(body);
  });
}).listen(Number(PORT), '127.0.0.1');
