import { jwtVerify } from 'jose';

const { JWT_SECRET, JWT_ISSUER, JWT_AUDIENCE } = process.env;
const key = new TextEncoder().encode(JWT_SECRET);
const known = new Map();

/**
 * The tenant of a request, from its verified token. A token is verified once and then remembered, as our server does: what a peer is slower or
 * faster by is not this.
 */
export async function tenantOf(authorization) {
  const found = known.get(authorization);
  if (found) return found;
  const token = /^Bearer (.+)$/.exec(authorization ?? '')?.[1] ?? '';
  const { payload } = await jwtVerify(token, key, {
    algorithms: ['HS256'],
    issuer: JWT_ISSUER,
    audience: JWT_AUDIENCE,
  });
  // It goes into SQL as text.
  if (!/^[0-9a-f-]{36}$/.test(payload.tenant_id)) throw new Error('No tenant.');
  known.set(authorization, payload.tenant_id);
  return payload.tenant_id;
}

/** Restricts a transaction to the tenant's rows. */
export const opening = (tenantId) =>
  `begin read only; set local role app_tenant; set local app.tenant_id = '${tenantId}'; set local app.livemode = 'false'`;
