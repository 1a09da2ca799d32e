import { badInput } from '../../shared/errors.js';

const longest = 2_000;

/** Printable ASCII without what browsers read in their own way: spaces, quotes, angle brackets, backslashes, backticks, braces, `|`, `^`. */
const plain = /^[!#-;=?-\[\]_a-z~]*$/;

/** A scheme, a host written out in plain letters, perhaps a port, and then the end of the authority. No userinfo, no encoded or IDN host. */
const absolute = /^https?:\/\/([a-z0-9.-]+|\[[0-9a-f:]+\])(:\d{1,5})?(?=[/?#]|$)/;

/**
 * Where a browser may be sent back to: exactly the origins of `RETURN_URL_ORIGINS`. What a client asks for is a path on the first of them,
 * or a whole URL on any. Nothing here is ever fetched by the server.
 */
export class ReturnUrls {
  private readonly origins: readonly string[];

  /** @param origins as in `https://app.example.com`; the first is the one that paths are on */
  constructor(origins: readonly string[]) {
    this.origins = origins.map((origin) => new URL(origin).origin);
    if (this.origins.length === 0) throw new Error('There is no origin to return to.');
  }

  /** The place to return to when none was named: the first origin's front page. */
  get home(): string {
    return `${this.origins[0]}/`;
  }

  /**
   * @param field named in the error
   * @throws AppError BAD_USER_INPUT for anything that a browser could take for another origin
   */
  resolve(wanted: string, field: string): string {
    if (wanted.length > longest) throw badInput(field, `It may have at most ${longest} characters.`);
    const url = plain.test(wanted) ? this.parse(wanted) : null;
    if (!url) throw badInput(field, 'It must be a path, or a URL on one of the origins that are allowed.');
    return url.href;
  }

  /** Whether a URL that was once resolved may still be used: the list may have changed since. */
  allows(url: string): boolean {
    return URL.canParse(url) && this.origins.includes(new URL(url).origin);
  }

  private parse(wanted: string): URL | null {
    // `//host` and `/\host` are other hosts to a browser, and so is what decodes to them further down the road.
    const isPath = /^\/(?!\/|%2f|%5c)/i.test(wanted);
    if (!isPath && !absolute.test(wanted)) return null;
    if (!URL.canParse(wanted, this.home)) return null;
    const url = new URL(wanted, this.home);
    const isOurs = this.origins.includes(url.origin) && url.username === '' && url.password === '';
    // Dot segments may have left two slashes in front: `/.//host`.
    return isOurs && !url.pathname.startsWith('//') ? url : null;
  }
}
