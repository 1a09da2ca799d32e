import { withClient } from '../../dist/dev/database.js';

export default async function teardown() {
  await removeDatabases(globalThis.psaTestRun);
  await globalThis.stripeRecording.check();
}

async function removeDatabases({ server, adminUrl, run, template }) {
  if (server) {
    await server.stop();
    return;
  }
  await withClient(adminUrl, async (client) => {
    await client.query(`alter database ${template} is_template false`);
    const { rows } = await client.query('select datname from pg_database where datname like $1', [`psa_%_${run}%`]);
    for (const { datname } of rows) await client.query(`drop database if exists "${datname}" with (force)`);
  });
}
