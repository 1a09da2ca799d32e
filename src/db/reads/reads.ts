import { type FieldNode, getNamedType, type GraphQLResolveInfo } from 'graphql';
import { type Connection } from '../../shared/connection.types.js';
import { type Logger } from '../../shared/logger.js';
import { asUuid } from '../../shared/uuid.js';
import { type ReadModel } from './model.js';
import { type PageRequest, pageShape } from './page.js';
import { Pipeline } from './pipeline.js';
import { conditions, makePlan, type Plan, rootParameters, type Target } from './plan.js';
import { asObjectType, variablesBelow } from './selection.js';
import { type Scope, type Statement, textOf } from './unit.js';

/** What a list is asked with: filters of the model, or fields of it that are one column. Null and undefined ask nothing. */
type WhereOf<T extends object, Filters extends string> = { readonly [K in Filters | (keyof T & string)]?: unknown };

export interface ReadSettings {
  /** Connection string of the runtime role. */
  readonly url: string;
  readonly livemode: boolean;
  readonly logger: Logger;
  /** Connections for reads; each carries many transactions at once. */
  readonly connections?: number;
}

/** Hands out a reader per request. */
export class ReadDatabase {
  private readonly pipeline: Pipeline;
  private readonly livemode: 'true' | 'false';

  constructor(settings: ReadSettings) {
    this.livemode = settings.livemode ? 'true' : 'false';
    this.pipeline = new Pipeline({ ...settings, connections: settings.connections ?? 4 });
  }

  /** @param tenantId from verified token claims */
  tenant(tenantId: string): Reads {
    return new Reads(this.pipeline, ['app_tenant', asUuid(tenantId), this.livemode]);
  }

  /** The platform's own people: how much, over all tenants; never who. */
  platform(): Reads {
    return new Reads(this.pipeline, ['app_platform', '', this.livemode]);
  }

  stop(): Promise<void> {
    return this.pipeline.stop();
  }
}

/**
 * Reads for one request. The selection set decides what is fetched; whatever is asked in the same turn (all root fields of a query)
 * travels in one transaction and one round trip. Rows are plain objects by field name; they are no entities and know no methods.
 */
export class Reads {
  private waiting: Statement[] = [];

  constructor(
    private readonly pipeline: Pipeline,
    private readonly scope: Scope,
  ) {}

  /**
   * A page of a Relay connection. The field's type must be the connection type of the model.
   * @throws AppError BAD_USER_INPUT for a page or a cursor that does not fit; QUERY_TOO_COMPLEX
   * @example reads.connection(paymentReads, { page: args, where: { ...args.filter } }, info)
   */
  async connection<T extends object, F extends string>(
    model: ReadModel<T, F>,
    { page, where = {} }: { readonly page: PageRequest; readonly where?: WhereOf<T, F> | null },
    info: GraphQLResolveInfo,
  ): Promise<Connection<T>> {
    const target = { kind: 'page', model, where: where ?? {}, page: pageShape(page) } as const;
    return (await this.read(target, info)) as Connection<T>;
  }

  /**
   * The row with these values, or null. They should be a key.
   * @example reads.one(paymentReads, { id }, info)
   */
  async one<T extends object, F extends string>(
    model: ReadModel<T, F>,
    where: WhereOf<T, F>,
    info: GraphQLResolveInfo,
  ): Promise<T | null> {
    return (await this.read({ kind: 'one', model, where }, info)) as T | null;
  }

  /** Rows in the model's order, at most `limit` (100). For what is few by nature. */
  async list<T extends object, F extends string>(
    model: ReadModel<T, F>,
    where: WhereOf<T, F>,
    info: GraphQLResolveInfo,
    limit = 100,
  ): Promise<T[]> {
    return (await this.read({ kind: 'list', model, where, limit }, info)) as T[];
  }

  /**
   * Figures that are worked out and are no rows of a table, by a statement of the feature's own. It travels with whatever else is asked in the
   * same turn, in a transaction for figures alone: those are planned otherwise.
   * @param sql always the same text, so that it is planned once
   * @returns rows of columns, each as PostgreSQL writes it
   */
  async figures(sql: string, parameters: readonly unknown[] = []): Promise<readonly (string | null)[][]> {
    return (await this.fetch('figures', sql, parameters)) as (string | null)[][];
  }

  private async read(target: Target, info: GraphQLResolveInfo): Promise<unknown> {
    const parameters = rootParameters(target);
    const plan = planFor(target, info);
    return plan.assemble(await this.fetch('rows', plan.sql, [...parameters, ...plan.parameters]), target);
  }

  private fetch(kind: Statement['kind'], sql: string, parameters: readonly unknown[]): Promise<unknown[][]> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ kind, sql, parameters: parameters.map(textOf), resolve, reject });
      // When all promises that can go on have gone on: by then the sibling fields have asked, too.
      if (this.waiting.length === 1) process.nextTick(() => this.flush());
    });
  }

  private flush(): void {
    const { waiting } = this;
    this.waiting = [];
    for (const kind of ['rows', 'figures'] as const) {
      const statements = waiting.filter((statement) => statement.kind === kind);
      if (statements.length > 0) void this.pipeline.run(this.scope, statements);
    }
  }
}

interface KnownPlans {
  readonly variables: readonly string[];
  readonly plans: Map<string, Plan>;
}

/** Plans by the node of the document that asks. Apollo keeps parsed documents, so the node is the same each time. */
const plansByNode = new WeakMap<FieldNode, KnownPlans>();
const maxPlansPerNode = 50;

function planFor(target: Target, info: GraphQLResolveInfo): Plan {
  const make = () => makePlan(info, asObjectType(getNamedType(info.returnType)), info.fieldNodes, target);
  const [node] = info.fieldNodes;
  if (!node || info.fieldNodes.length > 1) return make();
  let known = plansByNode.get(node);
  if (!known) plansByNode.set(node, (known = { variables: variablesBelow(node, info.fragments), plans: new Map() }));
  const key = shapeOf(target) + JSON.stringify(known.variables.map((name) => info.variableValues[name]));
  const found = known.plans.get(key);
  if (found) return found;
  const plan = make();
  if (known.plans.size >= maxPlansPerNode) known.plans.clear();
  known.plans.set(key, plan);
  return plan;
}

/** All that the SQL of the root depends on. */
function shapeOf(target: Target): string {
  const where = conditions(target.where).map(([name, value]) =>
    Array.isArray(value) ? `${name}[${value.length === 1 ? 1 : ''}]` : name,
  );
  const shape = [target.model.name, target.kind, ...where];
  if (target.kind === 'list') shape.push(String(target.limit));
  if (target.kind === 'page') {
    const { limit, backward, after, before } = target.page;
    shape.push(`${limit}`, `${backward}`, `${after !== null}`, `${before !== null}`);
  }
  return shape.join(' ');
}
