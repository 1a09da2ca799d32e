import fc, { type GeneratorValue } from 'fast-check';

/** Ids and cursors that exist, so that something is found. */
export interface Known {
  readonly customers: readonly number[];
  readonly invoices: readonly number[];
  readonly payments: readonly string[];
  readonly paymentCursors: readonly string[];
}

const plain = {
  Money: ['amount', 'currency', 'formatted'],
  Customer: ['id', 'name', 'email', 'createdAt'],
  Invoice: ['id', 'number', 'status', 'paymentStatus', 'createdAt', 'dueAt'],
  Payment: ['id', 'status', 'createdAt', 'succeededAt', 'description', 'metadata', 'receiptUrl'],
  PaymentFailure: ['code', 'declineCode', 'message'],
  PageInfo: ['hasNextPage', 'hasPreviousPage'],
  Viewer: ['subject', 'role'],
  Tenant: ['id', 'name'],
} as const;

const objects: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  Money: {},
  Customer: {},
  PaymentFailure: {},
  PageInfo: {},
  Tenant: {},
  Viewer: { tenant: 'Tenant' },
  Invoice: { total: 'Money', amountPaid: 'Money', customer: 'Customer', payments: 'Payment*' },
  Payment: { amount: 'Money', net: 'Money', failure: 'PaymentFailure', customer: 'Customer', invoice: 'Invoice' },
};

export interface AnyQuery {
  readonly source: string;
  readonly variables: Record<string, unknown>;
}

/**
 * A random query that is valid, though what it asks for need not exist or be allowed: aliases, fragments of both kinds, directives, variables with and
 * without defaults, lists in lists, the same field twice.
 */
export function anyQuery(g: GeneratorValue, known: Known): AnyQuery {
  let names = 0;
  let [aliases, directives] = [12, 6]; // The server allows not many more.
  const fragments: string[] = [];
  const declared: string[] = [];
  const variables: Record<string, unknown> = {};
  const chance = (percent: number) => g(fc.integer, { min: 0, max: 99 }) < percent;
  const pick = <T>(values: readonly T[]): T => g(fc.constantFrom, ...values) as T;
  const some = <T>(values: readonly T[], min: number, max: number): T[] =>
    g(fc.subarray as never, [...values] as never, { minLength: Math.min(min, values.length), maxLength: Math.min(max, values.length) } as never); // prettier-ignore

  /** A value in the document, or as a variable. */
  const value = (type: string, given: unknown, text = JSON.stringify(given)): string => {
    if (!chance(50)) return text;
    const name = `v${(names += 1)}`;
    if (chance(20)) declared.push(`$${name}: ${type} = ${text}`);
    else {
      declared.push(`$${name}: ${type}`);
      variables[name] = given;
    }
    return `$${name}`;
  };
  const alias = () => {
    if (aliases === 0 || !chance(25)) return '';
    aliases -= 1;
    return `a${(names += 1)}: `;
  };
  const directive = () => {
    if (directives === 0 || !chance(10)) return '';
    directives -= 1;
    return ` @${pick(['skip', 'include'])}(if: ${value('Boolean!', chance(50))})`;
  };
  const pageArgs = (cursors: readonly string[], both = true): string => {
    const args: string[] = [];
    const size = value('Int', pick([1, 2, 3, 7]));
    const backward = both && chance(30);
    if (chance(80)) args.push(`${backward ? 'last' : 'first'}: ${size}`);
    if (cursors.length && chance(40)) args.push(`${backward ? 'before' : 'after'}: ${value('String', pick(cursors))}`);
    return args.join(', ');
  };

  /** Several fields of a type, each perhaps in a fragment of its own. */
  const selection = (type: string, depth: number): string => {
    const fields: string[] = some(plain[type as keyof typeof plain], 1, 4).map(
      (name) => `${alias()}${name}${directive()}`,
    );
    if (chance(15)) fields.push('__typename');
    if (depth > 0) {
      for (const [name, target] of some(Object.entries(objects[type]!), 0, 2))
        fields.push(relation(name, target, depth - 1));
      // The same object once more: both selections are one.
      const [again] = Object.entries(objects[type]!).filter(([, target]) => !target.endsWith('*'));
      if (again && chance(10)) fields.push(`${again[0]} { ${selection(again[1], 0)} }`);
    }
    return fields.map((field) => wrapped(type, field)).join(' ');
  };
  const wrapped = (type: string, field: string): string => {
    if (chance(10)) return `... on ${type}${directive()} { ${field} }`;
    if (chance(5)) return `...${directive()} { ${field} }`;
    if (!chance(8)) return field;
    const name = `F${(names += 1)}`;
    fragments.push(`fragment ${name} on ${type} { ${field} }`);
    return `...${name}`;
  };
  const relation = (name: string, target: string, depth: number): string => {
    if (!target.endsWith('*')) return `${alias()}${name}${directive()} { ${selection(target, depth)} }`;
    const args = pageArgs([], false);
    return `${name}${args && `(${args})`} { ${connection(target.slice(0, -1), depth)} }`;
  };
  const connection = (type: string, depth: number): string => {
    const parts = [`nodes { ${selection(type, depth)} }`];
    if (chance(30)) parts.push(`edges { node { ${selection(type, 0)} } }`);
    if (chance(50)) parts.push(`pageInfo { ${selection('PageInfo', 0)} }`);
    return some(parts, 1, 3).join(' ');
  };
  const call = (name: string, args: string) => `r${(names += 1)}: ${name}${args && `(${args})`}`;

  const roots = [
    () => `${call('customer', `id: ${value('Int!', pick(known.customers))}`)} { ${selection('Customer', 0)} }`,
    () =>
      `${call('invoice', `id: ${value('Int!', pick([...known.invoices, 999_999]))}`)} { ${selection('Invoice', 2)} }`,
    () => `${call('payment', `id: ${value('UUID!', pick(known.payments))}`)} { ${selection('Payment', 2)} }`,
    () =>
      `${call('customers', `search: ${value('String', pick(['1', 'CUSTOMER', '%', '']))}`)} { ${connection('Customer', 0)} }`,
    () => `${call('invoices', pageArgs([]))} { ${connection('Invoice', 2)} }`,
    () => `${call('payments', pageArgs(known.paymentCursors))} { ${connection('Payment', 3)} }`,
    () =>
      `${call('payments', `filter: ${value('PaymentFilter', { status: ['FAILED'] }, '{ status: [FAILED] }')}`)} { ${connection('Payment', 1)} }`,
    () =>
      `${call('payments', `filter: { customerId: ${value('Int', pick(known.customers))} }, first: 2`)} { ${connection('Payment', 1)} }`,
    () => `${call('payments', `first: ${pick([0, 101])}`)} { ${connection('Payment', 1)} }`,
    () => `viewer { ${selection('Viewer', 1)} }`,
    () => 'platform { totals { currency } }',
  ];
  const fields = some(roots, 1, 2).map((root) => root());
  // Some of what was made was not chosen.
  let body = `{ ${fields.join(' ')} }`;
  for (const fragment of fragments.reverse()) {
    const [, name] = fragment.split(' ');
    if (new RegExp(`\\.\\.\\.${name}\\b`).test(body)) body += `\n${fragment}`;
  }
  const used = declared.filter((declaration) => new RegExp(`\\${declaration.split(':')[0]}\\b`).test(body));
  return {
    source: `${used.length ? `query Any(${used.join(', ')})` : pick(['', 'query', 'query Any'])} ${body}`,
    variables,
  };
}
