import type pg from "pg";
import { openDatabase, type Database, type DatabaseOptions } from "../../src/store/postgres/database.ts";
import type { TestDatabase } from "./test-database.ts";

/** A statement as it was carried out. */
interface ExplainedPlan {
  readonly "Query Text": string;
  readonly Plan: PlanNode;
}

export interface PlanNode {
  readonly "Node Type": string;
  readonly "Relation Name"?: string;
  readonly "Index Cond"?: string;
  readonly "Shared Hit Blocks"?: number;
  readonly "Shared Read Blocks"?: number;
  readonly Plans?: readonly PlanNode[];
}

export interface Explained extends Database {
  /** What has run since it was emptied last, in order. */
  readonly plans: ExplainedPlan[];
}

/** Connections on which the server tells the plan of each statement that ends, also of those within functions. */
export async function openExplained(
  { pool, url }: TestDatabase,
  options: Omit<DatabaseOptions, "url">,
  settings: readonly string[] = [],
): Promise<Explained> {
  const name = new URL(url).pathname.slice(1);
  for (const setting of [
    "session_preload_libraries = 'auto_explain'",
    "auto_explain.log_min_duration = 0",
    "auto_explain.log_nested_statements = on",
    "auto_explain.log_format = 'json'",
    "client_min_messages = 'log'",
    ...settings,
  ])
    await pool.query(`alter database ${name} set ${setting}`);
  const explained = await openDatabase({ ...options, url });
  const plans: ExplainedPlan[] = [];
  const known = new WeakSet<pg.PoolClient>();
  explained.pool.on("acquire", (client) => {
    if (known.has(client)) return;
    known.add(client);
    client.on("notice", ({ message = "" }) => {
      const [, json] = /^duration: .*? plan:\n(.*)$/s.exec(message) ?? [];
      if (json !== undefined) plans.push(JSON.parse(json) as ExplainedPlan);
    });
  });
  return { ...explained, plans };
}

export function* nodesOf(node: PlanNode): Generator<PlanNode> {
  yield node;
  for (const child of node.Plans ?? []) yield* nodesOf(child);
}
