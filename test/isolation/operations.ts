import { randomUUID } from 'node:crypto';
import {
  getNamedType,
  getNullableType,
  type GraphQLField,
  type GraphQLNamedType,
  type GraphQLSchema,
  isLeafType,
  isListType,
  isObjectType,
  isRequiredArgument,
} from 'graphql';
import { type Role } from '../support/tokens.js';

/** The ids that a client may name, of one tenant; or of nobody. */
export interface Ids {
  readonly tenant: string;
  readonly customer: number;
  readonly contract: number;
  readonly invoice: number;
  readonly paymentMethod: string;
  readonly subscription: string;
  readonly payment: string;
  readonly payout: string;
  readonly dispute: string;
  readonly webhookEvent: string;
  readonly webhookEndpoint: string;
  readonly webhookDelivery: string;
  readonly dunningCase: string;
  readonly mail: string;
  readonly stripePaymentMethod: string;
}

type Variables = Record<string, unknown>;

export interface Operation {
  readonly who: readonly Role[];
  /**
   * What it is asked with: one set of variables for each way of naming something.
   * @param ids what is named
   * @param own what belongs to whoever asks, to name the one thing together with the other
   */
  readonly asked?: (ids: Ids, own: Ids) => Variables[];
}

const staff: readonly Role[] = ['admin', 'billing', 'viewer'];
const billing: readonly Role[] = ['admin', 'billing'];
const admin: readonly Role[] = ['admin'];
const platform: readonly Role[] = ['platform_admin'];
const input = (fields: Variables) => ({ input: fields });
const key = () => ({ idempotencyKey: randomUUID() });
const year = { from: '2026-01-01T00:00:00Z', to: '2027-01-01T00:00:00Z' };

