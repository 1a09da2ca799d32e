import {
  createRemoteJWKSet,
  errors,
  jwtVerify,
  type JWTPayload,
  type JWTVerifyGetKey,
  type JWTVerifyOptions,
} from 'jose';
import { type Clock } from '../shared/clock.js';
import { AppError } from '../shared/errors.js';
import { isUuid } from '../shared/uuid.js';
import { type Viewer, type ViewerRole, viewerRoles } from '../shared/viewer.js';

export interface AuthSettings {
  /** HS256. Either this … */
  readonly secret?: string | undefined;
  /** … or where the issuer's public keys are. */
  readonly jwksUrl?: string | undefined;
  readonly issuer: string;
  readonly audience: string;
}

/** Never both kinds: a public key must not become the secret of an HMAC. */
const secretAlgorithms = ['HS256'];
const keyAlgorithms = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
];

/** An ID token or a logout token is signed by the same issuer, but lets nobody in. RFC 8725, section 3.11; RFC 9068 */
const tokenTypes = new Set(['jwt', 'at+jwt', 'application/jwt', 'application/at+jwt']);

const maxTokenLength = 8_192;
/** How long a token that was checked is not checked again, in milliseconds: the longest that a withdrawn key still works. */
const rememberedMs = 60_000;
const maxRemembered = 10_000;

/** Says who sent a request. Tenant and role come from the claims of a verified token and from nowhere else. */
export class Authenticator {
  private readonly key: Uint8Array | JWTVerifyGetKey;
  private readonly options: JWTVerifyOptions;
  private readonly remembered = new Map<string, { readonly viewer: Viewer; readonly until: number }>();

  constructor(
    { secret, jwksUrl, issuer, audience }: AuthSettings,
    private readonly clock: Clock,
  ) {
    // With unknown key ids the keys are fetched again, but not more often than this: nobody can flood the issuer through us.
    this.key = jwksUrl
      ? createRemoteJWKSet(new URL(jwksUrl), { cooldownDuration: 30_000, timeoutDuration: 5_000 })
      : new TextEncoder().encode(secret);
    this.options = {
      algorithms: jwksUrl ? keyAlgorithms : secretAlgorithms,
      issuer,
      audience,
      requiredClaims: ['exp', 'sub', 'iss', 'aud'],
    };
  }

  /**
   * @param header of the request: `Bearer …`
   * @returns null when there is none
   * @throws AppError UNAUTHENTICATED when there is one that does not hold
   */
  async authenticate(header: string | undefined): Promise<Viewer | null> {
    if (header === undefined) return null;
    const token = /^Bearer +([\w.~+/=-]+)$/i.exec(header)?.[1];
    if (!token || token.length > maxTokenLength) throw refused();
    const now = this.clock.now();
    const known = this.remembered.get(token);
    if (known && known.until > now.getTime()) return known.viewer;
    const payload = await this.verify(token, now);
    const viewer = viewerOf(payload);
    if (this.remembered.size >= maxRemembered) this.remembered.clear();
    this.remembered.set(token, { viewer, until: Math.min(payload.exp! * 1000, now.getTime() + rememberedMs) });
    return viewer;
  }

  private async verify(token: string, currentDate: Date): Promise<JWTPayload> {
    try {
      const options = { ...this.options, currentDate };
      const { payload, protectedHeader } = await (typeof this.key === 'function'
        ? jwtVerify(token, this.key, options)
        : jwtVerify(token, this.key, options));
      if (!tokenTypes.has(protectedHeader.typ?.toLowerCase() ?? '')) throw refused();
      return payload;
    } catch (error) {
      if (error instanceof AppError) throw error;
      // That the keys cannot be had says nothing about the token.
      if (error instanceof errors.JWKSTimeout || error instanceof errors.JWKSInvalid) throw error;
      if (error instanceof errors.JOSEError && error.code !== 'ERR_JOSE_GENERIC') throw refused(error);
      throw error;
    }
  }
}

function viewerOf({ sub, role, tenant_id: tenantId }: JWTPayload): Viewer {
  if (!sub || !isRole(role)) throw refused();
  if (role === 'platform_admin') return { subject: sub, role, tenantId: null };
  const canonical = typeof tenantId === 'string' ? tenantId.toLowerCase() : null;
  if (!isUuid(canonical)) throw refused();
  return { subject: sub, role, tenantId: canonical };
}

function isRole(role: unknown): role is ViewerRole {
  return (viewerRoles as readonly unknown[]).includes(role);
}

/** What is wrong with it is not said: only the issuer needs to know, and it can look. */
function refused(cause?: Error): AppError {
  return new AppError('UNAUTHENTICATED', 'The token is missing, wrong or expired.', {}, { cause });
}
