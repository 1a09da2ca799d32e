import { type GraphQLResolveInfo } from 'graphql';
import { Authorized, Ctx, Field, Info, ObjectType, Query, Resolver } from 'type-graphql';
import { type Reads } from '../../db/reads/reads.js';
import { type Viewer as TokenViewer } from '../../shared/viewer.js';
import { Role, Tenant, User } from './tenant.entity.js';
import { tenantReads, userReads } from './tenant.reads.js';

/** What these resolvers need of the request. */
export interface ViewerContext {
  readonly viewer: TokenViewer;
  readonly reads: Reads;
}

@ObjectType({ description: 'Who is asking.' })
class Viewer {
  constructor(private readonly token: TokenViewer) {}

  @Field(() => String, { description: 'The subject of the token.' })
  get subject(): string {
    return this.token.subject;
  }

  @Field(() => Role, { description: 'What the user may do.' })
  get role(): Role {
    return this.token.role as Role;
  }

  @Field(() => User, {
    nullable: true,
    description:
      "The PSA's record of the user; null when the token's subject is neither the id nor the e-mail address of one.",
  })
  user(@Ctx() { reads }: ViewerContext, @Info() info: GraphQLResolveInfo): Promise<User | null> | null {
    const { subject, tenantId } = this.token;
    if (!tenantId) return null;
    return reads.one(userReads, /^[1-9]\d{0,8}$/.test(subject) ? { id: Number(subject) } : { email: subject }, info);
  }

  @Field(() => Tenant, { nullable: true, description: 'For whom the user works; null for platform admins.' })
  tenant(@Ctx() { reads }: ViewerContext, @Info() info: GraphQLResolveInfo): Promise<Tenant | null> | null {
    const { tenantId } = this.token;
    return tenantId ? reads.one(tenantReads, { id: tenantId }, info) : null;
  }
}

@Resolver()
export class ViewerResolver {
  @Authorized()
  @Query(() => Viewer, { description: 'Who am I?' })
  viewer(@Ctx() { viewer }: ViewerContext): Viewer {
    return new Viewer(viewer);
  }
}
