import { type Params, p, shapes } from '../params.js';
import { mandateData } from './mandates.js';
import { methodData } from './payment-methods.js';

const shipping = p.hash({
  address: p.hash(shapes.address).required(),
  name: p.string(),
  phone: p.string().clearable(),
  carrier: p.string(),
  tracking_number: p.string(),
});
/** What creation, update and confirmation have in common. */
const common = {
  allowed_payment_method_types: p.array(p.string()),
  amount_details: p.any(),
  excluded_payment_method_types: p.array(p.string()),
  hooks: p.any(),
  payment_details: p.any(),
  payment_method: p.string().clearable(),
  payment_method_data: p.hash(methodData),
  payment_method_options: p.record(p.any()).clearable(),
  payment_method_types: p.array(p.string()),
  receipt_email: p.string().clearable(),
  setup_future_usage: p.enum('off_session', 'on_session').clearable(),
  shipping: shipping.clearable(),
};
/** What belongs to an attempt. */
const confirming = {
  confirmation_token: p.string(),
  error_on_requires_action: p.boolean(),
  mandate: p.string(),
  mandate_data: mandateData.clearable(),
  off_session: p.oneOf(p.boolean(), p.enum('one_off', 'recurring')),
  radar_options: p.any(),
  return_url: p.string(),
  use_stripe_sdk: p.boolean(),
};
const described = {
  application_fee_amount: p.int().clearable(),
  customer: p.string(),
  customer_account: p.string(),
  description: p.string().clearable(),
  metadata: p.metadata(),
  payment_method_configuration: p.string(),
  statement_descriptor: p.string(),
  statement_descriptor_suffix: p.string(),
  transfer_data: p.any(),
  transfer_group: p.string(),
};
const captureMethod = p.enum('automatic', 'automatic_async', 'manual');
export const createParams = {
  ...common,
  ...confirming,
  ...described,
  amount: p.int().required(),
  currency: p.string().required(),
  automatic_payment_methods: p.hash({ enabled: p.boolean().required(), allow_redirects: p.enum('always', 'never') }),
  capture_method: captureMethod,
  confirm: p.boolean(),
  confirmation_method: p.enum('automatic', 'manual'),
  on_behalf_of: p.string(),
};
export const updateParams = {
  ...common,
  ...described,
  amount: p.int(),
  currency: p.string(),
  capture_method: captureMethod,
};
export const confirmParams = {
  ...common,
  ...confirming,
  amount_to_confirm: p.int(),
  capture_method: captureMethod,
  client_secret: p.string(),
  // What Stripe.js adds of its own.
  expected_payment_method_type: p.string(),
  client_context: p.any(),
  client_attribution_metadata: p.any(),
};

export type CreateIntent = Params<typeof createParams>;
export type ConfirmIntent = Omit<Params<typeof confirmParams>, 'client_secret'>;
