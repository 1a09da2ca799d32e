import type pg from 'pg';
import { withClient } from './database.js';

interface DemoCustomer {
  readonly name: string;
  readonly email: string;
  /** What it pays monthly for how many seats, in cents. */
  readonly contract?: { readonly name: string; readonly unitAmount: number; readonly quantity: number };
  /** Totals in cents; the first is due soon, each further one a month later. */
  readonly invoices: readonly number[];
}

export interface DemoTenant {
  readonly id: string;
  readonly name: string;
  readonly email: string;
  /** How far its Stripe account is brought. */
  readonly stage: 'onboarded' | 'half' | 'none';
  /** Begins its invoices' numbers. */
  readonly prefix: string;
  readonly customers: readonly DemoCustomer[];
}

/** Three service providers, at three stages of their way to Stripe. The same in every checkout. */
export const demoTenants: readonly DemoTenant[] = [
  {
    id: '01930000-0000-7000-8000-00000000000a',
    name: 'Harbor IT Services',
    email: 'office@harbor-it.example',
    stage: 'onboarded',
    prefix: 'HAR',
    customers: [
      {
        name: 'Bluewater Dental',
        email: 'accounts@bluewater-dental.example',
        contract: { name: 'Managed workplace', unitAmount: 4_500, quantity: 12 },
        invoices: [54_000, 54_000, 12_550],
      },
      {
        name: 'Castle & Sons Law',
        email: 'billing@castle-law.example',
        contract: { name: 'Server care', unitAmount: 18_000, quantity: 2 },
        invoices: [36_000, 7_999],
      },
      { name: 'Dune Roasters', email: 'hello@dune-roasters.example', invoices: [10_000, 10_000] },
      { name: 'Elm Street School', email: 'office@elm-school.example', invoices: [] },
    ],
  },
  {
    id: '01930000-0000-7000-8000-00000000000b',
    name: 'Northfield Managed IT',
    email: 'team@northfield-it.example',
    stage: 'half',
    prefix: 'NOR',
    customers: [
      {
        name: 'Fjord Logistics',
        email: 'finance@fjord-logistics.example',
        contract: { name: 'Fleet devices', unitAmount: 900, quantity: 80 },
        invoices: [72_000, 72_000],
      },
      { name: 'Gable Architects', email: 'studio@gable-architects.example', invoices: [23_400] },
      { name: 'Hollow Oak Farm', email: 'farm@hollow-oak.example', invoices: [5_000] },
    ],
  },
  {
    id: '01930000-0000-7000-8000-00000000000c',
    name: 'Alpine Systems',
    email: 'info@alpine-systems.example',
    stage: 'none',
    prefix: 'ALP',
    customers: [
      {
        name: 'Ibex Outdoor',
        email: 'buchhaltung@ibex-outdoor.example',
        contract: { name: 'Shop hosting', unitAmount: 10_000, quantity: 1 },
        invoices: [10_000, 10_000, 10_000],
      },
      { name: 'Juniper Clinic', email: 'admin@juniper-clinic.example', invoices: [10_000, 48_275] },
      { name: 'Kestrel Media', email: 'money@kestrel-media.example', invoices: [] },
    ],
  },
];

/** Puts the demo tenants with customers, contracts and open invoices into an empty database; what is there already stays as it is. */
export function seedRows(adminUrl: string): Promise<void> {
  return withClient(adminUrl, async (client) => {
    await client.query('begin');
    for (const tenant of demoTenants) {
      const { rowCount } = await client.query('insert into tenants (id, name) values ($1, $2) on conflict do nothing', [
        tenant.id,
        tenant.name,
      ]);
      if (rowCount) await seedTenant(client, tenant);
    }
    await client.query('commit');
  });
}

async function seedTenant(client: pg.Client, tenant: DemoTenant): Promise<void> {
  for (const role of ['admin', 'billing', 'viewer']) {
    await client.query('insert into users (tenant_id, email, name, role) values ($1, $2, $3, $4)', [
      tenant.id,
      `${role}@${tenant.email.split('@')[1]}`,
      `${role[0]!.toUpperCase()}${role.slice(1)} of ${tenant.name}`,
      role,
    ]);
  }
  let number = 1_000;
  for (const customer of tenant.customers) {
    const customerId = await insert(
      client,
      'insert into customers (tenant_id, name, email) values ($1, $2, $3) returning id',
      [tenant.id, customer.name, customer.email],
    );
    const { contract } = customer;
    const contractId = contract
      ? await insert(
          client,
          `insert into contracts (tenant_id, customer_id, name, status, unit_amount, currency, quantity, starts_at)
           values ($1, $2, $3, 'ACTIVE', $4, 'usd', $5, date_trunc('month', now())) returning id`,
          [tenant.id, customerId, contract.name, contract.unitAmount, contract.quantity],
        )
      : null;
    for (const [i, total] of customer.invoices.entries()) {
      await insert(
        client,
        `insert into invoices (tenant_id, customer_id, contract_id, number, total, currency, due_at)
         values ($1, $2, $3, $4, $5, 'usd', date_trunc('day', now()) + make_interval(days => 14, months => $6)) returning id`,
        [tenant.id, customerId, contractId, `${tenant.prefix}-${++number}`, total, i],
      );
    }
  }
}

async function insert(client: pg.Client, sql: string, values: unknown[]): Promise<number> {
  const { rows } = await client.query<{ id: number }>(sql, values);
  return rows[0]!.id;
}
