import { integer, primaryKey, real, text, uuid } from "drizzle-orm/pg-core";
import { avatarsSchema } from "./avatars-schema.ts";
import { moment } from "./columns.ts";

/**
 * The calls of each worker process for each instance, written every few seconds: only for people and metrics to read. A row
 * that was not written lately is of a process that is gone.
 */
export const workerActivity = avatarsSchema.table(
  "worker_activity",
  {
    processId: uuid("process_id").notNull(),
    instanceId: text("instance_id").notNull(),
    inFlight: integer("in_flight").notNull(),
    callsPerSecond: real("calls_per_second").notNull(),
    /** Answered in the last ten minutes, and those of them that were refused for being over the rate. */
    recentCalls: integer("recent_calls").notNull(),
    recentThrottled: integer("recent_throttled").notNull(),
    /** Mean time of an answer of late; null before the first one. */
    latencyMs: real("latency_ms"),
    reportedAt: moment("reported_at").notNull(),
  },
  (table) => [primaryKey({ columns: [table.processId, table.instanceId] })],
);
