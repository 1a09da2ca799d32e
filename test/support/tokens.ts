import { SignJWT } from 'jose';

/** What the server under test is configured with. */
export const jwt = {
  secret: 'only-for-tests-0123456789abcdef-0123456789',
  issuer: 'https://psa.test',
  audience: 'psa-payments',
} as const;

export type Role = 'admin' | 'billing' | 'viewer' | 'platform_admin';

export interface TokenOptions {
  readonly tenantId?: string;
  readonly role?: Role | (string & {});
  readonly subject?: string;
  readonly secret?: string;
  readonly issuer?: string;
  readonly audience?: string;
  /** `1h`, `-1s`. */
  readonly expires?: string;
  readonly algorithm?: string;
  readonly type?: string;
}

/** A token as the PSA would issue it; every part can be made wrong. */
export function aToken(options: TokenOptions = {}): Promise<string> {
  const { tenantId, role = 'admin' } = options;
  return new SignJWT({ role, ...(tenantId && { tenant_id: tenantId }) })
    .setProtectedHeader({ alg: options.algorithm ?? 'HS256', typ: options.type ?? 'JWT' })
    .setSubject(options.subject ?? 'user-1')
    .setIssuer(options.issuer ?? jwt.issuer)
    .setAudience(options.audience ?? jwt.audience)
    .setIssuedAt()
    .setExpirationTime(options.expires ?? '1h')
    .sign(new TextEncoder().encode(options.secret ?? jwt.secret));
}
