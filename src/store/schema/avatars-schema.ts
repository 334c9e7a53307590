import { pgSchema } from "drizzle-orm/pg-core";

/**
 * The schema of all of the product's objects; BullMQ's, where it runs on PostgreSQL, are in `bullmq`.
 *
 * States that no column is named after. A column for each would have to be kept true, on millions of contacts. What can be a
 * column cheaply is one: `batches.removing_at`, `idempotency_keys.kind`.
 *
 * | of                | what the columns say                               | means                                                   |
 * | ----------------- | -------------------------------------------------- | ------------------------------------------------------- |
 * | `contacts`        | `due_at` null                                      | rests                                                   |
 * |                   | `due_at` set, `turn` set                           | waits for its first lookup, and is due                  |
 * |                   | `due_at` set, `turn` null                          | waits for its backoff, or is back from it               |
 * |                   | `due_at` set, `wanted_at` null                     | only a resync asks, the one of `resync_run_id`          |
 * |                   | `in_flight_until` in the past                      | due again, as if no call had been in flight             |
 * |                   | `unreachable`, `attempts` above 0                  | has failed for good since it was last asked for         |
 * |                   | `unreachable`, `attempts` 0                        | failed before; given up or asked for again since        |
 * |                   | `due_at` and `refresh_at` null                     | is asked only when a request comes                      |
 * |                   | `refresh_step` below 0                             | has a cause: asked for by a person (-3), never asked    |
 * |                   |                                                    | (-2), URL expires (-1); domain/refresh/refresh-step.ts  |
 * |                   | `is_listed` false                                  | was in the source query's list, and is gone from it     |
 * | `avatars`         | no row                                             | no clear answer about a picture yet                     |
 * |                   | `version` null                                     | not set, or no WhatsApp account                         |
 * |                   | `version` begins with `url:`                       | its host tells no pictures apart: their bytes do        |
 * | `batches`         | `completed_intake_at` null                         | incomplete: contacts are still being taken in           |
 * |                   | `cancelled_at` set, `finished_at` null             | some of its contacts are still to be given up           |
 * | `instances`       | `held_until` in the past, `held`                   | may be probed, one contact at a time                    |
 * |                   | `held_until`, not `held`                           | trouble that older calls report is old news             |
 * |                   | `allowed_chat_ids` set                             | held for a spent quota: these chats may be asked        |
 * |                   | `held_reason` is `users-timing-out` or the like    | held for one kind of chat: the others may be asked      |
 * | `lookups_aside`   | `record` null                                      | a call in flight at a hand-over                         |
 * | `arrivals`        | `priority` null                                    | contacts of any priority                                |
 * |                   | `turn` null                                        | contacts that go by `due_at`                            |
 * | `resync_nights`   | prepared, but without runs, the first              | only says since when nights are counted                 |
 * | `worker_activity` | `reported_at` older than 10 s                      | the process is gone, or hangs                           |
 */
export const avatarsSchema = pgSchema("avatars");
