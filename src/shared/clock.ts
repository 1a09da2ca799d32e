/** Where the time comes from. Injected, so that a test can move it. All times are UTC instants. */
export interface Clock {
  now(): Date;
}

export const systemClock: Clock = { now: () => new Date() };

/** Stripe's stamps are whole seconds since 1970. They are compared only with one another, never with our own clock. */
export function stripeTime(seconds: number): Date {
  return new Date(seconds * 1000);
}
