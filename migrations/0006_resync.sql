-- In the order of the workers' statements, so that none of them can meet us halfway.
LOCK TABLE avatars.instances, avatars.batches, avatars.contacts, avatars.avatars IN ACCESS EXCLUSIVE MODE;
--> statement-breakpoint
CREATE TABLE "avatars"."resync_nights" (
	"slot_at" timestamp with time zone PRIMARY KEY NOT NULL,
	"opened_at" timestamp with time zone DEFAULT now() NOT NULL,
	"prepared_at" timestamp with time zone,
	"source_added" integer,
	"source_gone" integer,
	"source_rejected" integer,
	"source_error" text
);
--> statement-breakpoint
CREATE TABLE "avatars"."resync_runs" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "avatars"."resync_runs_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"instance_id" text NOT NULL,
	"kind" text NOT NULL,
	"night_at" timestamp with time zone,
	"opened_at" timestamp with time zone DEFAULT now() NOT NULL,
	"ends_at" timestamp with time zone,
	"requested_only" boolean DEFAULT false NOT NULL,
	"most_contacts" integer,
	"due" integer,
	"planned" integer,
	"released" integer DEFAULT 0 NOT NULL,
	"asked" integer DEFAULT 0 NOT NULL,
	"changed" integer DEFAULT 0 NOT NULL,
	"throttled" integer DEFAULT 0 NOT NULL,
	"next_release_at" timestamp with time zone DEFAULT now() NOT NULL,
	"ended_at" timestamp with time zone,
	"ended_by" text,
	"left_over" integer,
	CONSTRAINT "resync_runs_night_key" UNIQUE("instance_id","night_at")
);
--> statement-breakpoint
ALTER TABLE "avatars"."avatars" ADD COLUMN "first_seen_at" timestamp with time zone DEFAULT now() NOT NULL;--> statement-breakpoint
ALTER TABLE "avatars"."avatars" ADD COLUMN "changes" integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "avatars"."contacts" ADD COLUMN "refresh_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "avatars"."contacts" ADD COLUMN "refresh_step" smallint DEFAULT -2 NOT NULL;--> statement-breakpoint
ALTER TABLE "avatars"."contacts" ADD COLUMN "resync_run_id" bigint;--> statement-breakpoint
ALTER TABLE "avatars"."contacts" ADD COLUMN "is_listed" boolean;--> statement-breakpoint
ALTER TABLE "avatars"."instances" ADD COLUMN "resync_share" double precision;--> statement-breakpoint
ALTER TABLE "avatars"."instances" ADD COLUMN "resync_day_share" double precision;--> statement-breakpoint
-- What rests already is due again by the policy's defaults, as domain/refresh-policy.ts would have it without a history; the
-- settings take effect with the next answer. Before the index is made: it would begin with as many dead entries. It rewrites those
-- rows: minutes with millions of them.
UPDATE avatars.contacts c SET refresh_at = r.at, refresh_step = r.step
FROM (
  SELECT c.id,
    CASE WHEN u.at < a.at THEN u.at ELSE a.at END AS at,
    CASE WHEN u.at < a.at THEN -1 ELSE a.step END AS step
  FROM avatars.contacts c
  LEFT JOIN avatars.avatars v ON v.contact_id = c.id
  CROSS JOIN LATERAL (SELECT c.id * 0.618033988749895 % 1 AS fraction) f
  CROSS JOIN LATERAL (
    SELECT CASE WHEN c.checked_at IS NULL THEN now()
        ELSE c.checked_at + d.days * (1 - 0.1 * f.fraction)::float8 * interval '1 day' END AS at,
      CASE WHEN c.checked_at IS NULL THEN -2 ELSE d.step END AS step
    FROM (VALUES ('present', 7, 30), ('absent', 14, 34), ('hidden', 30, 38), ('unreachable', 1, 18), ('unknown', 0, -2))
      AS d (status, days, step)
    WHERE d.status = c.status
  ) a
  CROSS JOIN LATERAL (
    SELECT CASE WHEN c.status = 'present' AND v.url_expires_at > c.checked_at + interval '1 hour'
      THEN greatest(v.url_expires_at - (1 + 0.5 * f.fraction)::float8 * interval '1 day',
        c.checked_at + (v.url_expires_at - c.checked_at) / 2) END AS at
  ) u
  WHERE c.due_at IS NULL
) r
WHERE c.id = r.id;
--> statement-breakpoint
-- The first entry of a history is the picture that was there at the first look.
UPDATE avatars.avatars a SET first_seen_at = coalesce(h.since, a.changed_at), changes = coalesce(h.changes, 0)
FROM avatars.avatars x
LEFT JOIN (SELECT contact_id, min(seen_at) AS since, count(*) - 1 AS changes FROM avatars.avatar_changes GROUP BY contact_id) h
  ON h.contact_id = x.contact_id
WHERE a.contact_id = x.contact_id;
--> statement-breakpoint
ALTER TABLE "avatars"."resync_runs" ADD CONSTRAINT "resync_runs_instance_id_instances_id_fk" FOREIGN KEY ("instance_id") REFERENCES "avatars"."instances"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "avatars"."resync_runs" ADD CONSTRAINT "resync_runs_night_at_resync_nights_slot_at_fk" FOREIGN KEY ("night_at") REFERENCES "avatars"."resync_nights"("slot_at") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE UNIQUE INDEX "resync_runs_open_key" ON "avatars"."resync_runs" USING btree ("instance_id") WHERE "avatars"."resync_runs"."ended_at" is null;--> statement-breakpoint
CREATE INDEX "resync_runs_opened_idx" ON "avatars"."resync_runs" USING btree ("opened_at","id");--> statement-breakpoint
CREATE INDEX "resync_runs_manual_idx" ON "avatars"."resync_runs" USING btree ("instance_id","id") WHERE "avatars"."resync_runs"."kind" = 'manual';--> statement-breakpoint
CREATE INDEX "resync_runs_night_idx" ON "avatars"."resync_runs" USING btree ("night_at");--> statement-breakpoint
CREATE INDEX "batches_finished_idx" ON "avatars"."batches" USING btree ("finished_at") WHERE "avatars"."batches"."finished_at" is not null;--> statement-breakpoint
CREATE INDEX "contacts_refresh_idx" ON "avatars"."contacts" USING btree ("instance_id","refresh_step","refresh_at","id") WHERE "avatars"."contacts"."due_at" is null and "avatars"."contacts"."refresh_at" is not null;--> statement-breakpoint
CREATE INDEX "contacts_resync_run_idx" ON "avatars"."contacts" USING btree ("resync_run_id") WHERE "avatars"."contacts"."resync_run_id" is not null;--> statement-breakpoint
ALTER TABLE "avatars"."contacts" ADD CONSTRAINT "contacts_resync_run_check" CHECK ("avatars"."contacts"."resync_run_id" is null or "avatars"."contacts"."due_at" is not null);--> statement-breakpoint
ALTER TABLE "avatars"."instances" ADD CONSTRAINT "instances_resync_share_check" CHECK ("avatars"."instances"."resync_share" between 0 and 1);--> statement-breakpoint
ALTER TABLE "avatars"."instances" ADD CONSTRAINT "instances_resync_day_share_check" CHECK ("avatars"."instances"."resync_day_share" between 0 and 1);
--> statement-breakpoint
-- Rewritten with every few answers of its instance.
ALTER TABLE avatars.resync_runs SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
