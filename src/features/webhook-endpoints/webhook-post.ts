import { request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { type AddressGuard, ForbiddenTarget, type Target } from './endpoint-address.js';

/** What became of a request. `status` is null when there was no answer. */
export interface Answer {
  readonly status: number | null;
  /** Null when it arrived. */
  readonly error: string | null;
}

/** An answer's headers and body: nobody reads more of it, and who sends more is cut off. */
const maxHeaderBytes = 8_192;
const maxBodyBytes = 65_536;

/**
 * Sends one request to where a tenant wants it: to an address that was checked, without following anybody anywhere else, and without waiting for
 * longer than `timeoutMs` for all of it.
 */
export async function post(
  guard: AddressGuard,
  { url, headers, body, timeoutMs }: { url: string; headers: Record<string, string>; body: string; timeoutMs: number },
): Promise<Answer> {
  const signal = AbortSignal.timeout(timeoutMs);
  try {
    const target = await Promise.race([guard.target(url), aborted(signal)]);
    const status = await send(target, headers, body, signal);
    return { status, error: status >= 200 && status < 300 ? null : `It answered ${status}.` };
  } catch (error) {
    if (signal.aborted) return { status: null, error: `There was no answer within ${timeoutMs / 1_000} seconds.` };
    if (error instanceof ForbiddenTarget) return { status: null, error: error.message };
    // Only the code: messages name addresses, of which a tenant is to learn nothing.
    const code = (error as NodeJS.ErrnoException).code ?? 'UNKNOWN';
    return { status: null, error: `The connection failed: ${code}.` };
  }
}

function send({ url, addresses }: Target, headers: Record<string, string>, body: string, signal: AbortSignal) {
  const request = url.protocol === 'https:' ? requestHttps : requestHttp;
  return new Promise<number>((resolve, reject) => {
    const sent = request(
      url,
      {
        method: 'POST',
        headers: { ...headers, 'content-length': Buffer.byteLength(body) },
        // The addresses that were checked, whatever the name would say now.
        lookup: (_name, { all }, found) =>
          all ? found(null, [...addresses]) : found(null, addresses[0]!.address, addresses[0]!.family),
        agent: false,
        maxHeaderSize: maxHeaderBytes,
        signal,
      },
      (response) => {
        let bytes = 0;
        response.on('data', (chunk: Buffer) => {
          bytes += chunk.length;
          if (bytes > maxBodyBytes) end();
        });
        response.on('error', reject);
        // The status is the answer; the rest of a long one is not waited for.
        const end = () => {
          resolve(response.statusCode!);
          sent.destroy();
        };
        response.on('end', end);
      },
    );
    sent.on('error', reject);
    // A connection that ends without a word to anybody, as after `101 Switching Protocols`, must not be waited for. What has an answer is settled.
    sent.on('close', () => reject(Object.assign(new Error('It was closed.'), { code: 'ECONNRESET' })));
    sent.end(body);
  });
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });
}
