/**
 * Errors as Stripe words them. The wire form is `{ error: { type, code, message, param, doc_url, … } }`.
 * {@link https://docs.stripe.com/api/errors} {@link https://docs.stripe.com/error-codes}
 */

type ErrorType = 'api_error' | 'card_error' | 'idempotency_error' | 'invalid_request_error';

export interface ErrorFields {
  type?: ErrorType;
  code?: string;
  param?: string;
  decline_code?: string;
  charge?: string;
  payment_intent?: unknown;
  payment_method?: unknown;
  payment_method_type?: string;
  setup_intent?: unknown;
  advice_code?: string;
  network_decline_code?: string;
}

/** Thrown by any handler; the transport turns it into the answer. */
export class StripeError extends Error {
  /**
   * @param status HTTP status
   * @param fields what stands beside `message` in the `error` hash
   */
  constructor(
    readonly status: number,
    message: string,
    readonly fields: ErrorFields = {},
  ) {
    super(message);
    this.name = 'StripeError';
  }

  /**
   * Validation failures are not kept under the idempotency key, so the corrected request may reuse it.
   * {@link https://docs.stripe.com/api/idempotent_requests}
   */
  get isValidation(): boolean {
    const code = this.fields.code ?? '';
    return (
      (this.status === 400 && (code === '' || /^(parameter_|amount_|payment_method_types|url_|invalid_)/.test(code))) ||
      this.status === 401 ||
      this.status === 403 ||
      this.status === 404
    );
  }

  toJSON(requestId: string): { error: Record<string, unknown> } {
    const { type = 'invalid_request_error', code, ...rest } = this.fields;
    return {
      error: {
        ...(code && { code, doc_url: `https://stripe.com/docs/error-codes/${code.replaceAll('_', '-')}` }),
        ...rest,
        message: this.message,
        request_log_url: `https://dashboard.stripe.com/test/logs/${requestId}`,
        type,
      },
    };
  }
}

/** 400, with the offending parameter in Stripe's bracket notation. */
export function invalid(message: string, param?: string, code?: string): StripeError {
  return new StripeError(400, message, { ...(code && { code }), ...(param && { param }) });
}

/** 404 `resource_missing`, also for objects that exist on another account. */
export function missing(object: string, id: string, param = 'id'): StripeError {
  return new StripeError(404, `No such ${object.replace(/^.*\./, '')}: '${id}'`, { code: 'resource_missing', param });
}

/** 402: the card or the bank said no. */
export function cardError(message: string, fields: ErrorFields): StripeError {
  return new StripeError(402, message, { type: 'card_error', ...fields });
}
