import { pgSchema } from "drizzle-orm/pg-core";

/** All of the product's objects live here; BullMQ's, where it runs on PostgreSQL, in `bullmq`. */
export const avatarsSchema = pgSchema("avatars");
