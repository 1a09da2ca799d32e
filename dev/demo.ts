import { randomUUID } from 'node:crypto';
import { ApiError, graphql, poll } from './api-client.js';
import { readDevFile, type DevFile } from './dev-file.js';
import { demoTenants } from './seed.js';

interface Money {
  readonly amount: number;
  readonly formatted: string;
}
interface Invoice {
  readonly id: number;
  readonly number: string;
  readonly paymentStatus: string;
  readonly amountDue: Money;
  readonly customer: { readonly id: number; readonly name: string };
}
interface Payment {
  readonly id: string;
  readonly status: string;
  readonly amount: Money;
  readonly applicationFee: Money | null;
  readonly stripeFee: Money | null;
  readonly net: Money | null;
  readonly stripePaymentIntentId: string | null;
}
interface Checkout {
  readonly payment: Payment;
  readonly clientSecret: string;
  readonly publishableKey: string;
  readonly stripeAccountId: string;
}
interface StripeConfig {
  readonly stripeAccountId: string;
  readonly onboarding: string;
  readonly requirements: { readonly currentlyDue: string[] };
}

const configFields = 'stripeConfig { stripeAccountId onboarding requirements { currentlyDue } }';
const invoiceFields = 'id number paymentStatus amountDue { amount formatted } customer { id name }';
interface ArrivedMail {
  number: number;
  subject: string;
  recipients: string[];
  attachments: string[];
}

const money = '{ amount formatted }';
const paymentFields = `id status amount ${money} applicationFee ${money} stripeFee ${money} net ${money} stripePaymentIntentId`;

/** Walks the main journey against the running server, as the PSA's frontend, the tenant and the payer's browser would. */
class Demo {
  #step = 0;
  readonly #tenant;
  readonly #stripe: string;

  constructor(private readonly dev: DevFile) {
    const fresh = demoTenants.find(({ stage }) => stage === 'none')!;
    this.#tenant = { ...fresh, ...dev.tokens.tenants.find(({ id }) => id === fresh.id)! };
    this.#stripe = dev.sandboxUrl ?? 'https://api.stripe.com';
  }

  async run(): Promise<void> {
    await this.greet();
    await this.onboard();
    await this.setFee();
    const invoice = await this.findInvoice();
    const checkout = await this.openPayment(invoice);
    await this.pay(checkout);
    await this.readBack(invoice, checkout.payment.id);
    if (invoice) await this.showReceipt(invoice);
    await this.showEvents();
  }

  private async greet(): Promise<void> {
    this.say('The frontend asks who is signed in');
    const { viewer } = await this.ask<{ viewer: { role: string; tenant: { name: string } | null } }>(
      '{ viewer { role tenant { name } } }',
    );
    this.tell(`${viewer.role} of ${viewer.tenant?.name}`);
  }

  private async onboard(): Promise<void> {
    let { stripeConfig } = await this.ask<{ stripeConfig: StripeConfig | null }>(`{ ${configFields} }`);
    this.say('The tenant connects to Stripe');
    if (!stripeConfig) {
      const input = {
        email: this.#tenant.email,
        country: 'US',
        businessName: this.#tenant.name,
        idempotencyKey: randomUUID(),
      };
      const created = await this.ask<{ createConnectAccount: { stripeConfig: StripeConfig } }>(
        `mutation ($input: CreateConnectAccountInput!) { createConnectAccount(input: $input) { ${configFields} } }`,
        { input },
      );
      stripeConfig = created.createConnectAccount.stripeConfig;
      this.tell(`created ${stripeConfig.stripeAccountId}, onboarding ${stripeConfig.onboarding}`);
    } else this.tell(`has ${stripeConfig.stripeAccountId} from an earlier run, onboarding ${stripeConfig.onboarding}`);
    if (stripeConfig.onboarding === 'ACTIVE') return;

    this.say("The tenant's admin opens Stripe's onboarding form");
    const { createAccountLink } = await this.ask<{ createAccountLink: { url: string; expiresAt: string } }>(
      'mutation { createAccountLink(input: { type: ONBOARDING }) { url expiresAt } }',
    );
    this.tell(`${createAccountLink.url} (until ${createAccountLink.expiresAt})`);
    if (this.dev.sandboxUrl) await this.fillForm(createAccountLink.url);
    else this.tell('open it in a browser and fill it in; waiting for ten minutes');

    this.say('Stripe tells the server by webhook that the account may take payments');
    const active = await poll(
      'active account',
      async () => {
        const now = await this.ask<{ stripeConfig: StripeConfig }>(`{ ${configFields} }`);
        return now.stripeConfig.onboarding === 'ACTIVE' && now.stripeConfig;
      },
      this.dev.sandboxUrl ? 20_000 : 600_000,
    );
    this.tell(
      `onboarding ${active.onboarding}, still required: ${active.requirements.currentlyDue.length || 'nothing'}`,
    );
  }

