-- Beside the readers, and contacts first, as saves take them: a save that is under way is waited for, and not met halfway.
LOCK TABLE avatars.contacts, avatars.avatars IN SHARE ROW EXCLUSIVE MODE;
--> statement-breakpoint
CREATE TABLE "avatars"."contact_statuses" (
	"instance_id" text NOT NULL,
	"status" text NOT NULL,
	"contact_id" bigint NOT NULL,
	CONSTRAINT "contact_statuses_instance_id_status_contact_id_pk" PRIMARY KEY("instance_id","status","contact_id")
);
--> statement-breakpoint
CREATE INDEX "avatars_changed_idx" ON "avatars"."avatars" USING btree ("changed_at","contact_id") WHERE "avatars"."avatars"."changes" > 0;--> statement-breakpoint
-- The rows of lists, kept with their contacts. As in 0011 the settings are the functions' own.
CREATE FUNCTION avatars.list_contacts() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
begin
  insert into avatars.contact_statuses (instance_id, status, contact_id) select instance_id, status, id from come;
  return null;
end
$$;
--> statement-breakpoint
CREATE TRIGGER contacts_listed AFTER INSERT ON avatars.contacts
  REFERENCING NEW TABLE AS come FOR EACH STATEMENT EXECUTE FUNCTION avatars.list_contacts();
--> statement-breakpoint
CREATE FUNCTION avatars.relist_contact() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
begin
  update avatars.contact_statuses s set status = new.status
  where s.instance_id = old.instance_id and s.status = old.status and s.contact_id = old.id;
  return null;
end
$$;
--> statement-breakpoint
-- For each row, and not with a table of all: a save that changes no status pays for the condition alone.
CREATE TRIGGER contacts_relisted AFTER UPDATE OF status ON avatars.contacts
  FOR EACH ROW WHEN (new.status <> old.status) EXECUTE FUNCTION avatars.relist_contact();
--> statement-breakpoint
CREATE FUNCTION avatars.unlist_contacts() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
begin
  delete from avatars.contact_statuses s using gone
  where s.instance_id = gone.instance_id and s.status = gone.status and s.contact_id = any (array[gone.id]);
  return null;
end
$$;
--> statement-breakpoint
CREATE TRIGGER contacts_unlisted AFTER DELETE ON avatars.contacts
  REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION avatars.unlist_contacts();
--> statement-breakpoint
INSERT INTO avatars.contact_statuses (instance_id, status, contact_id) SELECT instance_id, status, id FROM avatars.contacts;
