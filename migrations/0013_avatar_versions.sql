-- Taken at once, before anything is changed: whoever uses the table is waited for but once.
LOCK TABLE avatars.avatars IN ACCESS EXCLUSIVE MODE;
--> statement-breakpoint
-- As in 0010, and: versions that begin with `url:` say nothing of the picture (src/domain/avatar-version.ts).
CREATE OR REPLACE FUNCTION avatars.is_avatar_change(from_version text, from_sha256 bytea, to_version text, to_sha256 bytea) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
  WHEN from_version is null or to_version is null THEN (from_version is null) <> (to_version is null)
  WHEN from_sha256 is not null and to_sha256 is not null THEN from_sha256 <> to_sha256
  WHEN starts_with(from_version, 'url:') or starts_with(to_version, 'url:') THEN false
  ELSE from_version <> to_version END;
--> statement-breakpoint
-- Versions were paths, whatever the host. Where a path does not tell the picture the row gets the version that the next answer has,
-- so that this is no change to be told. An image that is kept may be of an older picture: it stays, and the next answer takes it anew.
SELECT set_config('avatars.changes_told_by', 'statement', true);
--> statement-breakpoint
UPDATE avatars.avatars a
SET version = n.version,
  told_version = CASE WHEN a.is_untold and a.told_version is null THEN null END,
  is_untold = a.is_untold and a.told_version is null
FROM (
  SELECT contact_id, CASE
    WHEN url ~* '^https?://([^/?#]*\.)?oneme\.ru(:[0-9]+)?/' and url ~ '^[^#]*[?&]r=[^&#]'
      THEN substring(url from '^[a-zA-Z]+://[^/?#]+([^?#]*)') || '?r=' || substring(url from '[?&]r=([^&#]+)')
    ELSE 'url:' || encode(sha256(convert_to(url, 'UTF8')), 'hex') END AS version
  FROM avatars.avatars
  WHERE version is not null and url is not null and not starts_with(version, 'sha256:')
    and url !~* '^https?://([^/?#]*\.)?(whatsapp\.net|fbcdn\.net)(:[0-9]+)?(/|$)'
    and url !~ '^[a-zA-Z]+://[^/?#]+/v/t[0-9]{1,6}\.[0-9]{1,8}-[0-9]{1,4}/'
) n WHERE a.contact_id = n.contact_id;
--> statement-breakpoint
SELECT set_config('avatars.changes_told_by', '', true);
