/* The local Stripe's form. It does what Stripe.js does: confirms with the publishable key and the client secret, from this browser. */
function makeForm({ fields, facts }) {
  const banks = {
    usd: { type: 'us_bank_account', name: 'Bank account', label: 'Account number', hint: '000123456789' },
    eur: { type: 'sepa_debit', name: 'SEPA debit', label: 'IBAN', hint: 'DE89370400440532013000' },
    aud: { type: 'au_becs_debit', name: 'BECS debit', label: 'Account number', hint: '000123456' },
  };
  let bank;
  const field = (id, label, attributes, hint) =>
    `<div class="field"><label for="${id}">${label}</label><input id="${id}" name="${id}" aria-describedby="${id}-note" ${attributes}>
    <p class="hint" id="${id}-note" data-hint="${hint ?? ''}">${hint ?? ''}</p></div>`;
  // Only what the account can take; Stripe's own form finds that out by itself.
  async function offered() {
    const path = `/_control/accounts/${facts.stripeAccountId}/payment_method_types?currency=${facts.currency}`;
    const { data = [] } = await (await fetch(facts.localStripe + path)).json();
    const known = banks[facts.currency];
    return known && data.includes(known.type) ? known : undefined;
  }

  const write = () => `
    ${
      bank
        ? `<fieldset><legend>Pay with</legend><label class="choice"><input type="radio" name="kind" value="card" checked>Card</label>
      <label class="choice"><input type="radio" name="kind" value="${bank.type}">${bank.name}</label></fieldset>`
        : ''
    }
    <div id="card">
      ${field('number', 'Card number', 'inputmode="numeric" autocomplete="cc-number" required')}
      <div class="pair">${field('expiry', 'Expires', 'inputmode="numeric" autocomplete="cc-exp" required', 'MM / YY')}
      ${field('cvc', 'Security code', 'inputmode="numeric" autocomplete="cc-csc" required', '3 or 4 digits')}</div>
    </div>
    <div id="bank" hidden>${field('name', 'Account holder', 'autocomplete="name" required')}
      ${field('email', 'E-mail', 'type="email" autocomplete="email" required')}
      ${field('account', bank ? bank.label : 'Account number', 'autocomplete="off" required', bank ? `For a test: ${bank.hint}` : '')}
      <p class="hint">By paying you allow the business to debit this account for this invoice.</p></div>
    <details><summary>Numbers to try</summary><ul><li><code>4242 4242 4242 4242</code> is paid</li>
      <li><code>4000 0000 0000 9995</code> is declined: insufficient funds</li><li><code>4000 0025 0000 3155</code> asks for 3D Secure</li></ul></details>`;

  const value = (id) => document.getElementById(id).value.trim();
  const kind = () => fields.querySelector('input[name=kind]:checked')?.value ?? 'card';
  async function load() {
    bank = await offered();
    fields.innerHTML = write();
    for (const choice of fields.querySelectorAll('input[name=kind]')) {
      choice.addEventListener('change', () => {
        document.getElementById('card').hidden = kind() !== 'card';
        document.getElementById('bank').hidden = kind() === 'card';
      });
    }
  }

  function mark(id, problem) {
    const input = document.getElementById(id);
    const note = document.getElementById(`${id}-note`);
    note.textContent = problem ?? note.dataset.hint;
    note.className = problem ? 'error' : 'hint';
    if (problem) input.setAttribute('aria-invalid', 'true');
    else input.removeAttribute('aria-invalid');
    return problem ? input : null;
  }

  const rules = {
    number: (text) => (/^\d{12,19}$/.test(text.replace(/[ -]/g, '')) ? null : 'Enter the number on the card.'),
    expiry: (text) =>
      /^(0?[1-9]|1[0-2])\s*\/?\s*(\d{2}|\d{4})$/.test(text) ? null : 'Enter month and year, like 12 / 34.',
    cvc: (text) => (/^\d{3,4}$/.test(text) ? null : 'Enter the 3 or 4 digits.'),
    name: (text) => (text ? null : 'Enter the name of the account holder.'),
    email: (text) => (/^\S+@\S+$/.test(text) ? null : 'Enter an e-mail address.'),
    account: (text) => (text ? null : 'Enter the account.'),
  };

  return {
    ready: load(),
    /** Leads to the first field that is wrong. */
    async check() {
      const names = kind() === 'card' ? ['number', 'expiry', 'cvc'] : ['name', 'email', 'account'];
      const wrong = names.map((name) => mark(name, rules[name](value(name)))).filter(Boolean);
      wrong[0]?.focus();
      return wrong.length === 0;
    },
    async confirm({ clientSecret, publishableKey, stripeAccountId, returnUrl }) {
      const form = new URLSearchParams({
        key: publishableKey,
        _stripe_account: stripeAccountId,
        client_secret: clientSecret,
        return_url: returnUrl,
        'payment_method_data[type]': kind(),
      });
      if (kind() === 'card') {
        const [, month, year] = /^(\d{1,2})\s*\/?\s*(\d{2}|\d{4})$/.exec(value('expiry'));
        form.set('payment_method_data[card][number]', value('number').replace(/[ -]/g, ''));
        form.set('payment_method_data[card][exp_month]', String(Number(month)));
        form.set('payment_method_data[card][exp_year]', year.length === 2 ? `20${year}` : year);
        form.set('payment_method_data[card][cvc]', value('cvc'));
      } else {
        form.set('payment_method_data[billing_details][name]', value('name'));
        form.set('payment_method_data[billing_details][email]', value('email'));
        const account = value('account').replace(/\s/g, '');
        if (kind() === 'sepa_debit') form.set('payment_method_data[sepa_debit][iban]', account);
        if (kind() === 'us_bank_account') {
          form.set('payment_method_data[us_bank_account][account_number]', account);
          form.set('payment_method_data[us_bank_account][routing_number]', '110000000');
          form.set('payment_method_data[us_bank_account][account_holder_type]', 'individual');
        }
        if (kind() === 'au_becs_debit') {
          form.set('payment_method_data[au_becs_debit][account_number]', account);
          form.set('payment_method_data[au_becs_debit][bsb_number]', '000000');
        }
        form.set('mandate_data[customer_acceptance][type]', 'online');
        form.set('mandate_data[customer_acceptance][online][infer_from_client]', 'true');
      }
      const [id] = clientSecret.split('_secret_');
      const response = await fetch(`${facts.localStripe}/v1/payment_intents/${id}/confirm`, {
        method: 'POST',
        body: form,
      });
      const answer = await response.json();
      if (answer.error) return { error: answer.error };
      const next = answer.next_action?.redirect_to_url?.url;
      if (next) {
        location.assign(next);
        return { leaving: true };
      }
      return { status: answer.status };
    },
  };
}
