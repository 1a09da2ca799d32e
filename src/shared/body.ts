import { type IncomingMessage } from 'node:http';

/** A body that cannot be read, and the HTTP status that says so. */
export class UnreadableBody extends Error {
  constructor(
    readonly status: 400 | 413 | 415,
    message: string,
  ) {
    super(message);
  }
}

/** Stripe's largest events, and the longest questions, are far below this. */
const maxBytes = 256 * 1024;

/**
 * Reads the bytes of a JSON body, as they come: a compressed one can be a thousand times as large as it arrives, so it is refused.
 * @returns undefined when it is not said to be JSON. A foreign page can send that without asking, so it is not even read
 * @throws UnreadableBody
 */
export async function readJsonBytes(request: IncomingMessage): Promise<Buffer | undefined> {
  const { 'content-type': type = '', 'content-encoding': encoding, 'content-length': length } = request.headers;
  if (!/^application\/json *(;|$)/i.test(type)) return undefined;
  if (encoding !== undefined && encoding !== 'identity')
    throw new UnreadableBody(415, 'compressed bodies are not taken.');
  const charset = /; *charset="?([\w-]+)/i.exec(type)?.[1];
  if (charset && !/^utf-?8$/i.test(charset)) throw new UnreadableBody(415, 'the character set must be UTF-8.');
  if (Number(length) > maxBytes) throw new UnreadableBody(413, 'too large.');
  return collect(request);
}

function collect(request: IncomingMessage): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > maxBytes) return reject(new UnreadableBody(413, 'too large.'));
      chunks.push(chunk);
    });
    request.once('end', () => resolve(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)));
    // Whoever hangs up is an error of the stream first, and none of ours.
    const brokenOff = () => reject(new UnreadableBody(400, 'it did not arrive in full.'));
    request.once('error', brokenOff);
    request.once('close', () => void (request.complete || brokenOff()));
  });
}
