/**
 * What the local Stripe does on purpose although the SDK's types say otherwise. Short, and each with its reason; an entry that no
 * longer matches anything should go.
 *
 * `on` is matched against `METHOD /path` or, for an event, its type; `at` against the place and the message of the violation,
 * written `request /payment_method_types: unknown`.
 *
 * @type {{ on: RegExp, at: RegExp, why: string }[]}
 */
export const allowed = [
  {
    on: /^POST \/v1\/(payment_intents|setup_intents|checkout\/sessions)/,
    at: /^request \/payment_method_types: unknown$/,
    why: 'Taken from callers that pin an API version before 2026-09-30, as Stripe does; @stripe/cli is one. Newer ones get a 400.',
  },
  {
    on: /^(GET|POST) \/v1\/(payment_intents|setup_intents|payment_methods)/,
    at: /^request \/(client_secret|expected_payment_method_type|is_stripe_sdk|client_context|client_attribution_metadata|guid|muid|sid|payment_user_agent|referrer|time_on_page): unknown$/,
    why: "Sent by Stripe.js from the browser, under the publishable key; the types are those of the server's SDK.",
  },
  {
    on: /^GET \/v1\/balance\/history/,
    at: /^request: the SDK knows no such call$/,
    why: 'The former name of /v1/balance_transactions, which Stripe still answers and older SDKs use.',
  },
  {
    on: /^POST \/v1\/files$/,
    at: /^request \/file/,
    why: 'An upload travels as a part of a multipart body; the types describe what the SDK takes to make one.',
  },
  {
    on: /^(GET|POST) \/v1\/(charges|application_fees)\/[^/]+\/refunds?$/,
    at: /^request: the SDK knows no such call$/,
    why: 'Where `charge.refunds.url` points to, and the way older SDKs refund.',
  },
  {
    on: /^GET \/v1\/files\/[^/]+\/contents$/,
    at: /^request: the SDK knows no such call$/,
    why: "Where a file's `url` points to: a download and no call of the API.",
  },
  {
    on: /^(GET|POST) \/v1\/payment_pages\//,
    at: /the SDK knows no such call$/,
    why: "What Stripe's own Checkout page calls; the scripts of @stripe/cli complete a session by it.",
  },
  {
    on: /^GET \/v2\//,
    at: /^request \/page: unknown$/,
    why: "The SDK follows `next_page_url` as it is; what stands in its query is the server's own business.",
  },
  {
    on: /^GET \/v2\/core\/events/,
    at: /^request \/created\/\w+: must match pattern/,
    why: 'Stamps of v2 are RFC 3339, as the documentation and the SDKs of other languages have it; this one borrows the range of v1.',
  },
];
