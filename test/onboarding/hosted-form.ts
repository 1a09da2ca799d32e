/** Where an answer sends a browser, which is not followed. */
export async function redirectOf(url: string, init: RequestInit = {}): Promise<string> {
  const response = await fetch(url, { redirect: 'manual', ...init });
  const location = response.headers.get('location');
  if (!location) throw new Error(`${url} answered ${response.status} and no redirect: ${await response.text()}`);
  return location;
}

/**
 * Goes through Stripe's hosted form as a person would.
 * @param result `complete` fills everything in; `leave` goes back without
 * @returns where the form sends the browser
 */
export async function fillIn(link: string, result: 'complete' | 'leave' = 'complete'): Promise<string> {
  const page = await (await fetch(link)).text();
  const action = /<form method="post" action="([^"]+)"/.exec(page)?.[1];
  const session = /name="session" value="([^"]+)"/.exec(page)?.[1];
  if (!action || !session) throw new Error(`This is no form: ${page.slice(0, 500)}`);
  return redirectOf(new URL(action, link).href, { method: 'POST', body: new URLSearchParams({ session, result }) });
}
