import 'reflect-metadata';
import { type GraphQLSchema } from 'graphql';
import { type AuthChecker, buildSchemaSync, type NonEmptyArray } from 'type-graphql';
import { attachReads } from '../db/reads/attach.js';
import { CustomerResolver } from '../features/customers/customer.resolver.js';
import { OnboardingResolver } from '../features/onboarding/onboarding.resolver.js';
import { ViewerResolver } from '../features/tenants/viewer.resolver.js';
import { AppError } from '../shared/errors.js';
import { type Viewer } from '../shared/viewer.js';

/** Every resolver there is. */
const resolvers: NonEmptyArray<new () => object> = [ViewerResolver, OnboardingResolver, CustomerResolver];

/** Who may use a field. Only root fields ask: what is below them was let through with them. */
const authChecker: AuthChecker<{ readonly viewer: Viewer | null }, string> = ({ context: { viewer } }, roles) => {
  if (!viewer) throw new AppError('UNAUTHENTICATED', 'A token is needed: `Authorization: Bearer …`.');
  if (roles.length && !roles.includes(viewer.role)) throw new AppError('FORBIDDEN', 'Your role may not do this.');
  return true;
};

/** The whole schema, ready to be executed. */
export function createSchema(): GraphQLSchema {
  return attachReads(
    // Inputs are checked by their scalars and by the services, which know what the values mean.
    buildSchemaSync({ resolvers, authChecker, validate: false, nullableByDefault: false }),
  );
}
