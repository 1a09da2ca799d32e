import { createHash } from 'node:crypto';
import { invalid } from './errors.js';
import { decodePairs } from './form.js';

/** A file in a form. What is listed of it (for the idempotency fingerprint, for the record) says which file it was, not what is in it. */
export class Upload {
  readonly digest: string;
  readonly #bytes: Buffer;

  constructor(
    readonly name: string,
    readonly type: string,
    bytes: Buffer,
  ) {
    this.#bytes = bytes;
    this.digest = createHash('sha256').update(bytes).digest('hex');
  }

  get bytes(): Buffer {
    return this.#bytes;
  }
}

/**
 * Reads `multipart/form-data`, as SDKs send uploads. {@link https://docs.stripe.com/file-upload}
 * @param body one character per byte (latin1)
 */
export function decodeMultipart(body: string, contentType: string): Record<string, unknown> {
  const boundary = /boundary="?([^";]+)"?/i.exec(contentType)?.[1];
  if (boundary === undefined) throw invalid('Invalid request: multipart/form-data without a boundary.');
  const fields: [string, string][] = [];
  const uploads: Record<string, Upload> = {};
  for (const part of `\r\n${body}`.split(`\r\n--${boundary}`).slice(1)) {
    if (part.startsWith('--')) break;
    const end = part.indexOf('\r\n\r\n');
    if (end < 0) throw invalid('Invalid request: a part of the multipart body has no header.');
    const head = part.slice(0, end);
    const content = Buffer.from(part.slice(end + 4), 'latin1');
    const name = /\bname="([^"]*)"/i.exec(head)?.[1];
    if (name === undefined) continue;
    const filename = /\bfilename="([^"]*)"/i.exec(head)?.[1];
    if (filename === undefined) fields.push([name, content.toString('utf8')]);
    else
      uploads[name] = new Upload(
        Buffer.from(filename, 'latin1').toString('utf8'),
        /content-type:\s*([^\r\n;]+)/i.exec(head)?.[1] ?? 'application/octet-stream',
        content,
      );
  }
  return { ...decodePairs(fields), ...uploads };
}
