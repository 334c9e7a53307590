-- In the order of the workers' statements, so that none of them can meet us halfway.
LOCK TABLE avatars.avatars, avatars.avatar_changes IN ACCESS EXCLUSIVE MODE;
--> statement-breakpoint
CREATE TABLE "avatars"."images" (
	"sha256" "bytea" PRIMARY KEY NOT NULL,
	"type" text NOT NULL,
	"bytes" integer NOT NULL,
	"width" integer NOT NULL,
	"height" integer NOT NULL,
	"stored_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "images_sha256_check" CHECK (length("avatars"."images"."sha256") = 32),
	CONSTRAINT "images_type_check" CHECK ("avatars"."images"."type" in ('image/jpeg', 'image/png', 'image/webp'))
);
--> statement-breakpoint
CREATE TABLE "avatars"."images_unused" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "avatars"."images_unused_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"sha256" "bytea" NOT NULL,
	"at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "avatars"."installation" (
	"is_only" boolean PRIMARY KEY DEFAULT true NOT NULL,
	"image_key" "bytea" NOT NULL,
	"image_key_inner" "bytea" NOT NULL,
	"image_key_outer" "bytea" NOT NULL,
	"public_url" text,
	"serves_images" boolean DEFAULT false NOT NULL,
	CONSTRAINT "installation_only_check" CHECK ("avatars"."installation"."is_only")
);
--> statement-breakpoint
ALTER TABLE "avatars"."avatar_changes" ADD COLUMN "from_sha256" "bytea";--> statement-breakpoint
ALTER TABLE "avatars"."avatar_changes" ADD COLUMN "to_sha256" "bytea";--> statement-breakpoint
ALTER TABLE "avatars"."avatars" ADD COLUMN "version_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "avatars"."avatars" ADD COLUMN "is_untold" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "avatars"."avatars" ADD COLUMN "told_version" text;--> statement-breakpoint
ALTER TABLE "avatars"."avatars" ADD COLUMN "image_sha256" "bytea";--> statement-breakpoint
ALTER TABLE "avatars"."avatars" ADD COLUMN "image_version" text;--> statement-breakpoint
ALTER TABLE "avatars"."avatars" ADD COLUMN "image_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "avatars"."avatars" ADD COLUMN "image_wanted_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "avatars"."avatars" ADD COLUMN "image_attempts" smallint DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "avatars"."avatars" ADD COLUMN "image_error" text;--> statement-breakpoint
ALTER TABLE "avatars"."avatars" ADD CONSTRAINT "avatars_image_sha256_images_sha256_fk" FOREIGN KEY ("image_sha256") REFERENCES "avatars"."images"("sha256") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "avatar_changes_from_image_idx" ON "avatars"."avatar_changes" USING btree ("from_sha256") WHERE "avatars"."avatar_changes"."from_sha256" is not null;--> statement-breakpoint
CREATE INDEX "avatar_changes_to_image_idx" ON "avatars"."avatar_changes" USING btree ("to_sha256") WHERE "avatars"."avatar_changes"."to_sha256" is not null;--> statement-breakpoint
CREATE INDEX "avatars_image_wanted_idx" ON "avatars"."avatars" USING btree ("image_wanted_at") WHERE "avatars"."avatars"."image_wanted_at" is not null;--> statement-breakpoint
CREATE INDEX "avatars_image_idx" ON "avatars"."avatars" USING btree ("image_sha256") WHERE "avatars"."avatars"."image_sha256" is not null;
--> statement-breakpoint
-- The key of the addresses of images: 32 bytes of chance, of two random UUIDs each. It never changes, and so no address does.
INSERT INTO avatars.installation (image_key, image_key_inner, image_key_outer)
SELECT key,
  (SELECT string_agg(set_byte('\x00', 0, get_byte(padded, at) # 54), '' ORDER BY at) FROM generate_series(0, 63) AS at),
  (SELECT string_agg(set_byte('\x00', 0, get_byte(padded, at) # 92), '' ORDER BY at) FROM generate_series(0, 63) AS at)
FROM (SELECT key, key || decode(repeat('00', 32), 'hex') AS padded
  FROM (SELECT sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())
    || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())) AS key) AS random OFFSET 0) AS padded;
--> statement-breakpoint
-- The same as src/images/address/image-token.ts, where a test holds it: the contact's id, and of its HMAC-SHA256 16 bytes.
CREATE FUNCTION avatars.image_token(contact_id bigint, key_inner bytea, key_outer bytea) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN translate(encode(int8send(contact_id) || substr(
  sha256(key_outer || sha256(key_inner || convert_to('image:', 'UTF8') || int8send(contact_id))), 1, 16), 'base64'), '+/', '-_');
--> statement-breakpoint
-- For the JOIN of a CRM, stable by promise: columns are only ever added, at the end. A role needs `usage` of the schema and
-- `select` on the view, and no right on a table.
CREATE VIEW avatars.current AS
SELECT c.chat_id, c.instance_id, c.external_ref, c.status, c.checked_at,
  CASE WHEN i.serves_images THEN
    coalesce(i.public_url, '') || '/i/' || avatars.image_token(c.id, i.image_key_inner, i.image_key_outer) END AS image_url,
  encode(a.image_sha256, 'hex') AS image_sha256, a.image_at,
  a.image_sha256 is not null and (c.status <> 'present' or a.image_version is distinct from a.version) AS image_old,
  a.url AS provider_url, a.url_expires_at AS provider_url_expires_at
FROM avatars.contacts c
LEFT JOIN avatars.avatars a ON a.contact_id = c.id
CROSS JOIN avatars.installation i;
--> statement-breakpoint
-- Is it a change for people? Versions are of URLs: with the bytes of both at hand, these decide.
CREATE FUNCTION avatars.is_avatar_change(from_version text, from_sha256 bytea, to_version text, to_sha256 bytea) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
  WHEN from_version is null or to_version is null THEN (from_version is null) <> (to_version is null)
  WHEN from_sha256 is not null and to_sha256 is not null THEN from_sha256 <> to_sha256
  ELSE from_version <> to_version END;
--> statement-breakpoint
-- As in 0007, and: what the feed was told last and what it is to be told now are compared, with the images of both.
CREATE OR REPLACE FUNCTION avatars.record_avatar_change() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
declare
  from_version text;
  from_sha256 bytea;
  to_version text := case when new.is_untold then new.told_version else new.version end;
  to_sha256 bytea := case when new.image_version = to_version then new.image_sha256 end;
begin
  if tg_op = 'UPDATE' then
    from_version := case when old.is_untold then old.told_version else old.version end;
    from_sha256 := case when old.image_version = from_version then old.image_sha256 end;
  end if;
  if not avatars.is_avatar_change(from_version, from_sha256, to_version, to_sha256) then
    return null;
  end if;
  lock table avatars.change_gate in row exclusive mode;
  insert into avatars.avatar_changes (contact_id, from_version, to_version, from_sha256, to_sha256, seen_at)
  values (new.contact_id, from_version, to_version, from_sha256, to_sha256, coalesce(new.version_at, new.seen_at));
  return null;
end
$$;
--> statement-breakpoint
DROP TRIGGER avatar_first_seen ON avatars.avatars;
--> statement-breakpoint
DROP TRIGGER avatar_changed ON avatars.avatars;
--> statement-breakpoint
CREATE TRIGGER avatar_first_seen AFTER INSERT ON avatars.avatars
  FOR EACH ROW WHEN (new.version is not null and not new.is_untold) EXECUTE FUNCTION avatars.record_avatar_change();
--> statement-breakpoint
CREATE TRIGGER avatar_changed AFTER UPDATE OF version, is_untold, told_version, image_sha256 ON avatars.avatars
  FOR EACH ROW WHEN (new.version is distinct from old.version or new.is_untold <> old.is_untold
    or new.told_version is distinct from old.told_version or new.image_sha256 is distinct from old.image_sha256)
  EXECUTE FUNCTION avatars.record_avatar_change();
--> statement-breakpoint
-- An image that a row stops to show may be one that no row shows: it is looked at, and removed, by a task of the workers.
CREATE FUNCTION avatars.note_unused_image() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
begin
  insert into avatars.images_unused (sha256) values (old.image_sha256);
  return null;
end
$$;
--> statement-breakpoint
CREATE TRIGGER avatar_image_replaced AFTER UPDATE OF image_sha256 ON avatars.avatars
  FOR EACH ROW WHEN (old.image_sha256 is not null and old.image_sha256 is distinct from new.image_sha256)
  EXECUTE FUNCTION avatars.note_unused_image();
--> statement-breakpoint
CREATE TRIGGER avatar_image_removed AFTER DELETE ON avatars.avatars
  FOR EACH ROW WHEN (old.image_sha256 is not null) EXECUTE FUNCTION avatars.note_unused_image();
--> statement-breakpoint
CREATE FUNCTION avatars.note_unused_images_of_change() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
begin
  insert into avatars.images_unused (sha256)
  select h.sha256 from (values (old.from_sha256), (old.to_sha256)) as h (sha256) where h.sha256 is not null;
  return null;
end
$$;
--> statement-breakpoint
CREATE TRIGGER avatar_change_images_removed AFTER DELETE ON avatars.avatar_changes
  FOR EACH ROW WHEN (old.from_sha256 is not null or old.to_sha256 is not null)
  EXECUTE FUNCTION avatars.note_unused_images_of_change();
--> statement-breakpoint
-- Settings of the workers' statements, as for other queues in tables: what is done leaves no long trail of dead rows.
ALTER TABLE avatars.images_unused SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
