/** What the server answered when it refused: the first of its errors. */
export class ApiError extends Error {
  override readonly name = 'ApiError';

  constructor(
    readonly code: string,
    message: string,
  ) {
    super(`${code}: ${message}`);
  }
}

/** One GraphQL request with a token. @throws ApiError with the server's code */
export async function graphql<T>(url: string, token: string, query: string, variables: object = {}): Promise<T> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
    body: JSON.stringify({ query, variables }),
    signal: AbortSignal.timeout(30_000),
  });
  const text = await response.text();
  let answer: { data?: T; errors?: { message: string; extensions?: { code?: string } }[] };
  try {
    answer = JSON.parse(text) as typeof answer;
  } catch {
    throw new ApiError('NOT_JSON', `${url} answered ${response.status}: ${text.slice(0, 200)}`);
  }
  const [error] = answer.errors ?? [];
  if (error) throw new ApiError(error.extensions?.code ?? String(response.status), error.message);
  return answer.data!;
}

/** Asks again every 100 ms until the answer is there. @throws Error saying what never came */
export async function poll<T>(
  what: string,
  ask: () => Promise<T | null | undefined | false>,
  timeoutMs = 20_000,
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const answer = await ask();
    if (answer) return answer;
    if (performance.now() > deadline) throw new Error(`After ${timeoutMs / 1_000} s there is still no ${what}.`);
    await new Promise((done) => setTimeout(done, 100));
  }
}
