import type { z } from "zod";
import type { Access } from "../requests/access.ts";
import { problemKinds, problemSchema, problemType, type ProblemKind } from "../answers/problem.ts";

interface Operation {
  /** Unique; the client has a method for each. */
  readonly id: string;
  readonly tag:
    | "Batches"
    | "Keys"
    | "Contacts"
    | "Changes"
    | "Instances"
    | "Resync"
    | "Webhooks"
    | "Audit"
    | "Service";
  readonly summary: string;
  readonly description?: string;
  readonly access: Access;
}

/** The words of the document on an operation, apart from its input and its answers. */
export function describe({ id, tag, summary, description, access }: Operation) {
  return {
    operationId: id,
    tags: [tag],
    summary,
    ...(description !== undefined && { description }),
    security: toSecurity(access),
  };
}

function toSecurity(access: Access) {
  if (access === "open" || access === "hook") return [];
  const key = { key: access === "key" ? [] : [...access.scopes] };
  return access === "key" || access.basic ? [key, { password: [] }] : [key];
}

/** The problems that every route with a key may answer. */
const keyedProblems: readonly ProblemKind[] = ["unauthorized", "rate-limited", "unavailable"];

/**
 * The problems of a route, for `schema.response`: those given and, unless it is open, those that every route has.
 * @param access tells which are its
 */
export function problems(access: Access, ...kinds: readonly ProblemKind[]) {
  const scoped: readonly ProblemKind[] =
    typeof access === "string" || access.scopes.length === 0 ? [] : ["forbidden"];
  const all =
    access === "open" || access === "hook"
      ? ["rate-limited" as const, ...kinds]
      : [...keyedProblems, ...scoped, ...kinds];
  const statuses = [...new Set(all.map((kind) => problemKinds[kind][0]))];
  return Object.fromEntries(
    statuses.map((status) => [
      status,
      {
        description: all
          .filter((kind) => problemKinds[kind][0] === status)
          .map((kind) => `\`${kind}\`: ${problemKinds[kind][1]}.`)
          .join(" "),
        content: { [problemType]: { schema: problemSchema } },
      },
    ]),
  );
}

/** An answer that is JSON. */
export function answer<Schema extends z.ZodType>(description: string, schema: Schema) {
  return { description, content: { "application/json": { schema } } };
}

/** An answer that is a stream, or text. */
export function textAnswer(description: string, schema: z.ZodType, ...types: readonly string[]) {
  return { description, content: Object.fromEntries(types.map((type) => [type, { schema }])) };
}
