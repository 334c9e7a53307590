-- Contacts first, as saves take them.
LOCK TABLE avatars.contacts, avatars.contact_statuses IN ACCESS EXCLUSIVE MODE;
--> statement-breakpoint
DROP TRIGGER contacts_listed ON avatars.contacts;
--> statement-breakpoint
DROP TRIGGER contacts_relisted ON avatars.contacts;
--> statement-breakpoint
DROP TRIGGER contacts_unlisted ON avatars.contacts;
--> statement-breakpoint
DROP FUNCTION avatars.list_contacts();
--> statement-breakpoint
DROP FUNCTION avatars.relist_contact();
--> statement-breakpoint
DROP FUNCTION avatars.unlist_contacts();
--> statement-breakpoint
DELETE FROM avatars.contact_statuses WHERE status = 'unknown';
--> statement-breakpoint
CREATE INDEX "contacts_unknown_idx" ON "avatars"."contacts" USING btree ("instance_id","id") WHERE "avatars"."contacts"."status" = 'unknown';--> statement-breakpoint
ALTER TABLE "avatars"."contact_statuses" ADD CONSTRAINT "contact_statuses_status_check" CHECK ("avatars"."contact_statuses"."status" <> 'unknown');--> statement-breakpoint
-- The rows of lists, kept with their contacts. As in 0011 the settings are the function's own.
CREATE FUNCTION avatars.list_contact() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
begin
  if tg_op <> 'INSERT' and old.status <> 'unknown' then
    delete from avatars.contact_statuses s
    where s.instance_id = old.instance_id and s.status = old.status and s.contact_id = old.id;
  end if;
  if tg_op <> 'DELETE' and new.status <> 'unknown' then
    insert into avatars.contact_statuses (instance_id, status, contact_id) values (new.instance_id, new.status, new.id)
    on conflict do nothing;
  end if;
  return null;
end
$$;
--> statement-breakpoint
CREATE TRIGGER contacts_listed AFTER INSERT ON avatars.contacts
  FOR EACH ROW WHEN (new.status <> 'unknown') EXECUTE FUNCTION avatars.list_contact();
--> statement-breakpoint
-- For each row, and not with a table of all: a save that changes no status pays for the condition alone. The first answers of many
-- contacts are listed by their save, which says so (store/saves/write-lookups-sql.ts). Saves of a worker of before do not.
CREATE TRIGGER contacts_relisted AFTER UPDATE OF status ON avatars.contacts
  FOR EACH ROW WHEN (new.status <> old.status
    and (old.status <> 'unknown' or current_setting('avatars.first_answers_listed_by', true) is distinct from 'statement'))
  EXECUTE FUNCTION avatars.list_contact();
--> statement-breakpoint
-- For each row, too: the plan of a join with all that go depends on how many went first, and reads the whole table then.
CREATE TRIGGER contacts_unlisted AFTER DELETE ON avatars.contacts
  FOR EACH ROW WHEN (old.status <> 'unknown') EXECUTE FUNCTION avatars.list_contact();
