import { sql } from "drizzle-orm";
import {
  bigint,
  boolean,
  check,
  date,
  doublePrecision,
  integer,
  real,
  smallint,
  text,
  uuid,
} from "drizzle-orm/pg-core";
import { avatarsSchema } from "./avatars-schema.ts";
import { bytes, moment } from "./columns.ts";

/** An instance of GREEN-API: where it is, how fast it may be called, and whether it may be called now. */
export const instances = avatarsSchema.table(
  "instances",
  {
    /** GREEN-API's `idInstance`. */
    id: text().primaryKey(),
    apiUrl: text("api_url").notNull(),
    /** Sealed (lib/secrets/secret-box.ts): never in clear in the database. */
    sealedToken: text("sealed_token").notNull(),
    label: text(),
    /** Null: the setting's default. */
    requestsPerSecond: real("requests_per_second"),
    /** Null: derived from the rate. */
    maxInFlight: integer("max_in_flight"),
    state: text({ enum: ["active", "held", "paused"] })
      .notNull()
      .default("active"),
    heldReason: text("held_reason"),
    heldSince: moment("held_since"),
    /**
     * While `held`: no call is made before this moment, then one contact at a time. Afterwards: trouble that a
     * call from before this moment reports is old news.
     */
    heldUntil: moment("held_until"),
    /** Holds in a row without a good answer in between; lengthens the next one. */
    holdCount: smallint("hold_count").notNull().default(0),
    /** While held for a spent quota of correspondents: the chats that may be asked all the same. */
    allowedChatIds: text("allowed_chat_ids").array(),
    /** The last answer of getStateInstance, and when it came. */
    stateSeen: text("state_seen"),
    stateSeenAt: moment("state_seen_at"),
    /** The next moment at which any process may call getStateInstance. */
    nextStateCallAt: moment("next_state_call_at").notNull().defaultNow(),
    /** Kept on top of each full second of calls; learned from refusals. Null: not called yet. */
    marginMs: real("margin_ms"),
    /**
     * The share of the rate that WhatsApp's refusals leave since `slowed_at`, from where it recovers with time
     * (store/work/pace-sql.ts).
     */
    slowdown: real().notNull().default(1),
    slowedAt: moment("slowed_at"),
    /** What the provider's refusals have taught of its rate: domain/pace/provider-pace.ts. Null: nothing yet. */
    climbRate: doublePrecision("climb_rate"),
    climbFrom: moment("climb_from"),
    takenRate: doublePrecision("taken_rate"),
    probeAfterMs: integer("probe_after_ms"),
    /** When a call was last refused for being over the rate; refusals in a row. */
    throttledAt: moment("throttled_at"),
    throttleCount: smallint("throttle_count").notNull().default(0),
    /** The provider said how long to wait: no call before this moment. */
    throttledUntil: moment("throttled_until"),
    /** When a hold ended: from one call a second then, doubling, to the full rate. */
    rampFrom: moment("ramp_from"),
    /** The process that holds the lease: it alone may call. Null: no process does. */
    leaseOwner: uuid("lease_owner"),
    /** Counts the leases of this instance. Fence: what belongs to an earlier one is not taken any more. */
    leaseEpoch: bigint("lease_epoch", { mode: "number" }).notNull().default(0),
    /** Another moment with each renewal: a lease that stays as it is belongs to a dead process (worker/lease/). */
    leasedUntil: moment("leased_until"),
    /** The first slot that the last lease has left: no call of a later one is sent before it. */
    nextCallAt: moment("next_call_at").notNull().defaultNow(),
    /** When the last lease was given back, and its last calls left, as far as they still count; ms of the epoch. */
    recentCalls: doublePrecision("recent_calls").array(),
    handedOverAt: moment("handed_over_at"),
    /** How far the turns of each priority have come, by priority: where a new batch begins to share. */
    turns: bigint({ mode: "number" }).array().notNull().default([0, 0, 0]),
    /** The share of its calls that a resync may take within the window, and outside of it. Null: the setting's default. */
    resyncShare: doublePrecision("resync_share"),
    resyncDayShare: doublePrecision("resync_day_share"),
    /** HMAC-SHA256 of the secret that its notifications come with, keyed by the installation's key. Null: none are taken. */
    hookSecretHmac: bytes("hook_secret_hmac"),
    hookSetAt: moment("hook_set_at"),
    /** Calls of getAvatar a day of the time zone. Null: no cap. */
    callsPerDay: integer("calls_per_day"),
    /** Minutes since midnight between which no call is sent. Null: none. */
    quietFrom: smallint("quiet_from"),
    quietUntil: smallint("quiet_until"),
    /** Single contacts that a person asks for are called for all the same. Null: they are not. */
    quietInteractive: boolean("quiet_interactive"),
    /** The zone of these days and hours. Null: UTC. */
    timeZone: text("time_zone"),
    /** With a cap: the day that is counted, and its calls. Those that the lease may still make of `calls_granted` are among them. */
    callsDay: date("calls_day"),
    callsToday: integer("calls_today"),
    /** Calls of that day that the present lease may make, all together. Null: there is none, or no cap. */
    callsGranted: integer("calls_granted"),
    createdAt: moment("created_at").notNull().defaultNow(),
  },
  (table) => [
    check("instances_resync_share_check", sql`${table.resyncShare} between 0 and 1`),
    check("instances_resync_day_share_check", sql`${table.resyncDayShare} between 0 and 1`),
    check("instances_state_check", sql`${table.state} in ('active', 'held', 'paused')`),
    check("instances_rate_check", sql`${table.requestsPerSecond} > 0`),
    check("instances_max_in_flight_check", sql`${table.maxInFlight} > 0`),
    check("instances_slowdown_check", sql`${table.slowdown} > 0 and ${table.slowdown} <= 1`),
    check("instances_margin_check", sql`${table.marginMs} >= 0`),
    check("instances_hook_check", sql`(${table.hookSecretHmac} is null) = (${table.hookSetAt} is null)`),
    check("instances_calls_per_day_check", sql`${table.callsPerDay} > 0`),
    check(
      "instances_quiet_check",
      sql`(${table.quietFrom} is null) = (${table.quietUntil} is null) and ${table.quietFrom} <> ${table.quietUntil}
        and ${table.quietFrom} between 0 and 1439 and ${table.quietUntil} between 1 and 1440
        and not (${table.quietFrom} = 0 and ${table.quietUntil} = 1440)`,
    ),
    check("instances_lease_check", sql`(${table.leaseOwner} is null) = (${table.leasedUntil} is null)`),
  ],
);
