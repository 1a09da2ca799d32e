import type Stripe from 'stripe';
import { type Context } from '../context.js';
import { missing } from '../errors.js';
import { newId, randomText } from '../ids.js';
import { p } from '../params.js';
import { type Resource } from '../resource.js';
import { route } from '../router.js';
import { type MethodState } from './payment-methods.js';

/** The customer's word that they agreed to be debited. */
export const mandateData = p.hash({
  customer_acceptance: p
    .hash({
      accepted_at: p.timestamp(),
      offline: p.any(),
      // What Stripe.js sends: who agrees is who asks.
      online: p.hash({ infer_from_client: p.boolean(), ip_address: p.string(), user_agent: p.string() }),
      type: p.enum('offline', 'online').required(),
    })
    .required(),
});
type MandateData = ReturnType<typeof mandateData.parse>;

function detailsOf(ctx: Context, method: Stripe.PaymentMethod, id: string): Stripe.Mandate.PaymentMethodDetails {
  const url = `${ctx.url}/mandates/${id}`;
  const reference = randomText(16).toUpperCase();
  switch (method.type) {
    case 'sepa_debit':
      return { type: 'sepa_debit', sepa_debit: { reference, url } };
    case 'au_becs_debit':
      return { type: 'au_becs_debit', au_becs_debit: { url } };
    case 'bacs_debit':
      return {
        type: 'bacs_debit',
        bacs_debit: {
          display_name: null,
          network_status: 'accepted',
          reference,
          revocation_reason: null,
          service_user_number: null,
          url,
        },
      };
    default:
      return { type: method.type, us_bank_account: {} };
  }
}

/**
 * The customer's permission to debit a bank account: for one payment of this amount, or for all to come.
 * {@link https://docs.stripe.com/api/mandates}
 */
export function createMandate(
  ctx: Context,
  method: Stripe.PaymentMethod,
  data: MandateData | null,
  single: { amount: number; currency: string } | null,
): Stripe.Mandate {
  const id = newId('mandate');
  const given = data?.customer_acceptance;
  const type = given?.type ?? 'online';
  const mandate = ctx.table('mandate').insert({
    id,
    object: 'mandate',
    customer_acceptance: {
      accepted_at: given?.accepted_at ?? ctx.now,
      ...(type === 'offline'
        ? { offline: {} }
        : {
            online: {
              ip_address: given?.online?.ip_address ?? '127.0.0.1',
              user_agent: given?.online?.user_agent ?? 'local-stripe',
            },
          }),
      type,
    },
    livemode: false,
    ...(single ? { single_use: single } : { multi_use: {} }),
    payment_method: method.id,
    payment_method_details: detailsOf(ctx, method, id),
    status: 'active',
    type: single ? 'single_use' : 'multi_use',
  });
  if (!single) ctx.secret<MethodState>(method.id).mandate = id;
  return mandate;
}

/** The mandate under which a method may be debited again, if there is one. */
export function mandateOf(ctx: Context, method: string): Stripe.Mandate | null {
  const { mandate } = ctx.secret<MethodState>(method);
  return mandate === undefined ? null : (ctx.table('mandate').get(mandate) ?? null);
}

/** The bank says that the customer never agreed, or that there is no such account: nothing may be debited any more. */
export function endMandate(ctx: Context, id: string): void {
  const mandate = ctx.table('mandate').get(id);
  if (mandate) setStatus(ctx, mandate, 'inactive');
}

function setStatus(ctx: Context, mandate: Stripe.Mandate, status: Stripe.Mandate.Status): void {
  ctx.change(mandate, 'mandate.updated', () => {
    mandate.status = status;
    const { bacs_debit: bacs } = mandate.payment_method_details;
    if (bacs)
      Object.assign(
        bacs,
        status === 'inactive'
          ? { network_status: 'revoked', revocation_reason: 'debit_not_authorized' }
          : { network_status: status === 'active' ? 'accepted' : 'pending', revocation_reason: null },
      );
  });
}

/** Mandates. {@link https://docs.stripe.com/api/mandates} */
export const mandates: Resource = {
  expandable: ['mandate', 'single_use_mandate'],
  routes: [
    route('GET', '/v1/mandates/:id', {}, (ctx, _params, { id }) => ctx.table('mandate').require(id, 'mandate')),
    /** What a bank or a customer says of a mandate of any account. */
    route(
      'POST',
      '/_control/mandates/:id',
      { status: p.enum('active', 'inactive', 'pending').required() },
      (ctx, { status }, { id }) => {
        for (const { account } of ctx.sandbox.store.all()) {
          const own = ctx.on(account);
          const mandate = own.table('mandate').get(id);
          if (!mandate) continue;
          setStatus(own, mandate, status);
          return mandate;
        }
        throw missing('mandate', id);
      },
      'public',
    ),
  ],
};
