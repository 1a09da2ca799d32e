import { lookup, Resolver } from 'node:dns/promises';
import ipaddr from 'ipaddr.js';
import { badInput } from '../../shared/errors.js';

/** Finds the addresses of a name. */
export type Resolve = (hostname: string) => Promise<readonly string[]>;

/** A request that may be made: to one of these addresses, whatever the name says a moment later. */
export interface Target {
  readonly url: URL;
  /** At least one. */
  readonly addresses: readonly { readonly address: string; readonly family: 4 | 6 }[];
}

/** This server sends nothing there. */
export class ForbiddenTarget extends Error {
  override readonly name = 'ForbiddenTarget';
}

/** Public by its number, and not by its meaning: what a virtual machine at Azure asks about itself. */
const notForUs = new Set(['168.63.129.16']);
const localNames = new Set(['localhost', '127.0.0.1', '[::1]']);

/**
 * Asks name servers, and not the operating system: that would have one of the process's few threads wait for as long as the name's servers please,
 * while Stripe's name waits behind it; and it knows names of our own network.
 */
const systemResolve: Resolve = async (hostname) => {
  if (localNames.has(hostname)) return (await lookup(hostname, { all: true })).map(({ address }) => address);
  const resolver = new Resolver({ timeout: 2_000, tries: 2 });
  const [four, six] = await Promise.allSettled([resolver.resolve4(hostname), resolver.resolve6(hostname)]);
  if (four.status === 'rejected' && six.status === 'rejected') throw four.reason;
  return [four, six].flatMap((found) => (found.status === 'fulfilled' ? found.value : []));
};

/**
 * Decides where this server may be sent by a tenant: to public addresses, over HTTPS. Anything else, its own network, the machine itself, what a
 * cloud tells its machines, would let a tenant look through this server's eyes.
 */
export class AddressGuard {
  /** @param allowsLocal whether plain HTTP to this machine is allowed: in development, and there only */
  constructor(
    private readonly allowsLocal: boolean,
    private readonly resolve: Resolve = systemResolve,
  ) {}

  /**
   * Reads what a tenant gave. Names are not looked up: what they mean is decided when something is sent.
   * @throws AppError BAD_USER_INPUT
   */
  read(given: string, field: string): string {
    if (!URL.canParse(given) || given.length > 2_048) throw badInput(field, 'This is not an address of the web.');
    const url = new URL(given);
    const problem = this.problemOf(url);
    if (problem) throw badInput(field, problem);
    url.hash = '';
    return url.href;
  }

  /**
   * Looks a name up, once, and says which addresses to connect to. All of them must be public: a name with one of each kind is a trick.
   * @throws ForbiddenTarget, or what looking the name up failed with
   */
  async target(address: string): Promise<Target> {
    const url = new URL(address);
    const problem = this.problemOf(url);
    if (problem) throw new ForbiddenTarget(problem);
    const literal = literalOf(url);
    const found = literal ? [literal] : await this.resolve(url.hostname);
    const isLocal = this.isLocal(url);
    if (!found.length || !found.every((one) => (isLocal ? isLoopback(one) : isPublic(one))))
      throw new ForbiddenTarget('The address is not a public one.');
    const familyOf = (address: string) => (ipaddr.parse(address).kind() === 'ipv4' ? 4 : 6);
    return { url, addresses: found.map((address) => ({ address, family: familyOf(address) })) };
  }

  /** What can be said without looking a name up; null when nothing is wrong. */
  private problemOf(url: URL): string | null {
    if (url.username || url.password) return 'An address with a name and a password is not accepted.';
    if (this.isLocal(url)) return null;
    if (url.protocol !== 'https:') return 'The address must begin with https://.';
    const literal = literalOf(url);
    if (literal ? !isPublic(literal) : !/[^.]\.[^.]/.test(url.hostname)) return 'The address is not a public one.';
    return null;
  }

  private isLocal({ protocol, hostname }: URL): boolean {
    return this.allowsLocal && /^https?:$/.test(protocol) && localNames.has(hostname);
  }
}

/** The address that a URL names by its number, however it is written: URLs turn 0x7f.1, 2130706433 and 0177.0.0.1 into 127.0.0.1. */
function literalOf({ hostname }: URL): string | null {
  const bare = hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '');
  return ipaddr.isValid(bare) ? bare : null;
}

function isPublic(address: string): boolean {
  if (!ipaddr.isValid(address)) return false;
  const parsed = ipaddr.parse(address);
  // Whatever hides an IPv4 address in an IPv6 one is no unicast range. Of IPv6 only 2000::/3 is given out.
  if (parsed.range() !== 'unicast' || notForUs.has(parsed.toString())) return false;
  return parsed.kind() === 'ipv4' || parsed.match(ipaddr.parseCIDR('2000::/3'));
}

function isLoopback(address: string): boolean {
  return ipaddr.isValid(address) && ipaddr.parse(address).range() === 'loopback';
}
