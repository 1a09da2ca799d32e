/* Stripe's Payment Element. https://docs.stripe.com/payments/accept-a-payment-deferred */
function makeForm({ fields, facts }) {
  let stripe;
  let elements;
  const load = async () => {
    if (typeof Stripe !== 'function') throw new Error('Stripe.js did not load.');
    stripe = Stripe(facts.publishableKey, { stripeAccount: facts.stripeAccountId });
    elements = stripe.elements({
      mode: 'payment',
      amount: facts.dueMinor,
      currency: facts.currency,
      appearance: { theme: matchMedia('(prefers-color-scheme: dark)').matches ? 'night' : 'stripe' },
    });
    const element = elements.create('payment');
    await new Promise((resolve, reject) => {
      element.on('ready', resolve);
      element.on('loaderror', reject);
      element.mount(fields);
    });
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
        clientSecret,
        confirmParams: { return_url: returnUrl },
        redirect: 'if_required',
      });
      return error ? { error } : { status: paymentIntent.status };
    },
  };
}
