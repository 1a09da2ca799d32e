import { type Uuid } from './uuid.js';

/** What a user may be. The values are those of the token's `role` claim. */
export const viewerRoles = ['admin', 'billing', 'viewer', 'platform_admin'] as const;

export type ViewerRole = (typeof viewerRoles)[number];

/** Who is asking, as the verified token says. */
export interface Viewer {
  /** The token's `sub`: the user. */
  readonly subject: string;
  readonly role: ViewerRole;
  /** Null for the platform's own people: they belong to no tenant. */
  readonly tenantId: Uuid | null;
}
