// Two servers as they are often written, to show that the fault suite notices what is wrong with them. NAIVE=doubling: does the work, then notes the
// event. NAIVE=skipping: notes the event, then does the work, and takes any event that it knows for done. DATABASE_URL. Prints its port.
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 8 });

async function work(event) {
  await sleep(5); // what a handler's other queries take
  const { rows } = await pool.query('select tenant_id from stripe_accounts where stripe_account_id = $1', [
    event.account,
  ]);
  await pool.query(
    `insert into audit_log (tenant_id, livemode, actor, action, subject_type, subject_id) values ($1, false, 'stripe', 'note', 'event', $2)`,
    [rows[0].tenant_id, event.id],
  );
}

const known = async ({ id }) => (await pool.query('select from naive_events where id = $1', [id])).rowCount > 0;
const note = ({ id }) =>
  pool
    .query('insert into naive_events values ($1) on conflict do nothing returning id', [id])
    .then(({ rowCount }) => rowCount > 0);

const take = {
  async doubling(event) {
    if (await known(event)) return;
    await work(event);
    await note(event);
  },
  async skipping(event) {
    if (await note(event)) await work(event);
  },
}[process.env.NAIVE];

const server = createServer(async (request, response) => {
  let body = '';
  for await (const chunk of request) body += chunk;
  try {
    await take(JSON.parse(body));
    response.end('{}');
  } catch {
    response.writeHead(500).end('{}');
  }
}).listen(0, '127.0.0.1', () => console.log(server.address().port));
