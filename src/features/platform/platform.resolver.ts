import { type GraphQLResolveInfo } from 'graphql';
import { Args, Authorized, Ctx, FieldResolver, Info, Query, Resolver } from 'type-graphql';
import { type Reads } from '../../db/reads/reads.js';
import { type Connection, ForwardArgs } from '../../shared/connection.types.js';
import { Role } from '../tenants/tenant.entity.js';
import { platformTenantReads } from './platform.reads.js';
import { type PlatformService } from './platform.service.js';
import { Platform, PlatformTenant, PlatformTenantConnection, PlatformTotals } from './platform.types.js';

/** What these resolvers need of the request. */
export interface PlatformContext {
  /** Reads as the platform for those who belong to no tenant. */
  readonly reads: Reads;
  readonly platform: PlatformService;
}

@Resolver(() => Platform)
export class PlatformResolver {
  @Authorized(Role.PLATFORM_ADMIN)
  @Query(() => Platform, { nullable: true, description: 'All tenants together. Platform admins only.' })
  platform(): Platform {
    return new Platform();
  }

  @FieldResolver(() => PlatformTenantConnection, { description: 'The tenants, by name.' })
  tenants(
    @Args(() => ForwardArgs) page: ForwardArgs,
    @Ctx() { reads }: PlatformContext,
    @Info() info: GraphQLResolveInfo,
  ): Promise<Connection<PlatformTenant>> {
    return reads.connection(platformTenantReads, { page }, info);
  }

  @FieldResolver(() => [PlatformTotals], { description: 'What they took, one line per currency.' })
  totals(@Ctx() { platform }: PlatformContext): Promise<PlatformTotals[]> {
    return platform.totals();
  }
}
