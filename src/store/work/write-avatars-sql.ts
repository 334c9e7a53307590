/** What the feed of changes was last told of an avatar `a`. */
export const toldVersion = "case when a.is_untold then a.told_version else a.version end";

/** Codes of faults of one URL: another URL of the same version is worth another try. */
const faultsOfUrls = "('expired', 'gone', 'forbidden')";

/** A process that takes the image at once has so long; after it, any process does. */
const offeredMs = 30_000;

/**
 * Whether the image of the version that was seen is to be taken, and from when on:
 *
 * | what was seen                                     | image_wanted_at                     |
 * | ------------------------------------------------- | ----------------------------------- |
 * | no picture; or no images are kept                 | null                                |
 * | the version that the image is of                  | null                                |
 * | the version that is wanted already                | as it was, with its backoff         |
 * | one whose image was refused for what it is        | null                                |
 * | one whose URL was at fault, by the same URL       | null                                |
 * | any other: a new version, or a new URL of that    | soon, and at once by who has asked  |
 */
const wantedAt = `case
    when excluded.version is null or excluded.image_wanted_at is null or a.image_version = excluded.version then null
    when a.version is distinct from excluded.version then excluded.image_wanted_at
    when a.image_wanted_at is not null then a.image_wanted_at
    when a.image_error is null or a.image_error in ${faultsOfUrls} and a.url is distinct from excluded.url
      then excluded.image_wanted_at
    end`;

/**
 * Writes avatars that were seen, or told to be none. Until the image of a new version is taken or refused, the feed of changes is
 * not told of it (`is_untold`): another URL may have the image that is known.
 *
 * Expects `incoming`, the records, `locked`, the contacts that are ours until the end, and $2: are images kept?
 */
export const writeAvatarsSql = `seen as (
  insert into avatars.avatars as a (contact_id, url, url_expires_at, version, first_seen_at, changed_at, seen_at, version_at,
    image_wanted_at, is_untold)
  select i.contact_id, i.url, to_timestamp(i.url_expires_at_ms / 1000), i.version, i.asked_at, i.asked_at, i.asked_at, i.asked_at,
    case when $2::boolean and i.avatar = 'seen' then clock_timestamp() + interval '${offeredMs} ms' end,
    $2::boolean and i.avatar = 'seen'
  from incoming i join locked l on l.id = i.contact_id
  where i.avatar in ('seen', 'none')
  order by i.contact_id
  on conflict (contact_id) do update set
    url = excluded.url, url_expires_at = excluded.url_expires_at, version = excluded.version, seen_at = excluded.seen_at,
    version_at = case when a.version is distinct from excluded.version then excluded.version_at else a.version_at end,
    (is_untold, told_version, image_wanted_at, changed_at, changes) = (
      select w.is_untold, case when w.is_untold then w.told end, w.wanted_at,
        case when w.is_change then excluded.changed_at else a.changed_at end, a.changes + w.is_change::int
      from (select t.*, t.is_new and t.wanted_at is not null as is_untold, t.is_new and t.wanted_at is null as is_change
        from (select f.*, excluded.version is distinct from f.told as is_new
          from (select ${toldVersion} as told, ${wantedAt} as wanted_at) f) t) w),
    image_attempts = case when a.version is distinct from excluded.version then 0 else a.image_attempts end,
    image_error = case when a.version is distinct from excluded.version then null else a.image_error end,
    image_sha256 = case when excluded.version is not null then a.image_sha256 end,
    image_version = case when excluded.version is not null then a.image_version end,
    image_at = case when excluded.version is not null then a.image_at end
  where a.seen_at <= excluded.seen_at
  returning a.contact_id, a.version_at = a.seen_at and a.first_seen_at < a.seen_at as has_changed,
    a.image_wanted_at > clock_timestamp() as is_wanted
)`;
