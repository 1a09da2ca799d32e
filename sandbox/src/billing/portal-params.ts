import { p } from '../params.js';
import { unsupported } from './unsupported.js';

/** Why somebody may say that they cancel. */
export const reasons = [
  'customer_service',
  'low_quality',
  'missing_features',
  'other',
  'switched_service',
  'too_complex',
  'too_expensive',
  'unused',
] as const;
const prorations = p.enum('always_invoice', 'create_prorations', 'none');
const features = p.hash({
  customer_update: p.hash({
    allowed_updates: p.array(p.enum('address', 'email', 'name', 'phone', 'shipping', 'tax_id')).clearable(),
    enabled: p.boolean(),
  }),
  invoice_history: p.hash({ enabled: p.boolean().required() }),
  payment_method_update: p.hash({
    enabled: p.boolean().required(),
    payment_method_configuration: p.string().clearable(),
  }),
  subscription_cancel: p.hash({
    cancellation_reason: p.hash({
      enabled: p.boolean().required(),
      feedback_options: p.array(p.string()).clearable(),
      options: p.array(p.enum(...reasons)).clearable(),
    }),
    enabled: p.boolean(),
    mode: p.enum('at_period_end', 'immediately'),
    proration_behavior: prorations,
  }),
  subscription_pause: p.hash({
    duration: p.hash({ interval_options: p.any(), type: p.enum('indefinite', 'interval_options').required() }),
    enabled: p.boolean(),
  }),
  subscription_update: p.hash({
    billing_cycle_anchor: p.enum('now', 'unchanged'),
    default_allowed_updates: p.array(p.enum('price', 'promotion_code', 'quantity')).clearable(),
    enabled: p.boolean(),
    products: p
      .array(
        p.hash({
          adjustable_quantity: p.hash({ enabled: p.boolean().required(), maximum: p.int(), minimum: p.int() }),
          prices: p.array(p.string()).required(),
          product: p.string().required(),
        }),
      )
      .clearable(),
    proration_behavior: prorations,
    schedule_at_period_end: p.hash({
      conditions: p
        .array(p.hash({ type: p.enum('decreasing_item_amount', 'shortening_interval').required() }))
        .clearable(),
    }),
    trial_update_behavior: p.enum('continue_trial', 'end_trial'),
  }),
});
const common = {
  business_profile: p.hash({
    headline: p.string().clearable(),
    privacy_policy_url: p.string().clearable(),
    terms_of_service_url: p.string().clearable(),
  }),
  default_return_url: p.string().clearable(),
  login_page: p.hash({ enabled: p.boolean().required() }),
  metadata: p.metadata(),
  name: p.string().clearable(),
};
/** Parameters of a new configuration. */
export const configurationParams = { ...common, features: features.required() };
/** Parameters of a change. */
export const configurationUpdateParams = { ...common, features, active: p.boolean() };

export const flowParam = p.hash({
  after_completion: p.hash({
    hosted_confirmation: p.hash({ custom_message: p.string() }),
    redirect: p.hash({ return_url: p.string().required() }),
    type: p.enum('hosted_confirmation', 'portal_homepage', 'redirect').required(),
  }),
  subscription_cancel: p.hash({ retention: unsupported('retention offers'), subscription: p.string().required() }),
  subscription_pause: unsupported('a flow for pauses'),
  subscription_update: unsupported('a flow for updates'),
  subscription_update_confirm: unsupported('a flow for updates'),
  type: p
    .enum(
      'customer_update',
      'payment_method_update',
      'subscription_cancel',
      'subscription_pause',
      'subscription_update',
      'subscription_update_confirm',
    )
    .required(),
});

/** Parameters of a portal session. */
export const portalSessionParams = {
  after_expiration: unsupported('login after expiry'),
  configuration: p.string(),
  customer: p.string(),
  customer_account: p.string(),
  flow_data: flowParam,
  locale: p.string(),
  on_behalf_of: p.string(),
  return_url: p.string(),
};
