import { sql } from "drizzle-orm";
import { bigint, customType, index, smallint, text } from "drizzle-orm/pg-core";
import { avatarsSchema } from "./avatars-schema.ts";
import { moment } from "./columns.ts";

const transactionId = customType<{ data: string }>({ dataType: () => "xid8" });

/**
 * Contacts have become due, or more urgent, by this transaction. The holder of a lease reads its instance's queues onward
 * only, and is told here where to go back to (store/work/arrivals.ts). Rows are removed after some minutes.
 */
export const arrivals = avatarsSchema.table(
  "arrivals",
  {
    id: bigint({ mode: "number" }).primaryKey().generatedAlwaysAsIdentity(),
    instanceId: text("instance_id").notNull(),
    priority: smallint(),
    /** No turn of these contacts is below. */
    turn: bigint({ mode: "number" }),
    /** Ids are given before transactions commit; a reader goes by which transactions it could not see yet. */
    xid: transactionId()
      .notNull()
      .default(sql`pg_current_xact_id()`),
    arrivedAt: moment("arrived_at").notNull().defaultNow(),
  },
  (table) => [index("arrivals_xid_idx").on(table.xid)],
);
