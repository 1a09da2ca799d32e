// GraphQL Yoga 5 with DataLoader.
import { createServer } from 'node:http';
import DataLoader from 'dataloader';
import { createSchema, createYoga } from 'graphql-yoga';
import { customers, invoices, Payment, payments, Session, typeDefs } from './support/by-hand.mjs';
import { tenantOf } from './support/viewer.mjs';

const yoga = createYoga({
  logging: 'error',
  schema: createSchema({
    typeDefs,
    resolvers: {
      Query: { payments: (_, args, { session }) => payments(session, args) },
      Payment: {
        ...Payment,
        customer: ({ customer_id: id }, _, { customers }) => customers.load(id),
        invoice: ({ invoice_id: id }, _, { invoices }) => invoices.load(id),
      },
    },
  }),
  context: async ({ request }) => {
    const session = new Session(await tenantOf(request.headers.get('authorization')));
    return {
      session,
      customers: new DataLoader((ids) => customers(session, ids)),
      invoices: new DataLoader((ids) => invoices(session, ids)),
    };
  },
  plugins: [
    { onExecute: () => ({ onExecuteDone: ({ args }) => void args.contextValue.session.end().catch(console.error) }) },
  ],
});
createServer(yoga).listen(Number(process.env.PORT), '127.0.0.1');
