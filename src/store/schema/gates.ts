import { text } from "drizzle-orm/pg-core";
import { avatarsSchema } from "./avatars-schema.ts";

/** Always empty: a lock on the table makes the feed of changes final (store/changes/change-horizon.ts). */
export const changeGate = avatarsSchema.table("change_gate", {});

/** Names of locks that no role can take that has no rights on tables (store/postgres/gates.ts). */
export const gates = avatarsSchema.table("gates", { name: text().primaryKey() });
