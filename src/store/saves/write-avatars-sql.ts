import { equalsByIndex } from "../postgres/by-index-sql.ts";
import { differSql, isUnknownSql } from "../postgres/version-sql.ts";

/** What the feed of changes was last told of an avatar `a`. */
export const toldVersion = "case when a.is_untold then a.told_version else a.version end";

/** Codes of faults of one URL, or of its host: another URL of the same version is worth another try. */
const faultsOfUrls = `('expired', 'gone', 'forbidden', 'redirect', 'encoding', 'not-a-url', 'has-credentials')`;

/** Codes of what settings refuse. They may be others by now; while they are not, a try sends no host anything. */
const refusalsOfSettings = `('private-address', 'host-not-allowed', 'not-https', 'port-not-allowed')`;

/** A process that takes the image at once has so long; after it, any process does. */
export const offeredMs = 30_000;

/**
 * Whether the image of the version that was seen is to be taken, and from when on:
 *
 * | what was seen                                     | image_wanted_at                     |
 * | ------------------------------------------------- | ----------------------------------- |
 * | no picture; or no images are kept                 | null                                |
 * | the version that the image is of                  | null; soon where it says nothing    |
 * | the version that is wanted already, by its URL    | as it was, with its backoff         |
 * | the same by another URL, where a try has failed   | soon: a host's fault is no picture's |
 * | one whose image was refused for what it is        | null                                |
 * | one whose URL was at fault, by the same URL       | null; soon where it says nothing    |
 * | one that the settings refused, by any URL         | soon                                |
 * | any other: a new version, or a new URL of that    | soon, and at once by who has asked  |
 *
 * A version says nothing where its host is not known (domain/avatar-version.ts): its picture may be another one each time.
 *
 * @param keepsImages a condition
 */
const toWantedAt = (keepsImages: string) => `case
    when i.version is null or not ${keepsImages} or a.image_version = i.version and not ${isUnknownSql("i.version")} then null
    when a.version is distinct from i.version then statement_timestamp() + interval '${offeredMs} ms'
    when a.image_wanted_at is not null and (a.image_error is null or a.url is not distinct from i.url) then a.image_wanted_at
    when a.image_wanted_at is not null or a.image_error is null or ${isUnknownSql("i.version")}
      or a.image_error in ${refusalsOfSettings} or a.image_error in ${faultsOfUrls} and a.url is distinct from i.url
      then statement_timestamp() + interval '${offeredMs} ms'
    end`;

/**
 * The avatar that a record `i` was told of, as it stands while it is locked, and what becomes of it. To follow the contact `c`,
 * which is locked too: no other save is at its avatar. Until the image of a new version is taken or refused, the feed of changes
 * is not told of it (`is_untold`): another URL may have the image that is known. It is never told of a version that says nothing
 * after another one, unless their images differ. It stays at the last version that says something, so that it can tell later.
 *
 * | column               | what                                                                      |
 * | -------------------- | ------------------------------------------------------------------------- |
 * | `avatar_write`       | `add`, `renew`, or null: nothing was told, or a newer answer is there      |
 * | `is_told`            | the feed is told of the version now                                       |
 * | `has_changed`        | another avatar than the one before, as far as versions tell               |
 *
 * @param keepsImages a condition
 */
export function toAvatarSql(keepsImages: string): string {
  return `
  left join lateral (
    select a.* from avatars.avatars a
    where a.contact_id = c.id and i.avatar in ('seen', 'none')
    for no key update
  ) a on true
  cross join lateral (
    select ${toldVersion} as told, ${toWantedAt(keepsImages)} as wanted_at, a.version is distinct from i.version as is_other,
      case when c.id is not null and i.avatar in ('seen', 'none') then
        case when a.contact_id is null then 'add' when a.seen_at <= i.asked_at then 'renew' end end as avatar_write
  ) w
  cross join lateral (
    select w.told is distinct from i.version
        and (w.wanted_at is not null or ${isUnknownSql("i.version")} and not ${isUnknownSql("w.told")}) is true as is_untold,
      w.wanted_at is null and ${differSql("w.told", "i.version")} as is_told,
      ${differSql("a.version", "i.version")} as is_other_picture,
      case when a.contact_id is null or w.is_other or w.wanted_at is not null and ${isUnknownSql("i.version")}
        then i.asked_at else a.version_at end as version_at,
      case when a.image_version = w.told then a.image_sha256 end as from_sha256,
      case when a.image_version = i.version then a.image_sha256 end as to_sha256
  ) n`;
}

/** The columns of {@link toAvatarSql} that the statements below read. */
export const avatarColumns = `w.avatar_write, n.is_told, w.wanted_at,
    w.avatar_write = 'renew' and n.is_other_picture and a.first_seen_at < i.asked_at as has_changed,
    w.is_other, n.is_untold, n.version_at, w.told, n.from_sha256, n.to_sha256`;

/**
 * Writes avatars that were seen, or told to be none, and tells the feed of changes. Expects `looked`.
 *
 * - An avatar that another save has added since this statement began is not seen by it, and the insert fails: the whole is to be
 *   done again (query-unseen.ts).
 * - Ids of changes are taken behind the gate (change-horizon.ts).
 */
export const writeAvatarsSql = `added as (
  insert into avatars.avatars (contact_id, url, url_expires_at, version, first_seen_at, changed_at, seen_at, version_at,
    image_wanted_at, is_untold)
  select i.contact_id, i.url, i.url_expires_at, i.version, i.asked_at, i.asked_at, i.asked_at, i.asked_at, i.wanted_at, i.is_untold
  from looked i where i.avatar_write = 'add'
), renewed as (
  update avatars.avatars a set
    url = i.url, url_expires_at = i.url_expires_at, version = i.version, seen_at = i.asked_at, version_at = i.version_at,
    is_untold = i.is_untold, told_version = case when i.is_untold then i.told end, image_wanted_at = i.wanted_at,
    changed_at = case when i.is_told then i.asked_at else a.changed_at end, changes = a.changes + i.is_told::int,
    image_attempts = case when i.is_other then 0 else a.image_attempts end,
    image_error = case when i.is_other then null else a.image_error end,
    image_sha256 = case when i.version is not null then a.image_sha256 end,
    image_version = case when i.version is not null then a.image_version end,
    image_at = case when i.version is not null then a.image_at end
  from looked i where i.avatar_write = 'renew' and ${equalsByIndex("a.contact_id", "i.contact_id")}
), told as (
  insert into avatars.avatar_changes (contact_id, from_version, to_version, from_sha256, to_sha256, seen_at)
  select i.contact_id, i.told, i.version, i.from_sha256, i.to_sha256, coalesce(i.version_at, i.asked_at)
  from looked i where i.is_told and i.avatar_write is not null
    and (select avatars.enter_change_gate() from looked where is_told and avatar_write is not null limit 1)
)`;
