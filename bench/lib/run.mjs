// What every bench begins and ends with.
import { SignJWT } from 'jose';
import { secrets, stopAll } from './programs.mjs';

/** A token of an admin of that tenant, good for a day. */
export function tokenOf(tenant) {
  const { secret, issuer, audience } = secrets.jwt;
  return new SignJWT({ role: 'admin', tenant_id: tenant })
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
    .setSubject('user-1')
    .setIssuer(issuer)
    .setAudience(audience)
    .setIssuedAt()
    .setExpirationTime('1d')
    .sign(new TextEncoder().encode(secret));
}

/** Runs it, stops all that was started, whatever came of it, and ends the process: with 1 when it failed. */
export async function runBench(main, cluster, ...others) {
  let failed = false;
  try {
    await main();
  } catch (error) {
    console.error(error);
    failed = true;
  } finally {
    await stopAll();
    for (const other of others) await other();
    await cluster.stop();
  }
  process.exit(failed ? 1 : 0);
}
