import type Stripe from 'stripe';
import {
  configurationParams,
  configurationUpdateParams,
  type flowParam,
  portalSessionParams,
  reasons,
} from '../billing/portal-params.js';
import { type Context } from '../context.js';
import { invalid } from '../errors.js';
import { newId, randomText } from '../ids.js';
import { listPage } from '../list.js';
import { listParams, mergeMetadata, type Params, p } from '../params.js';
import { type Resource } from '../resource.js';
import { route } from '../router.js';
import { applicationId } from './balance.js';

type Configuration = Stripe.BillingPortal.Configuration;
type Session = Stripe.BillingPortal.Session;

type Features = NonNullable<Params<typeof configurationParams>['features']>;

function applyFeatures(ctx: Context, to: Configuration['features'], given: Features): void {
  const { customer_update: customer, invoice_history: history, payment_method_update: method } = given;
  if (customer?.enabled !== undefined) to.customer_update.enabled = customer.enabled;
  if (customer?.allowed_updates !== undefined) to.customer_update.allowed_updates = customer.allowed_updates ?? [];
  if (history) to.invoice_history.enabled = history.enabled;
  if (method) Object.assign(to.payment_method_update, method);
  const { subscription_cancel: cancel, subscription_pause: pause, subscription_update: update } = given;
  if (cancel) {
    const { cancellation_reason: reason, ...rest } = cancel;
    Object.assign(to.subscription_cancel, rest);
    if (reason)
      Object.assign(to.subscription_cancel.cancellation_reason, reason, {
        options: reason.options ?? to.subscription_cancel.cancellation_reason.options,
      });
  }
  if (pause?.enabled !== undefined) to.subscription_pause.enabled = pause.enabled;
  if (!update) return;
  const { products, schedule_at_period_end: schedule, default_allowed_updates: allowed, ...rest } = update;
  Object.assign(to.subscription_update, rest);
  if (allowed !== undefined) to.subscription_update.default_allowed_updates = allowed ?? [];
  if (schedule) to.subscription_update.schedule_at_period_end = { conditions: schedule.conditions ?? [] };
  if (products !== undefined)
    to.subscription_update.products = (products ?? []).map((entry, i) => {
      ctx.table('product').require(entry.product, `features[subscription_update][products][${i}][product]`);
      return {
        adjustable_quantity: { maximum: null, minimum: 1, enabled: false, ...entry.adjustable_quantity },
        prices: entry.prices,
        product: entry.product,
      };
    });
}

function newConfiguration(
  ctx: Context,
  params: Partial<Params<typeof configurationParams>>,
  isDefault: boolean,
): Configuration {
  const id = newId('billing_portal.configuration');
  const configuration: Configuration = {
    id,
    object: 'billing_portal.configuration',
    active: true,
    application: ctx.isPlatform ? null : applicationId,
    business_profile: { headline: null, privacy_policy_url: null, terms_of_service_url: null },
    created: ctx.now,
    default_return_url: null,
    features: {
      customer_update: { allowed_updates: isDefault ? ['email', 'tax_id'] : [], enabled: isDefault },
      invoice_history: { enabled: isDefault },
      payment_method_update: { enabled: isDefault, payment_method_configuration: null },
      subscription_cancel: {
        cancellation_reason: { enabled: false, feedback_options: null, options: [...reasons] },
        enabled: isDefault,
        mode: 'at_period_end',
        proration_behavior: 'none',
      },
      subscription_pause: { duration: { interval_options: [], type: 'indefinite' }, enabled: false },
      subscription_update: {
        billing_cycle_anchor: null,
        default_allowed_updates: [],
        enabled: false,
        proration_behavior: 'none',
        schedule_at_period_end: { conditions: [] },
        trial_update_behavior: 'end_trial',
      },
    },
    is_default: isDefault,
    livemode: false,
    login_page: { enabled: false, url: null },
    metadata: {},
    name: null,
    updated: ctx.now,
  };
  apply(ctx, configuration, params);
  return ctx.table('billing_portal.configuration').insert(configuration);
}

function apply(
  ctx: Context,
  configuration: Configuration,
  params: Partial<Params<typeof configurationUpdateParams>>,
): void {
  const { features: given, business_profile: profile, login_page: login, metadata, ...rest } = params;
  if (given) applyFeatures(ctx, configuration.features, given);
  Object.assign(configuration.business_profile, profile);
  if (login)
    configuration.login_page = {
      enabled: login.enabled,
      url: login.enabled ? `${ctx.url}/p/login/${ctx.account}` : null,
    };
  Object.assign(configuration, rest);
  configuration.metadata = mergeMetadata(configuration.metadata ?? {}, metadata);
}

/**
 * The account's default configuration. Real Stripe wants it saved in the Dashboard once; here it is there when it is first needed.
 */
