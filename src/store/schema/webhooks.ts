import { sql } from "drizzle-orm";
import {
  bigint,
  boolean,
  check,
  index,
  integer,
  smallint,
  text,
  uniqueIndex,
  uuid,
} from "drizzle-orm/pg-core";
import { avatarsSchema } from "./avatars-schema.ts";
import { moment } from "./columns.ts";

/** Addresses that are told of events. Each is a reader of the feed, with a place of its own in it. */
export const webhookEndpoints = avatarsSchema.table(
  "webhook_endpoints",
  {
    id: text().primaryKey(),
    url: text().notNull(),
    label: text(),
    /** Of domain/webhooks/webhook-type.ts. */
    types: text().array().notNull(),
    /** Null: all, also those to come. No foreign key: of one that is removed nothing comes any more. */
    instanceIds: text("instance_ids").array(),
    includesFirstSeen: boolean("includes_first_seen").notNull().default(false),
    isOrdered: boolean("is_ordered").notNull().default(false),
    omitsChatId: boolean("omits_chat_id").notNull().default(false),
    /** Sealed (lib/secrets/secret-box.ts), bound to the origin of the URL. */
    sealedSecret: text("sealed_secret").notNull(),
    /** The secret before the last rotation signs too, until the moment below. */
    sealedPrevious: text("sealed_previous"),
    previousUntil: moment("previous_until"),
    /** All of the feed up to it was sent, was not for this endpoint, or has its row in webhook_retries. */
    cursor: bigint({ mode: "number" }).notNull(),
    /** Of the feed behind the cursor, what retention has removed before it was sent. */
    missed: bigint({ mode: "number" }).notNull().default(0),
    state: text({ enum: ["active", "disabled"] })
      .notNull()
      .default("active"),
    disabledReason: text("disabled_reason", { enum: ["gone", "failing", "operator"] }),
    disabledAt: moment("disabled_at"),
    /** Since when no event was taken, though some were sent. Null: the last one was taken, or none was sent. */
    failingSince: moment("failing_since"),
    lastSuccessAt: moment("last_success_at"),
    /** Of an ordered endpoint: tries of the event that it stands at, and when the next one is due. */
    headTries: smallint("head_tries").notNull().default(0),
    headNextAt: moment("head_next_at"),
    /** The process that sends. Changes by people take it away, so that it is taken again with what they changed. */
    leaseOwner: uuid("lease_owner"),
    leasedUntil: moment("leased_until"),
    /** Fence: what was sent under an earlier lease moves nothing any more. */
    leaseEpoch: bigint("lease_epoch", { mode: "number" }).notNull().default(0),
    createdAt: moment("created_at").notNull().defaultNow(),
  },
  (table) => [
    check("webhook_endpoints_state_check", sql`${table.state} in ('active', 'disabled')`),
    check(
      "webhook_endpoints_disabled_check",
      sql`(${table.state} = 'disabled') = (${table.disabledReason} is not null) and (${table.state} = 'disabled') = (${table.disabledAt} is not null)`,
    ),
    check(
      "webhook_endpoints_previous_check",
      sql`(${table.sealedPrevious} is null) = (${table.previousUntil} is null)`,
    ),
  ],
);

/**
 * What endpoints are told of beside changes of avatars, written by triggers with the fact itself. Ids are of the same sequence as
 * those of changes, and are taken behind the same gate: both are one feed, in one order (store/changes/change-horizon.ts).
 */
export const webhookEvents = avatarsSchema.table(
  "webhook_events",
  {
    id: bigint({ mode: "number" })
      .primaryKey()
      .default(sql`nextval('avatars.avatar_changes_id_seq'::regclass)`),
    type: text().notNull(),
    instanceId: text("instance_id"),
    batchId: uuid("batch_id"),
    /** Of `endpoint.disabled`. */
    endpointId: text("endpoint_id"),
    /** Why it is held, or disabled. */
    reason: text(),
    at: moment("at").notNull().defaultNow(),
  },
  (table) => [index("webhook_events_at_idx").on(table.at)],
);

/** Events that were sent in vain, and are sent again. Of a contact there is one for each endpoint: the last one. */
export const webhookRetries = avatarsSchema.table(
  "webhook_retries",
  {
    id: bigint({ mode: "number" }).primaryKey().generatedAlwaysAsIdentity(),
    /** Null: the event goes to the callback URL of its batch. */
    endpointId: text("endpoint_id").references(() => webhookEndpoints.id, { onDelete: "cascade" }),
    /** The event's place in the feed. What is sent is read there: nothing of it is kept here. */
    feedId: bigint("feed_id", { mode: "number" }).notNull(),
    /** Its contact. A trigger on contacts removes the row with it. */
    contactId: bigint("contact_id", { mode: "number" }),
    /** Tries so far. */
    tries: smallint().notNull(),
    /** While it is being tried, the moment from which another process may. */
    nextTryAt: moment("next_try_at").notNull(),
  },
  (table) => [
    index("webhook_retries_next_idx").on(table.endpointId, table.nextTryAt),
    uniqueIndex("webhook_retries_contact_key")
      .on(table.endpointId, table.contactId)
      .where(sql`${table.contactId} is not null`),
    uniqueIndex("webhook_retries_event_key")
      .on(table.endpointId, table.feedId)
      .where(sql`${table.contactId} is null`),
    // For the trigger on contacts.
    index("webhook_retries_erased_idx").on(table.contactId),
  ],
);

/** The last tries of each endpoint, for people. Older ones are removed every minute. */
export const webhookDeliveries = avatarsSchema.table(
  "webhook_deliveries",
  {
    id: bigint({ mode: "number" }).primaryKey().generatedAlwaysAsIdentity(),
    endpointId: text("endpoint_id")
      .notNull()
      .references(() => webhookEndpoints.id, { onDelete: "cascade" }),
    /** Null: a test. */
    feedId: bigint("feed_id", { mode: "number" }),
    contactId: bigint("contact_id", { mode: "number" }),
    type: text().notNull(),
    kind: text({ enum: ["event", "retry", "test", "redelivery"] }).notNull(),
    /** Of the event, with this one. */
    tries: smallint().notNull(),
    at: moment("at").notNull(),
    tookMs: integer("took_ms").notNull(),
    /** Null: there was no answer. */
    status: integer(),
    /** Why it failed; null: it was taken. */
    error: text(),
    /** The beginning of the answer, without what may be secret or personal. */
    answer: text(),
  },
  (table) => [
    index("webhook_deliveries_endpoint_idx").on(table.endpointId, table.id),
    index("webhook_deliveries_erased_idx").on(table.contactId),
  ],
);
