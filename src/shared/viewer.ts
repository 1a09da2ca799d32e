import { type Uuid } from './uuid.js';

/** What a user may do within the tenant. The values are those of the token's `role` claim. */
export type ViewerRole = 'admin' | 'billing' | 'viewer' | 'platform_admin';

/** Who is asking, as the verified token says. */
export interface Viewer {
  /** The token's `sub`: the user. */
  readonly subject: string;
  readonly role: ViewerRole;
  /** Null for the platform's own people: they belong to no tenant. */
  readonly tenantId: Uuid | null;
}