  /** What a person does in the browser: opens the page, sends its form, follows where it leads. */
  private async fillForm(url: string): Promise<void> {
    const page = await fetch(url);
    const html = await page.text();
    const fields = [...html.matchAll(/<input[^>]*type="hidden"[^>]*>/g)].map(([tag]) => [
      /name="([^"]*)"/.exec(tag)?.[1] ?? '',
      /value="([^"]*)"/.exec(tag)?.[1] ?? '',
    ]);
    const form = new URLSearchParams([...fields, ['result', 'complete']] as [string, string][]);
    const sent = await fetch(page.url, { method: 'POST', body: form, redirect: 'manual' });
    const back = sent.headers.get('location');
    if (!back) throw new Error(`The form answered ${sent.status}: ${(await sent.text()).slice(0, 200)}`);
    this.tell(`form sent; Stripe leads back to ${new URL(back).origin}${new URL(back).pathname}`);
    const returned = await fetch(back, { redirect: 'manual' });
    this.tell(
      `the server answers ${returned.status}${returned.headers.get('location') ? ` to ${returned.headers.get('location')}` : ''}`,
    );
  }

  private async setFee(): Promise<void> {
    this.say("The platform sets its share of this tenant's payments");
    const input = { tenantId: this.#tenant.id, percent: '2.50', fixed: 0 };
    await this.ask(
      'mutation ($input: UpdateApplicationFeeInput!) { updateApplicationFee(input: $input) { __typename } }',
      { input },
      this.dev.tokens.platformAdmin,
    );
    this.tell('2.50 %');
  }

  private async findInvoice(): Promise<Invoice | null> {
    this.say('The frontend looks for an open invoice');
    const { invoices } = await this.ask<{ invoices: { nodes: Invoice[] } }>(
      `{ invoices(first: 100, filter: { paymentStatus: [UNPAID, FAILED] }) { nodes { ${invoiceFields} } } }`,
    );
    const open = invoices.nodes.filter(({ amountDue }) => amountDue.amount > 0);
    const invoice = open.find(({ amountDue }) => amountDue.amount === 10_000) ?? open[0] ?? null;
    this.tell(
      invoice
        ? `${invoice.number} of ${invoice.customer.name}: ${invoice.amountDue.formatted} due`
        : 'all are paid from earlier runs; paying 100.00 without an invoice',
    );
    return invoice;
  }

  private async openPayment(invoice: Invoice | null): Promise<Checkout> {
    this.say('The frontend opens a payment');
    const what = invoice ? { invoiceId: invoice.id } : { amount: 10_000, currency: 'usd', description: 'Demo' };
    const input = { ...what, idempotencyKey: randomUUID() };
    const query = `mutation ($input: CreatePaymentIntentInput!) {
      createPaymentIntent(input: $input) { payment { ${paymentFields} } clientSecret publishableKey stripeAccountId }
    }`;
    const { createPaymentIntent: first } = await this.ask<{ createPaymentIntent: Checkout }>(query, { input });
    this.tell(
      `${first.payment.stripePaymentIntentId} over ${first.payment.amount.formatted} on ${first.stripeAccountId}, ${first.payment.status}`,
    );
    const { createPaymentIntent: second } = await this.ask<{ createPaymentIntent: Checkout }>(query, { input });
    if (second.payment.id !== first.payment.id) throw new Error('The same idempotency key opened a second payment.');
    this.tell('sent once more with the same idempotency key: the same payment');
    return first;
  }

  private async pay(checkout: Checkout): Promise<void> {
    this.say("The payer's browser confirms with card 4242, as Stripe.js does: publishable key and client secret");
    const id = checkout.payment.stripePaymentIntentId!;
    const response = await fetch(`${this.#stripe}/v1/payment_intents/${id}/confirm`, {
      method: 'POST',
      body: new URLSearchParams({
        key: checkout.publishableKey,
        _stripe_account: checkout.stripeAccountId,
        client_secret: checkout.clientSecret,
        payment_method: 'pm_card_visa',
        return_url: 'https://example.com/paid',
      }),
    });
    const intent = (await response.json()) as { status?: string; error?: { message: string } };
    if (!response.ok) throw new Error(`Stripe refused: ${intent.error?.message}`);
    this.tell(`Stripe says ${intent.status}`);
  }

  private async readBack(invoice: Invoice | null, paymentId: string): Promise<void> {
    this.say('The webhook arrives, and the frontend reads the result');
    const payment = await poll('payment with its fees', async () => {
      const now = await this.ask<{ payment: Payment }>(`query ($id: UUID!) { payment(id: $id) { ${paymentFields} } }`, {
        id: paymentId,
      });
      return now.payment.status === 'SUCCEEDED' && now.payment.net && now.payment;
    });
    if (invoice) {
      const paid = await poll('paid invoice', async () => {
        const now = await this.ask<{ invoice: Invoice }>(
          `query ($id: Int!) { invoice(id: $id) { ${invoiceFields} } }`,
          {
            id: invoice.id,
          },
        );
        return now.invoice.paymentStatus === 'PAID' && now.invoice;
      });
      this.tell(`invoice ${paid.number} is ${paid.paymentStatus}, ${paid.amountDue.formatted} due`);
    }
    const { amount, stripeFee, applicationFee, net } = payment;
    this.tell(`payment ${payment.status}`);
    this.tell(`  paid by the customer  ${amount.formatted.padStart(12)}`);
    this.tell(`  Stripe's fee          ${stripeFee!.formatted.padStart(12)}`);
    this.tell(`  the platform's fee    ${applicationFee?.formatted.padStart(12)}`);
    this.tell(`  the tenant receives   ${net!.formatted.padStart(12)}`);
    if (
      amount.amount === 10_000 &&
      [stripeFee!.amount, applicationFee?.amount, net!.amount].join() !== '320,250,9430'
    ) {
      throw new Error('Of 100.00 these should be 3.20, 2.50 and 94.30.');
    }
  }

  private async showReceipt(invoice: Invoice): Promise<void> {
    const { inboxUrl } = this.dev;
    if (!inboxUrl) return;
    this.say('The customer receives a receipt');
    const arrived = async () => {
      const mails = (await (await fetch(`${inboxUrl}/mails.json`)).json()) as ArrivedMail[];
      return mails.find(({ subject }) => subject.startsWith('Receipt') && subject.endsWith(` ${invoice.number}`));
    };
    const mail = await poll('receipt', arrived, 60_000);
    this.tell(`"${mail.subject}" to ${mail.recipients.join(', ')}, with ${mail.attachments.join(', ')}`);
    this.tell(`${inboxUrl}/${mail.number}`);
  }

  private async showEvents(): Promise<void> {
    this.say('What Stripe told the server');
    const { webhookEvents } = await this.ask<{
      webhookEvents: { nodes: { type: string; kind: string; status: string }[] };
    }>('{ webhookEvents(first: 8) { nodes { type kind status } } }');
    for (const { type, kind, status } of webhookEvents.nodes)
      this.tell(`${status.padEnd(10)} ${type} (${kind.toLowerCase()})`);
  }

  private ask<T>(query: string, variables?: object, token: string = this.#tenant.admin): Promise<T> {
    return graphql<T>(this.dev.graphqlUrl, token, query, variables);
  }

  private say(what: string): void {
    console.log(`\n${String(++this.#step).padStart(2)}  ${what}`);
  }

  private tell(result: string): void {
    console.log(`    ${result}`);
  }
}

const dev = await readDevFile();
if (!dev) {
  console.error('Nothing is running here. Start it first, in another terminal: npm start');
  process.exitCode = 1;
} else {
  try {
    await new Demo(dev).run();
    console.log('\nDone. Look around: ' + dev.graphqlUrl);
  } catch (error) {
    const cause = (error as Error).cause as { code?: string } | undefined;
    if (cause?.code === 'ECONNREFUSED')
      console.error('\nNobody answers. Start it first, in another terminal: npm start');
    else console.error(error instanceof ApiError ? `\nThe server refused: ${error.message}` : error);
    process.exitCode = 1;
  }
}
