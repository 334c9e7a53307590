-- In the order of the workers' statements, so that none of them can meet us halfway.
LOCK TABLE avatars.instances, avatars.batches, avatars.contacts IN ACCESS EXCLUSIVE MODE;
--> statement-breakpoint
CREATE TABLE "avatars"."worker_activity" (
	"process_id" uuid NOT NULL,
	"instance_id" text NOT NULL,
	"in_flight" integer NOT NULL,
	"calls_per_second" real NOT NULL,
	"recent_calls" integer NOT NULL,
	"recent_throttled" integer NOT NULL,
	"latency_ms" real,
	"reported_at" timestamp with time zone NOT NULL,
	CONSTRAINT "worker_activity_process_id_instance_id_pk" PRIMARY KEY("process_id","instance_id")
);
--> statement-breakpoint
DROP INDEX "avatars"."contacts_due_idx";--> statement-breakpoint
ALTER TABLE "avatars"."batches" ADD COLUMN "last_turn" bigint DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "avatars"."contacts" ADD COLUMN "turn" bigint;--> statement-breakpoint
-- What waits already shares with new batches from now on, as if it were one batch. Before the indexes are made: they would
-- begin with as many dead entries.
UPDATE avatars.contacts c SET turn = waiting.turn
FROM (
  SELECT id, row_number() OVER (PARTITION BY instance_id, priority ORDER BY due_at, id) AS turn
  FROM avatars.contacts WHERE wanted_at IS NOT NULL AND attempts = 0 AND due_at <= now()
) waiting
WHERE c.id = waiting.id;
--> statement-breakpoint
ALTER TABLE "avatars"."instances" ADD COLUMN "allowed_chat_ids" text[];--> statement-breakpoint
ALTER TABLE "avatars"."instances" ADD COLUMN "state_seen" text;--> statement-breakpoint
ALTER TABLE "avatars"."instances" ADD COLUMN "state_seen_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "avatars"."instances" ADD COLUMN "next_state_call_at" timestamp with time zone DEFAULT now() NOT NULL;--> statement-breakpoint
ALTER TABLE "avatars"."instances" ADD COLUMN "margin_ms" real;--> statement-breakpoint
ALTER TABLE "avatars"."instances" ADD COLUMN "slowdown" real DEFAULT 1 NOT NULL;--> statement-breakpoint
ALTER TABLE "avatars"."instances" ADD COLUMN "slowed_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "avatars"."instances" ADD COLUMN "throttled_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "avatars"."instances" ADD COLUMN "throttle_count" smallint DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "avatars"."instances" ADD COLUMN "throttled_until" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "avatars"."instances" ADD COLUMN "ramp_from" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "avatars"."instances" ADD COLUMN "turns" bigint[] DEFAULT '{0,0,0}' NOT NULL;--> statement-breakpoint
CREATE INDEX "contacts_turn_idx" ON "avatars"."contacts" USING btree ("instance_id","priority","turn","id") WHERE "avatars"."contacts"."turn" is not null;--> statement-breakpoint
CREATE INDEX "contacts_due_idx" ON "avatars"."contacts" USING btree ("instance_id","priority","due_at","id") WHERE "avatars"."contacts"."due_at" is not null and "avatars"."contacts"."turn" is null;--> statement-breakpoint
ALTER TABLE "avatars"."contacts" ADD CONSTRAINT "contacts_turn_check" CHECK ("avatars"."contacts"."turn" is null or "avatars"."contacts"."due_at" is not null);--> statement-breakpoint
ALTER TABLE "avatars"."instances" ADD CONSTRAINT "instances_slowdown_check" CHECK ("avatars"."instances"."slowdown" > 0 and "avatars"."instances"."slowdown" <= 1);--> statement-breakpoint
ALTER TABLE "avatars"."instances" ADD CONSTRAINT "instances_margin_check" CHECK ("avatars"."instances"."margin_ms" >= 0);