/* The page's own script: one form, one outcome. What counts is what the server has heard from Stripe, not what this browser thinks. */
const facts = JSON.parse(document.getElementById('facts').textContent);
const form = document.getElementById('pay');
const outcome = document.getElementById('outcome');
const button = document.getElementById('submit');
const here = location.pathname;
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const returned = new URLSearchParams(location.search).get('redirect_status');
// What the bank's page added does not stay in the address: the client secret is among it.
if (location.search) history.replaceState(null, '', here);

function show(state, { title = facts.headlines[state], text = facts.explanations[state] ?? '', focus = false } = {}) {
  document.getElementById('headline').textContent = title;
  document.getElementById('explanation').textContent = text;
  outcome.className = `outcome ${state}`;
  outcome.hidden = !title;
  form.hidden = !['open', 'failed'].includes(state);
  if (focus) outcome.focus();
}

function busy(isBusy, text) {
  // Not `disabled`: that would take the focus away from who uses the keyboard.
  button.setAttribute('aria-disabled', String(isBusy));
  document.getElementById('submit-text').textContent = isBusy ? text : `Pay ${facts.due}`;
}

async function look() {
  const response = await fetch(`${here}/status`, { headers: { accept: 'application/json' } });
  return response.json();
}

/** Follows the payment until it is decided, or for some minutes. @param expected whether Stripe already said that it worked: then an older failure says nothing */
async function follow(expected) {
  show('busy', { title: 'Please wait', text: 'The payment is being confirmed.', focus: true });
  for (let tries = 0; ; tries += 1) {
    const now = await look().catch(() => ({ state: 'busy' }));
    if (now.due) Object.assign(facts, { due: now.due, dueMinor: now.dueMinor });
    if (now.state === 'processing') show('processing');
    else if (now.state === 'failed' && (!expected || tries > 60)) return failed(now.reason);
    else if (now.state === 'open' && !expected && tries > 8)
      return failed('The payment was not finished. Please try again.');
    else if (now.state === 'expired') return expired();
    else if (['paid', 'void', 'unavailable', 'not-ready'].includes(now.state)) {
      document.getElementById('due').textContent = facts.due;
      return show(now.state, { focus: true });
    }
    if (now.state === 'processing') expected = false;
    else if (tries > 60) show('processing', { text: 'It is taking longer than usual. You may close this page.' });
    if (tries > 240) return undefined;
    await pause(Math.min(400 * 1.15 ** tries, now.state === 'processing' ? 15_000 : 3_000));
  }
}

function failed(text) {
  busy(false);
  show('failed', { text: text ?? 'Please try again, or use another way to pay.', focus: true });
}

function expired() {
  show('expired', {
    title: 'This link has expired',
    text: 'Please ask whoever sent it to you for a new one.',
    focus: true,
  });
}

/** Begins the payment; null when there is nothing to confirm, and the page says why. */
async function begin() {
  const response = await fetch(`${here}/intent`, { method: 'POST' });
  const answer = await response.json();
  if (response.ok) return answer;
  busy(false);
  if (answer.state === 'expired') expired();
  else if (answer.state === 'not-ready') show('not-ready', { focus: true });
  else if (answer.state === 'changed') await follow(false);
  else failed('The payment could not be started. You have not been charged. Please try again in a minute.');
  return null;
}

async function pay(fields) {
  if (button.getAttribute('aria-disabled') === 'true') return;
  outcome.hidden = true;
  if (!(await fields.check())) return;
  busy(true, 'Paying …');
  try {
    const intent = await begin();
    if (!intent) return;
    const { error, status, leaving } = await fields.confirm({ ...intent, returnUrl: location.origin + here });
    if (leaving) return;
    if (error) return failed(error.message);
    await follow(status === 'succeeded' || status === 'processing');
    busy(false);
  } catch {
    failed('The connection was interrupted. Please check below whether the payment is due, and try again.');
  }
}

function start() {
  const fields = makeForm({ fields: document.getElementById('fields'), facts, begin });
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    void pay(fields);
  });
  return fields.ready.then((isReady) => {
    if (isReady !== false) form.hidden = Boolean(returned) || facts.state === 'processing';
  });
}

if (['open', 'failed', 'processing'].includes(facts.state) || returned) {
  start()
    .catch(() => failed('The payment form could not be loaded. Please load the page again.'))
    .then(() => {
      if (returned) return follow(returned === 'succeeded');
      if (facts.state === 'processing') return follow(false);
      return undefined;
    })
    .finally(() => document.body.setAttribute('data-ready', ''));
} else document.body.setAttribute('data-ready', '');