/** Every operation of the schema. A new one fails the tests until it stands here, with who may use it and what can be named in it. */
export const operations: Readonly<Record<string, Operation>> = {
  'Query.viewer': { who: [...staff, 'platform_admin'] },
  'Query.jobs': { who: platform },
  'Mutation.runJob': { who: platform, asked: () => [{ input: { name: 'drift-check' } }] },
  'Query.stripeConfig': { who: staff },
  'Query.customer': { who: staff, asked: ({ customer }) => [{ id: customer }] },
  'Query.customers': { who: staff },
  'Query.invoice': { who: staff, asked: ({ invoice }) => [{ id: invoice }] },
  'Query.invoices': { who: staff, asked: ({ customer }) => [{}, { filter: { customerId: customer } }] },
  'Query.contract': { who: staff, asked: ({ contract }) => [{ id: contract }] },
  'Query.contracts': { who: staff, asked: ({ customer }) => [{}, { filter: { customerId: customer } }] },
  'Query.paymentMethods': { who: staff, asked: ({ customer }) => [{ customerId: customer }] },
  'Query.payment': { who: staff, asked: ({ payment }) => [{ id: payment }] },
  'Query.payments': {
    who: staff,
    asked: ({ customer, invoice, subscription }) => [
      {},
      { filter: { customerId: customer } },
      { filter: { invoiceId: invoice } },
      { filter: { subscriptionId: subscription } },
    ],
  },
  'Query.dispute': { who: staff, asked: ({ dispute }) => [{ id: dispute }] },
  'Query.disputes': { who: staff, asked: ({ payment }) => [{}, { filter: { paymentId: payment } }] },
  'Query.subscription': { who: staff, asked: ({ subscription }) => [{ id: subscription }] },
  'Query.subscriptions': {
    who: staff,
    asked: ({ customer, contract }) => [{}, { filter: { customerId: customer } }, { filter: { contractId: contract } }],
  },
  'Query.subscriptionPreview': {
    who: staff,
    asked: ({ subscription }) => [input({ id: subscription, quantity: 2, ...key() })],
  },
  'Query.ledger': {
    who: staff,
    asked: ({ payment }) => [{}, { filter: { account: 'SUSPENSE' } }, { filter: { paymentId: payment } }],
  },
  'Query.payout': { who: staff, asked: ({ payout }) => [{ id: payout }] },
  'Query.payouts': { who: staff },
  'Query.ledgerCheck': { who: staff },
  'Query.failedPayments': { who: staff, asked: ({ customer }) => [{}, { filter: { customerId: customer } }] },
  'Query.paymentFailures': { who: staff, asked: () => [{ ...year, interval: 'MONTH' }] },
  'Query.mrr': { who: staff, asked: () => [year] },
  'Query.mrrCohorts': { who: staff, asked: () => [year] },
  'Query.trialConversion': { who: staff, asked: () => [year] },
  'Query.revenue': { who: staff, asked: () => [{ ...year, interval: 'MONTH' }] },
  'Query.balance': { who: staff },
  'Query.webhookEvent': { who: staff, asked: ({ webhookEvent }) => [{ id: webhookEvent }] },
  'Query.webhookEvents': { who: staff },
  'Query.driftReport': { who: staff },
  'Query.mails': { who: admin, asked: ({ customer }) => [{}, { filter: { customerId: customer } }] },
  'Query.mailSettings': { who: admin },
  'Mutation.updateMailSettings': { who: admin, asked: () => [input({ senderName: 'Somebody', muted: ['TRIALS'] })] },
  'Mutation.resendMail': { who: admin, asked: ({ mail }) => [input({ id: mail })] },
  'Query.dunningSettings': { who: staff },
  'Query.dunningCases': { who: staff, asked: ({ customer }) => [{}, { filter: { customerId: customer } }] },
  'Mutation.updateDunningSettings': { who: admin, asked: () => [input({ retryDays: [2, 4], end: 'CANCEL' })] },
  'Mutation.stopDunning': { who: billing, asked: ({ dunningCase }) => [input({ caseId: dunningCase })] },
  'Mutation.retryDunningNow': { who: billing, asked: ({ dunningCase }) => [input({ caseId: dunningCase, ...key() })] },
  'Query.auditLog': { who: admin },
  'Query.platform': { who: platform },

  'Mutation.createConnectAccount': {
    who: admin,
    asked: () => [input({ email: 'owner@nord.example', country: 'DE', ...key() })],
  },
  'Mutation.createAccountLink': { who: admin, asked: () => [input({})] },
  'Mutation.syncConnectAccount': { who: billing },
  'Mutation.disconnectAccount': { who: admin },
  'Mutation.updateApplicationFee': {
    who: platform,
    asked: ({ tenant }) => [input({ tenantId: tenant, percent: '99', fixed: 1 })],
  },
  'Mutation.createPaymentIntent': {
    who: billing,
    asked: ({ invoice, customer, paymentMethod }, own) => [
      input({ invoiceId: invoice, ...key() }),
      input({ customerId: customer, amount: 1_000, currency: 'usd', ...key() }),
      input({
        customerId: own.customer,
        amount: 1_000,
        currency: 'usd',
        paymentMethodId: paymentMethod,
        confirm: true,
        ...key(),
      }),
      input({ invoiceId: own.invoice, paymentMethodId: paymentMethod, confirm: true, offSession: true, ...key() }),
    ],
  },
  'Mutation.capturePayment': { who: billing, asked: ({ payment }) => [input({ paymentId: payment, ...key() })] },
  'Mutation.cancelPayment': { who: billing, asked: ({ payment }) => [input({ paymentId: payment })] },
  'Mutation.createInvoicePayLink': {
    who: billing,
    asked: ({ invoice }) => [input({ invoiceId: invoice, expiresInHours: 1 })],
  },
  'Mutation.refundPayment': { who: billing, asked: ({ payment }) => [input({ paymentId: payment, ...key() })] },
  'Mutation.submitDisputeEvidence': {
    who: billing,
    asked: ({ dispute }) => [input({ disputeId: dispute, evidence: { customerName: 'A Customer' }, ...key() })],
  },
  'Mutation.acceptDispute': { who: billing, asked: ({ dispute }) => [input({ disputeId: dispute, ...key() })] },
  'Mutation.createSetupIntent': { who: billing, asked: ({ customer }) => [input({ customerId: customer, ...key() })] },
  'Mutation.attachPaymentMethod': {
    who: billing,
    asked: ({ customer, stripePaymentMethod }, own) => [
      input({ customerId: customer, stripePaymentMethodId: 'pm_card_visa' }),
      input({ customerId: own.customer, stripePaymentMethodId: stripePaymentMethod }),
    ],
  },
  'Mutation.setDefaultPaymentMethod': {
    who: billing,
    asked: ({ paymentMethod }) => [input({ paymentMethodId: paymentMethod })],
  },
  'Mutation.detachPaymentMethod': {
    who: billing,
    asked: ({ paymentMethod }) => [input({ paymentMethodId: paymentMethod })],
  },
  'Mutation.createBillingPortalSession': {
    who: billing,
    asked: ({ customer }) => [input({ customerId: customer })],
  },
  'Mutation.createSubscription': {
    who: billing,
    asked: ({ contract, paymentMethod }, own) => [
      input({ contractId: contract, ...key() }),
      input({ contractId: own.contract, paymentMethodId: paymentMethod, ...key() }),
    ],
  },
  'Mutation.updateSubscription': {
    who: billing,
    asked: ({ subscription }) => [input({ id: subscription, quantity: 2, ...key() })],
  },
  'Mutation.cancelSubscription': {
    who: billing,
    asked: ({ subscription }) => [input({ id: subscription, atPeriodEnd: false })],
  },
  'Mutation.pauseSubscription': { who: billing, asked: ({ subscription }) => [input({ id: subscription })] },
  'Mutation.resumeSubscription': { who: billing, asked: ({ subscription }) => [input({ id: subscription })] },
  'Mutation.reconcile': { who: admin, asked: () => [input({ dryRun: true })] },
  'Query.webhookEndpoints': { who: admin },
  'Query.webhookDeliveries': {
    who: admin,
    asked: ({ webhookEndpoint }) => [{}, { filter: { endpointId: webhookEndpoint } }],
  },
  'Mutation.createWebhookEndpoint': {
    who: admin,
    asked: () => [input({ url: 'https://hooks.example.com/', types: ['invoice.paid'] })],
  },
  'Mutation.updateWebhookEndpoint': {
    who: admin,
    asked: ({ webhookEndpoint }) => [input({ id: webhookEndpoint, description: 'Other.' })],
  },
  'Mutation.rotateWebhookSecret': { who: admin, asked: ({ webhookEndpoint }) => [input({ id: webhookEndpoint })] },
  'Mutation.pingWebhookEndpoint': { who: admin, asked: ({ webhookEndpoint }) => [input({ id: webhookEndpoint })] },
  'Mutation.replayWebhookDelivery': { who: admin, asked: ({ webhookDelivery }) => [input({ id: webhookDelivery })] },
  'Mutation.deleteWebhookEndpoint': { who: admin, asked: ({ webhookEndpoint }) => [input({ id: webhookEndpoint })] },
  'Mutation.replayWebhookEvent': { who: admin, asked: ({ webhookEvent }) => [input({ id: webhookEvent })] },

  // Over HTTP they are refused to everybody; what they show to whom is tested over WebSocket, in test/live.
  'Subscription.paymentUpdated': { who: staff },
  'Subscription.stripeConfigUpdated': { who: staff },
};

