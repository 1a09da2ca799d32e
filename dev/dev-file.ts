import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { SignJWT } from 'jose';
import { localDirectory, writePrivately } from './local-directory.js';

/** What `npm start` tells programs about the running system, in `.local/dev.json`. */
export interface DevFile {
  readonly graphqlUrl: string;
  readonly webhookUrl: string;
  /** Null when a real Stripe is used. */
  readonly sandboxUrl: string | null;
  /** The server's login role. */
  readonly databaseUrl: string;
  readonly publishableKey: string;
  readonly webhookSecrets: { readonly snapshot: string; readonly thin: string };
  readonly tokens: {
    readonly platformAdmin: string;
    readonly tenants: readonly { id: string; name: string; admin: string; billing: string; viewer: string }[];
  };
  /** A page with the mails that arrived on this machine. Null when they go elsewhere. */
  readonly inboxUrl: string | null;
}

const file = join(localDirectory, 'dev.json');

export function writeDevFile(content: DevFile): Promise<void> {
  return writePrivately(file, content);
}

/** Gone, it says that nothing is running. */
export function removeDevFile(): Promise<void> {
  return rm(file, { force: true });
}

export async function readDevFile(): Promise<DevFile | null> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as DevFile;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

export interface TokenSettings {
  readonly secret: string;
  readonly issuer: string;
  readonly audience: string;
}

/** Tokens as the PSA would issue them, good for thirty days. */
export async function issueTokens(
  settings: TokenSettings,
  tenants: readonly { readonly id: string; readonly name: string }[],
): Promise<DevFile['tokens']> {
  const issue = (subject: string, claims: Record<string, string>) =>
    new SignJWT(claims)
      .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
      .setSubject(subject)
      .setIssuer(settings.issuer)
      .setAudience(settings.audience)
      .setIssuedAt()
      .setExpirationTime('30d')
      .sign(new TextEncoder().encode(settings.secret));
  return {
    platformAdmin: await issue('platform-admin', { role: 'platform_admin' }),
    tenants: await Promise.all(
      tenants.map(async ({ id, name }) => {
        const [admin, billing, viewer] = await Promise.all(
          ['admin', 'billing', 'viewer'].map((role) => issue(`${role}@${id}`, { role, tenant_id: id })),
        );
        return { id, name, admin: admin!, billing: billing!, viewer: viewer! };
      }),
    ),
  };
}
