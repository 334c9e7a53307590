import type pg from "pg";
import type { ImageFacts } from "../../domain/images/image.ts";
import type { ImageSettlement, SettledImage } from "../../domain/images/image-taking.ts";
import { assertNever } from "../../lib/errors.ts";
import { inTransaction } from "../postgres/in-transaction.ts";
import { toldVersion } from "../saves/write-avatars-sql.ts";

/** What the taking of images has led to, in rows. */
export interface SettledCounts {
  /** Images that are shown from now on, each of another contact. */
  readonly taken: number;
  /** Of those, with another version: the image was the one that had been known. */
  readonly sameImage: number;
  /** Of those, with the version that had been known: the image was another one. */
  readonly otherImage: number;
  /** Contacts that are due again, for another URL. */
  readonly asked: number;
}

/** Each image once, in one order for all processes; one that is being removed is waited for, and inserted anew. */
const putImagesSql = `
insert into avatars.images (sha256, type, bytes, width, height)
select distinct on (sha256) decode(i.sha256, 'hex') as sha256, i.type, i.bytes, i.width, i.height
from json_to_recordset($1::json) as i (sha256 text, type text, bytes integer, width integer, height integer)
order by sha256
on conflict (sha256) do update set stored_at = clock_timestamp()`;

/**
 * URLs that came dead are asked for again so often in a row: a provider that goes on giving those must not use up the budget.
 * One that died while its host was at fault is another matter: the count begins anew.
 */
const askedAgain = 2;

/**
 * What was taken of a version that the row has no more is dropped: the newer one is wanted by itself. A refusal tells the feed of
 * the version, without an image; what is shown stays.
 */
const settleSql = `
with settled as materialized (
  select s.*, decode(s.sha256, 'hex') as image, to_timestamp(s.taken_at_ms / 1000) as taken_at
  from json_to_recordset($1::json) as s (contact_id bigint, version text, kind text, sha256 text, taken_at_ms float8, error text,
    retry_in_ms float8)
), locked as materialized (
  select a.contact_id, a.version, ${toldVersion} as told, a.image_sha256, a.image_version, a.image_attempts,
    a.image_error is not distinct from 'expired' as was_expired
  from avatars.avatars a
  where a.contact_id in (select contact_id from settled)
  order by a.contact_id for no key update
), matched as materialized (
  select l.*, s.kind, s.image, s.taken_at, s.error, s.retry_in_ms,
    case when s.kind = 'expired' and (l.image_attempts < ${askedAgain} or not l.was_expired) then 'ask'
      when s.kind = 'expired' then 'refused' else s.kind end as becomes
  from locked l join settled s on s.contact_id = l.contact_id and s.version = l.version
), free as materialized (
  select c.id from avatars.contacts c
  where c.id in (select contact_id from matched where becomes = 'ask')
  order by c.id for no key update skip locked
), asked as (
  update avatars.contacts c set due_at = clock_timestamp(), priority = 2, turn = null
  from free where c.id = free.id and c.due_at is null
  returning c.instance_id
), arrived as (
  insert into avatars.arrivals (instance_id, priority) select distinct instance_id, 2 from asked
), judged as materialized (
  select m.*, case when m.becomes = 'ask' and m.contact_id not in (select id from free) then 'failed' else m.becomes end as ends,
    avatars.is_avatar_change(m.told, case when m.image_version = m.told then m.image_sha256 end,
      m.version, case when m.kind = 'taken' then m.image end) as is_change
  from matched m
), written as (
  update avatars.avatars a set
    image_sha256 = case when j.ends = 'taken' then j.image else a.image_sha256 end,
    image_version = case when j.ends = 'taken' then a.version else a.image_version end,
    image_at = case when j.ends = 'taken' then j.taken_at else a.image_at end,
    image_wanted_at = case j.ends when 'failed' then clock_timestamp() + coalesce(j.retry_in_ms, 30000) * interval '1 ms' end,
    image_attempts = case when j.ends = 'taken' then 0 when (j.kind = 'expired') <> j.was_expired then 1
      else least(a.image_attempts + 1, 32767) end,
    image_error = case when j.ends <> 'taken' then coalesce(j.error, 'expired') end,
    is_untold = a.is_untold and j.ends not in ('taken', 'refused'),
    told_version = case when j.ends not in ('taken', 'refused') then a.told_version end,
    changed_at = case when j.ends in ('taken', 'refused') and j.is_change then coalesce(a.version_at, a.changed_at) else a.changed_at end,
    changes = a.changes + case when j.ends in ('taken', 'refused') and j.is_change and a.first_seen_at < a.version_at
      then 1 else 0 end
  from judged j where a.contact_id = j.contact_id
)
select count(*) filter (where ends = 'taken')::int as taken,
  count(*) filter (where ends = 'taken' and told <> version and image_sha256 = image and image_version = told)::int as same_image,
  count(*) filter (where ends = 'taken' and told = version and image_sha256 <> image and image_version = told)::int as other_image,
  count(*) filter (where ends = 'ask')::int as asked
from judged`;

/**
 * Writes how tries to take images ended, each of another contact.
 * @param ensureStored resolves when the bytes of these are in the store: a removal may have taken them away since they were put
 */
export async function settleImages(
  pool: pg.Pool,
  settled: readonly SettledImage[],
  ensureStored: (images: readonly ImageFacts[]) => Promise<void>,
): Promise<SettledCounts> {
  const images = settled.flatMap(({ settlement }) => (settlement.kind === "taken" ? [settlement.image] : []));
  return inTransaction(pool, async (client) => {
    if (images.length > 0) {
      await client.query({
        name: "put-images",
        text: putImagesSql,
        values: [
          JSON.stringify(
            images.map(({ sha256, ...facts }) => ({ ...facts, sha256: sha256.toString("hex") })),
          ),
        ],
      });
      await ensureStored(images);
    }
    const { rows } = await client.query<{
      taken: number;
      same_image: number;
      other_image: number;
      asked: number;
    }>({
      name: "settle-images",
      text: settleSql,
      values: [JSON.stringify(settled.map(toCells))],
    });
    const [counts] = rows;
    return {
      taken: counts?.taken ?? 0,
      sameImage: counts?.same_image ?? 0,
      otherImage: counts?.other_image ?? 0,
      asked: counts?.asked ?? 0,
    };
  });
}

function toCells({ wanted, settlement }: SettledImage) {
  const cells = { contact_id: wanted.contactId, version: wanted.version, kind: settlement.kind };
  return { ...cells, ...toOutcomeCells(settlement) };
}

function toOutcomeCells(settlement: ImageSettlement) {
  switch (settlement.kind) {
    case "taken":
      return { sha256: settlement.image.sha256.toString("hex"), taken_at_ms: settlement.at.getTime() };
    case "refused":
      return { error: settlement.error };
    case "expired":
      return {};
    case "failed":
      return { error: settlement.error, retry_in_ms: settlement.retryInMs };
    default:
      return assertNever(settlement);
  }
}
