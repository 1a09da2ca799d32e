// Mercurius 16 on Fastify, with its just-in-time compiler and its loaders.
import Fastify from 'fastify';
import mercurius from 'mercurius';
import { customers, invoices, Payment, payments, Session, typeDefs } from './support/by-hand.mjs';
import { tenantOf } from './support/viewer.mjs';

const app = Fastify();
app.register(mercurius, {
  schema: typeDefs,
  jit: 1,
  context: async (request) => ({ session: new Session(await tenantOf(request.headers.authorization)) }),
  resolvers: { Query: { payments: (_, args, { session }) => payments(session, args) }, Payment },
  loaders: {
    Payment: {
      customer: (asked, { session }) =>
        customers(
          session,
          asked.map(({ obj }) => obj.customer_id),
        ),
      invoice: (asked, { session }) =>
        invoices(
          session,
          asked.map(({ obj }) => obj.invoice_id),
        ),
    },
  },
});
app.ready().then(() => app.graphql.addHook('onResolution', (_execution, context) => context.session.end()));
app.listen({ port: Number(process.env.PORT), host: '127.0.0.1' });
