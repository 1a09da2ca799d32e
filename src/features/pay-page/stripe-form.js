/*
 * Stripe's Payment Element. https://docs.stripe.com/payments/accept-a-payment-deferred
 * What a subscription bills has an intent already, and the element takes from it what it must know: whether the method is to be kept.
 */
function makeForm({ fields, facts, begin }) {
  let stripe;
  let elements;
  const load = async () => {
    if (typeof Stripe !== 'function') throw new Error('Stripe.js did not load.');
    stripe = Stripe(facts.publishableKey, { stripeAccount: facts.stripeAccountId });
    const intent = facts.isCycle ? await begin() : undefined;
    // The page says why.
    if (intent === null) return false;
    elements = stripe.elements({
      ...(intent
        ? { clientSecret: intent.clientSecret }
        : { mode: 'payment', amount: facts.dueMinor, currency: facts.currency }),
      appearance: { theme: matchMedia('(prefers-color-scheme: dark)').matches ? 'night' : 'stripe' },
    });
    const element = elements.create('payment');
    await new Promise((resolve, reject) => {
      element.on('ready', resolve);
      element.on('loaderror', reject);
      element.mount(fields);
    });
    return true;
  };
  return {
    ready: load(),
    /** The element itself says what is wrong with a field. */
    async check() {
      const { error } = await elements.submit();
      return !error;
    },
    async confirm({ clientSecret, returnUrl }) {
      const { error, paymentIntent } = await stripe.confirmPayment({
        elements,
        ...(!facts.isCycle && { clientSecret }),
        confirmParams: { return_url: returnUrl },
        redirect: 'if_required',
      });
      return error ? { error } : { status: paymentIntent.status };
    },
  };
}
