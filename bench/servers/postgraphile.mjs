// PostGraphile 5 as its documentation sets it up: the Amber preset, row-level security through pgSettings. Its own plugin for shorter names is on,
// so that its questions look like ours.
import { createServer } from 'node:http';
import { PgSimplifyInflectionPreset } from '@graphile/simplify-inflection';
import { grafserv } from 'postgraphile/grafserv/node';
import { makePgService } from 'postgraphile/adaptors/pg';
import { postgraphile } from 'postgraphile';
import { PostGraphileAmberPreset } from 'postgraphile/presets/amber';
import { tenantOf } from './support/viewer.mjs';

const { DATABASE_URL, PORT } = process.env;
const preset = {
  extends: [PostGraphileAmberPreset, PgSimplifyInflectionPreset],
  // Or it would not offer the payments of an invoice: it takes the partial index for them for none.
  disablePlugins: ['PgIndexBehaviorsPlugin'],
  pgServices: [
    makePgService({
      connectionString: DATABASE_URL,
      schemas: ['public'],
      pubsub: false,
      poolConfig: { max: 10 },
      // Our login role may see nothing by itself; the schema is that of the tenant's role.
      pgSettingsForIntrospection: { role: 'app_tenant' },
    }),
  ],
  grafast: {
    async context({ node }) {
      const tenant = await tenantOf(node?.req.headers.authorization);
      return { pgSettings: { role: 'app_tenant', 'app.tenant_id': tenant, 'app.livemode': 'false' } };
    },
    explain: false,
  },
  grafserv: { graphiql: false, graphiqlOnGraphQLGET: false, watch: false, websockets: false },
};

const server = createServer();
server.on('error', console.error);
const instance = postgraphile(preset).createServ(grafserv);
await instance.addTo(server);
await instance.ready?.();
server.listen(Number(PORT), '127.0.0.1');
