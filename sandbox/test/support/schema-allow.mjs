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
    on: /^GET \/v2\//,
    at: /^request \/page: unknown$/,
    why: "The SDK follows `next_page_url` as it is; what stands in its query is the server's own business.",
  },
];