/** The names of all operations that a schema has, as they stand in the table. */
export function operationsOf(schema: GraphQLSchema): string[] {
  const roots = [schema.getQueryType(), schema.getMutationType(), schema.getSubscriptionType()];
  return roots.flatMap((root) => Object.keys(root?.getFields() ?? {}).map((field) => `${root!.name}.${field}`));
}

const tokensIn = (document: string): number => document.match(/[$\w]+|[{}()[\]!:]/g)?.length ?? 0;

/** A document for an operation that asks for all there is, as many levels deep as the server reads. */
export function documentOf(schema: GraphQLSchema, name: string): string {
  const whole = documentTo(3, schema, name);
  return tokensIn(whole) < 950 ? whole : documentTo(2, schema, name);
}

function documentTo(depth: number, schema: GraphQLSchema, name: string): string {
  const [root = '', field = ''] = name.split('.');
  const { args, type } = (
    schema.getType(root) as { getFields(): Record<string, GraphQLField<unknown, unknown>> }
  ).getFields()[field]!;
  const declared = args.map((arg) => `$${arg.name}: ${String(arg.type)}`).join(', ');
  const passed = args.map((arg) => `${arg.name}: $${arg.name}`).join(', ');
  return `${root.toLowerCase()} ${declared && `(${declared})`} { ${field} ${passed && `(${passed})`} ${selection(getNamedType(type), depth)} }`;
}

/** @param above the types that lead here: what goes back to one of them shows nothing new */
function selection(type: GraphQLNamedType, depth: number, above: readonly string[] = []): string {
  if (!isObjectType(type)) return '';
  const fields = Object.values(type.getFields()).flatMap((field) => {
    if (field.args.some(isRequiredArgument)) return [];
    const named = getNamedType(field.type);
    if (isLeafType(named)) return [field.name];
    // A list within a list multiplies what is read; the first level shows whose it is.
    const isList = /Connection$/.test(named.name);
    const isMany = isList || (isListType(getNullableType(field.type)) && !/^(nodes|edges)$/.test(field.name));
    if (depth === 0 || (isMany && depth < 2) || above.includes(named.name)) return [];
    return [`${field.name} ${selection(named, isList ? depth : depth - 1, [...above, type.name])}`];
  });
  return fields.length ? `{ ${fields.join(' ')} }` : '{ __typename }';
}
