CREATE SCHEMA IF NOT EXISTS "avatars";
--> statement-breakpoint
CREATE TABLE "avatars"."avatar_changes" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "avatars"."avatar_changes_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"contact_id" bigint NOT NULL,
	"from_version" text,
	"to_version" text,
	"seen_at" timestamp with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "avatars"."avatars" (
	"contact_id" bigint PRIMARY KEY NOT NULL,
	"url" text,
	"url_expires_at" timestamp with time zone,
	"version" text,
	"changed_at" timestamp with time zone NOT NULL,
	"seen_at" timestamp with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "avatars"."batch_members" (
	"batch_id" uuid NOT NULL,
	"contact_id" bigint NOT NULL,
	"position" bigint NOT NULL,
	CONSTRAINT "batch_members_batch_id_contact_id_pk" PRIMARY KEY("batch_id","contact_id")
);
--> statement-breakpoint
CREATE TABLE "avatars"."batches" (
	"id" uuid PRIMARY KEY DEFAULT gen_random_uuid() NOT NULL,
	"instance_id" text NOT NULL,
	"source" text NOT NULL,
	"label" text,
	"priority" smallint DEFAULT 1 NOT NULL,
	"requested_at" timestamp with time zone DEFAULT now() NOT NULL,
	"fresh_after" timestamp with time zone NOT NULL,
	"completed_intake_at" timestamp with time zone,
	"accepted" integer DEFAULT 0 NOT NULL,
	"duplicates" integer DEFAULT 0 NOT NULL,
	"rejected" integer DEFAULT 0 NOT NULL,
	CONSTRAINT "batches_priority_check" CHECK ("avatars"."batches"."priority" between 0 and 2)
);
--> statement-breakpoint
CREATE TABLE "avatars"."contacts" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "avatars"."contacts_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"instance_id" text NOT NULL,
	"chat_id" text NOT NULL,
	"external_ref" text,
	"status" text DEFAULT 'unknown' NOT NULL,
	"priority" smallint DEFAULT 1 NOT NULL,
	"due_at" timestamp with time zone,
	"wanted_at" timestamp with time zone,
	"fresh_after" timestamp with time zone,
	"claimed_by" uuid,
	"claimed_until" timestamp with time zone,
	"attempts" smallint DEFAULT 0 NOT NULL,
	"last_error" text,
	"checked_at" timestamp with time zone,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "contacts_chat_key" UNIQUE("instance_id","chat_id"),
	CONSTRAINT "contacts_status_check" CHECK ("avatars"."contacts"."status" in ('unknown', 'present', 'absent', 'hidden', 'invalid', 'unreachable')),
	CONSTRAINT "contacts_priority_check" CHECK ("avatars"."contacts"."priority" between 0 and 2),
	CONSTRAINT "contacts_claim_check" CHECK (("avatars"."contacts"."claimed_by" is null) = ("avatars"."contacts"."claimed_until" is null)),
	CONSTRAINT "contacts_wanted_check" CHECK ("avatars"."contacts"."wanted_at" is null or "avatars"."contacts"."due_at" is not null)
);
--> statement-breakpoint
CREATE TABLE "avatars"."instances" (
	"id" text PRIMARY KEY NOT NULL,
	"api_url" text NOT NULL,
	"sealed_token" text NOT NULL,
	"label" text,
	"requests_per_second" real,
	"max_in_flight" integer,
	"state" text DEFAULT 'active' NOT NULL,
	"held_reason" text,
	"held_since" timestamp with time zone,
	"held_until" timestamp with time zone,
	"hold_count" smallint DEFAULT 0 NOT NULL,
	"next_call_at" timestamp with time zone DEFAULT now() NOT NULL,
	"paced_by" uuid,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "instances_state_check" CHECK ("avatars"."instances"."state" in ('active', 'held', 'paused')),
	CONSTRAINT "instances_rate_check" CHECK ("avatars"."instances"."requests_per_second" > 0),
	CONSTRAINT "instances_max_in_flight_check" CHECK ("avatars"."instances"."max_in_flight" > 0)
);
--> statement-breakpoint
ALTER TABLE "avatars"."avatar_changes" ADD CONSTRAINT "avatar_changes_contact_id_contacts_id_fk" FOREIGN KEY ("contact_id") REFERENCES "avatars"."contacts"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "avatars"."avatars" ADD CONSTRAINT "avatars_contact_id_contacts_id_fk" FOREIGN KEY ("contact_id") REFERENCES "avatars"."contacts"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "avatars"."batches" ADD CONSTRAINT "batches_instance_id_instances_id_fk" FOREIGN KEY ("instance_id") REFERENCES "avatars"."instances"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "avatars"."contacts" ADD CONSTRAINT "contacts_instance_id_instances_id_fk" FOREIGN KEY ("instance_id") REFERENCES "avatars"."instances"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "contacts_due_idx" ON "avatars"."contacts" USING btree ("instance_id","priority","due_at","id") WHERE "avatars"."contacts"."due_at" is not null;