import { Role } from './tenant.entity.js';

/** Everybody who works for a tenant. @example @Authorized(tenantMembers) */
export const tenantMembers: Role[] = [Role.ADMIN, Role.BILLING, Role.VIEWER];

/** Those who may move money. */
export const billingStaff: Role[] = [Role.ADMIN, Role.BILLING];
