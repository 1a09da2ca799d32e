export interface Exchange {
  method: string;
  path: string;
  params?: unknown;
  version?: string;
  publishable?: boolean;
  status: number;
  body: unknown;
}

export interface Delivery {
  event: unknown;
}

export interface Violation {
  on: string;
  at: string;
}

export declare class SchemaChecker {
  constructor(file?: string);
  check(record: Exchange | Delivery): Violation[];
}

export declare function checkExchanges(
  path: string,
  checker?: SchemaChecker,
): Promise<{ checked: number; routes: Set<string>; faults: Map<string, { count: number; example: unknown }> }>;

export declare function assertExchangesValid(path: string, checker?: SchemaChecker): Promise<number>;
