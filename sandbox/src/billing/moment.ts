import { type Context } from '../context.js';
import { type Reference } from '../objects.js';

/**
 * Runs a request's work at one whole second, the customer's: periods are compared by the second, and one that passes in the middle of a
 * request would leave a period of its own.
 */
export function atMoment<T>(ctx: Context, owner: { test_clock?: Reference }, work: () => T): T {
  return ctx.sandbox.clock.pin(ctx.timeOf(owner), work);
}
