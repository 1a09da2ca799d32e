import { randomBytes } from 'node:crypto';
import type pg from 'pg';
import { newUuid } from '../../src/shared/uuid.js';
import { connectTo, createTestDatabase, type TestDatabase } from '../support/database.js';
import { aTenant, type TenantRow } from '../support/factories.js';

let db: TestDatabase;
let tenant: TenantRow;
let client: pg.Client;

beforeAll(async () => {
  db = await createTestDatabase();
  tenant = await aTenant(db);
  client = await connectTo(db.url);
});
afterAll(async () => {
  await client.end();
  await db.drop();
});

/** One transaction as the server opens them. */
async function asTenant<T>(work: () => Promise<T>): Promise<T> {
  await client.query('begin');
  try {
    await client.query('set local role app_tenant');
    await client.query(`select set_config('app.tenant_id', $1, true), set_config('app.livemode', 'false', true)`, [
      tenant.id,
    ]);
    const result = await work();
    await client.query('commit');
    return result;
  } catch (error) {
    await client.query('rollback');
    throw error;
  }
}

type Line = readonly [account: string, amount: number, currency?: string];

async function open(
  net: number,
  overrides: { amount?: number; stripeFee?: number; cause?: string } = {},
): Promise<string> {
  const id = newUuid();
  const { stripeFee = 0, amount = net + stripeFee, cause = `txn_${randomBytes(6).toString('hex')}` } = overrides;
  await client.query(
    `insert into ledger_transactions (tenant_id, livemode, id, stripe_account_id, cause, stripe_balance_transaction_id, type, category, currency,
       amount, stripe_fee, application_fee, net, booked_at) values ($1, false, $2, 'acct_1', $3, $3, 'charge', 'charge', 'usd', $4, $5, 0, $6, now())`,
    [tenant.id, id, cause, amount, stripeFee, net],
  );
  return id;
}

async function write(transactionId: string, ...lines: Line[]): Promise<void> {
  for (const [account, amount, currency = 'usd'] of lines) {
    await client.query(
      `insert into ledger_postings (tenant_id, livemode, transaction_id, account, amount, currency) values ($1, false, $2, $3, $4, $5)`,
      [tenant.id, transactionId, account, amount, currency],
    );
  }
}

const post = (net: number, ...lines: Line[]) => asTenant(async () => write(await open(net), ...lines));

test('a transaction that sums to zero is taken', async () => {
  await post(943, ['STRIPE_BALANCE', 943], ['CUSTOMER_RECEIVABLE', -943]);
});

test('a transaction that is a cent out is refused, when it is to be committed', async () => {
  await expect(post(943, ['STRIPE_BALANCE', 943], ['CUSTOMER_RECEIVABLE', -942])).rejects.toThrow('does not balance');
});

test('a transaction without postings is refused, and one with a single posting', async () => {
  await expect(post(943)).rejects.toThrow('moves 943 at Stripe, its postings 0');
  await expect(post(943, ['STRIPE_BALANCE', 943])).rejects.toThrow('does not balance');
});

test('postings that balance, but move something else at Stripe than Stripe says, are refused', async () => {
  await expect(post(943, ['STRIPE_BALANCE', 944], ['CUSTOMER_RECEIVABLE', -944])).rejects.toThrow(
    'moves 943 at Stripe',
  );
});

test('a transaction cannot be asked early and unbalanced afterwards', async () => {
  const early = asTenant(async () => {
    const id = await open(943);
    await write(id, ['STRIPE_BALANCE', 943], ['CUSTOMER_RECEIVABLE', -943]);
    await client.query('set constraints all immediate');
    await write(id, ['REFUNDS', 1]);
  });
  await expect(early).rejects.toThrow('does not balance');
});

test('two currencies in one transaction are refused', async () => {
  await expect(
    post(943, ['STRIPE_BALANCE', 943], ['CUSTOMER_RECEIVABLE', -943], ['REFUNDS', 5, 'eur'], ['DISPUTES', -5, 'eur']),
  ).rejects.toMatchObject({ code: '23503' });
});

test('parts that do not add up to the gross are refused', async () => {
  await expect(asTenant(() => open(943, { amount: 1000, stripeFee: 56 }))).rejects.toMatchObject({
    constraint: 'ledger_gross_is_fees_and_net',
  });
});

