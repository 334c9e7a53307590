CREATE TABLE "avatars"."change_gate" ();
--> statement-breakpoint
CREATE TABLE "avatars"."gates" (
	"name" text PRIMARY KEY NOT NULL
);
--> statement-breakpoint
CREATE TABLE "avatars"."lookups_aside" (
	"contact_id" bigint PRIMARY KEY NOT NULL,
	"instance_id" text NOT NULL,
	"run_id" uuid NOT NULL,
	"claimed_until" timestamp with time zone,
	"record" json,
	"put_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "lookups_aside_record_check" CHECK (("avatars"."lookups_aside"."record" is null) = ("avatars"."lookups_aside"."claimed_until" is not null))
);
--> statement-breakpoint
ALTER TABLE "avatars"."lookups_aside" ADD CONSTRAINT "lookups_aside_contact_id_contacts_id_fk" FOREIGN KEY ("contact_id") REFERENCES "avatars"."contacts"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "lookups_aside_instance_idx" ON "avatars"."lookups_aside" USING btree ("instance_id");
--> statement-breakpoint
-- Locks that only roles with rights on the tables can take: any role may take an advisory lock, of whatever number.
INSERT INTO avatars.gates (name) VALUES ('opening runs'), ('old changes'), ('old batches'), ('old resyncs');
--> statement-breakpoint
-- As in 0005, but for the lock: a writer holds the empty table, beside others, from before it takes an id to its commit; a reader
-- of the feed takes it alone for a moment (store/change-horizon.ts). Never vacuumed, since nothing is ever written to it.
CREATE OR REPLACE FUNCTION avatars.record_avatar_change() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
begin
  lock table avatars.change_gate in row exclusive mode;
  insert into avatars.avatar_changes (contact_id, from_version, to_version, seen_at)
  values (new.contact_id, case when tg_op = 'UPDATE' then old.version end, new.version, new.seen_at);
  return null;
end
$$;