function defaultConfiguration(ctx: Context): Configuration {
  const known = ctx.table('billing_portal.configuration').by('is_default', true)[0];
  return known ?? newConfiguration(ctx, {}, true);
}

/** What the sandbox remembers of a portal session. */
export interface PortalState {
  session: string;
  expiresAt: number;
}

function flowOf(
  ctx: Context,
  given: Params<{ flow: typeof flowParam }>['flow'],
  customer: string,
): Stripe.BillingPortal.Session.Flow | null {
  if (!given) return null;
  const cancel = given.subscription_cancel;
  if (given.type === 'subscription_cancel') {
    if (!cancel)
      throw invalid(
        'Missing required param: flow_data[subscription_cancel].',
        'flow_data[subscription_cancel]',
        'parameter_missing',
      );
    const subscription = ctx
      .table('subscription')
      .require(cancel.subscription, 'flow_data[subscription_cancel][subscription]');
    if (subscription.customer !== customer)
      throw invalid('This subscription belongs to another customer.', 'flow_data[subscription_cancel][subscription]');
  }
  const after = given.after_completion;
  return {
    after_completion: {
      hosted_confirmation: after?.hosted_confirmation
        ? { custom_message: after.hosted_confirmation.custom_message ?? null }
        : null,
      redirect: after?.redirect ?? null,
      type: after?.type ?? 'portal_homepage',
    },
    customer_update: given.type === 'customer_update' ? {} : null,
    subscription_cancel: cancel ? { retention: null, subscription: cancel.subscription } : null,
    subscription_pause: null,
    subscription_update: null,
    subscription_update_confirm: null,
    type: given.type,
  };
}

function createSession(ctx: Context, params: Params<typeof portalSessionParams>): Session {
  if (params.customer === undefined)
    throw invalid('Missing required param: customer.', 'customer', 'parameter_missing');
  const customer = ctx.table('customer').require(params.customer, 'customer');
  if (params.return_url !== undefined && !/^https?:\/\//.test(params.return_url))
    throw invalid('Not a valid URL', 'return_url', 'url_invalid');
  const configuration =
    params.configuration === undefined
      ? defaultConfiguration(ctx)
      : ctx.table('billing_portal.configuration').require(params.configuration, 'configuration');
  if (!configuration.active) throw invalid('This configuration is not active.', 'configuration');
  const token = randomText(32);
  const session = ctx.table('billing_portal.session').insert({
    id: newId('billing_portal.session'),
    object: 'billing_portal.session',
    configuration: configuration.id,
    created: ctx.now,
    customer: customer.id,
    customer_account: null,
    flow: flowOf(ctx, params.flow_data, customer.id),
    livemode: false,
    locale: params.locale ?? null,
    on_behalf_of: params.on_behalf_of ?? null,
    return_url: params.return_url ?? configuration.default_return_url,
    url: `${ctx.url}/p/session/${ctx.account}/${token}`,
  });
  // A link that is not opened is good for five minutes, an open one for an hour; here for the hour.
  Object.assign(ctx.secret<PortalState>(`portal_${token}`), { session: session.id, expiresAt: ctx.now + 3_600 });
  ctx.emit('billing_portal.session.created', session);
  return session;
}

/** The customer portal; its pages stand in `billing-portal-pages.ts`. {@link https://docs.stripe.com/api/customer_portal} */
export const billingPortal: Resource = {
  expandable: ['configuration'],
  routes: [
    route('POST', '/v1/billing_portal/configurations', configurationParams, (ctx, params) => {
      const configuration = newConfiguration(ctx, params, false);
      ctx.emit('billing_portal.configuration.created', configuration);
      return configuration;
    }),
    route(
      'GET',
      '/v1/billing_portal/configurations',
      { ...listParams, active: p.boolean(), is_default: p.boolean() },
      (ctx, { active, is_default: isDefault, ...page }) =>
        listPage(
          ctx.table('billing_portal.configuration'),
          '/v1/billing_portal/configurations',
          page,
          (row) =>
            (active === undefined || row.active === active) &&
            (isDefault === undefined || row.is_default === isDefault),
        ),
    ),
    route('GET', '/v1/billing_portal/configurations/:id', {}, (ctx, _params, { id }) =>
      ctx.table('billing_portal.configuration').require(id, 'configuration'),
    ),
    route('POST', '/v1/billing_portal/configurations/:id', configurationUpdateParams, (ctx, params, { id }) =>
      ctx.change(
        ctx.table('billing_portal.configuration').require(id, 'configuration'),
        'billing_portal.configuration.updated',
        (configuration) => {
          apply(ctx, configuration, params);
          configuration.updated = ctx.now;
        },
      ),
    ),
    route('POST', '/v1/billing_portal/sessions', portalSessionParams, createSession),
  ],
};