test('nothing is added to a transaction that is closed, even when it balances', async () => {
  const id = await asTenant(async () => {
    const opened = await open(943);
    await write(opened, ['STRIPE_BALANCE', 943], ['CUSTOMER_RECEIVABLE', -943]);
    return opened;
  });
  await expect(asTenant(() => write(id, ['REFUNDS', 5], ['DISPUTES', -5]))).rejects.toThrow('is closed');
});

test('one cause is posted once', async () => {
  const twice = () =>
    asTenant(async () =>
      write(await open(10, { cause: 'txn_once' }), ['STRIPE_BALANCE', 10], ['CUSTOMER_RECEIVABLE', -10]),
    );
  await twice();
  await expect(twice()).rejects.toMatchObject({ code: '23505' });
});

test.each(['ledger_transactions', 'ledger_postings', 'ledger_checks', 'payout_transactions'])(
  'no row of %s is changed or deleted: not by the server, and not by the owner of the tables',
  async (table) => {
    for (const sql of [`update ${table} set created_at = now()`, `delete from ${table}`, `truncate ${table} cascade`]) {
      const statement = table === 'ledger_checks' ? sql.replace('created_at', 'checked_at') : sql;
      await expect(asTenant(() => client.query(statement))).rejects.toMatchObject({ code: '42501' });
    }
    const { rows } = await client.query<{ name: string }>(
      `select t.tgname as name from pg_trigger t where t.tgrelid = $1::regclass and t.tgname like '%append_only'`,
      [table],
    );
    expect(rows).toHaveLength(1);
  },
);

test('even a superuser is refused, as long as the triggers are there', async () => {
  await expect(db.query('update ledger_postings set amount = amount + 1')).rejects.toThrow('append-only');
  await expect(db.query('delete from ledger_transactions')).rejects.toThrow('append-only');
  await expect(db.query('truncate ledger_postings')).rejects.toThrow('append-only');
});

test('every line carries the balance of its account, and numbers have no gaps, also after a transaction that failed', async () => {
  await post(100, ['STRIPE_BALANCE', 100], ['SUSPENSE', -100]);
  await post(7, ['STRIPE_BALANCE', 7], ['SUSPENSE', -8]).catch(() => undefined);
  await post(-30, ['STRIPE_BALANCE', -30], ['SUSPENSE', 30]);
  const lines = await db.query(
    `select balance::int from ledger_postings where tenant_id = $1 and account = 'SUSPENSE' order by number`,
    [tenant.id],
  );
  expect(lines).toEqual([{ balance: -100 }, { balance: -70 }]);
  const [count] = await db.query(
    `select max(number)::int as last, count(*)::int as n, count(distinct number)::int as distinct from ledger_postings where tenant_id = $1`,
    [tenant.id],
  );
  expect(count).toEqual({ last: count!.n, n: count!.n, distinct: count!.n });
});

test('two writers at once continue one another', async () => {
  const other = await connectTo(db.url);
  const posted = async (connection: pg.Client, amount: number) => {
    const id = newUuid();
    await connection.query('begin; set local role app_tenant');
    await connection.query(`select set_config('app.tenant_id', $1, true), set_config('app.livemode', 'false', true)`, [
      tenant.id,
    ]);
    await connection.query(
      `insert into ledger_transactions (tenant_id, livemode, id, stripe_account_id, cause, type, category, currency, amount, stripe_fee,
         application_fee, net, booked_at) values ($1, false, $2, 'acct_1', $3, 'charge', 'charge', 'jpy', $4, 0, 0, $4, now())`,
      [tenant.id, id, `txn_${randomBytes(6).toString('hex')}`, amount],
    );
    await connection.query(
      `insert into ledger_postings (tenant_id, livemode, transaction_id, account, amount, currency)
       values ($1, false, $2, 'STRIPE_BALANCE', $3, 'jpy'), ($1, false, $2, 'CUSTOMER_RECEIVABLE', -$3, 'jpy')`,
      [tenant.id, id, amount],
    );
    await connection.query('commit');
  };
  for (let round = 0; round < 10; round += 1) await Promise.all([posted(client, 1), posted(other, 2)]);
  await other.end();
  const [row] = await db.query(
    `select balance::int from ledger_postings where tenant_id = $1 and currency = 'jpy' and account = 'STRIPE_BALANCE' order by number desc limit 1`,
    [tenant.id],
  );
  expect(row).toEqual({ balance: 30 });
});
