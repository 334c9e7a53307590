import type pg from "pg";
import type { ContactStatus } from "../../domain/contact-status.ts";
import type { InstanceId } from "../../domain/instance-id.ts";
import type { AvatarItem, BatchItem, FeedItem, FeedPage } from "../../domain/webhooks/feed-item.ts";
import { toShownText } from "../postgres/shown-text-sql.ts";
import { installationJoinSql, toImageUrlSql } from "../images/image-columns-sql.ts";

interface Row {
  readonly id: string;
  readonly type: FeedItem["type"];
  readonly at: Date;
  readonly instance_id: InstanceId | null;
  readonly contact_id: string | null;
  readonly chat_id: string | null;
  readonly external_ref: string | null;
  readonly status: ContactStatus | null;
  readonly from_version: string | null;
  readonly to_version: string | null;
  readonly image_url: string | null;
  readonly image_sha256: string | null;
  readonly is_first: boolean | null;
  readonly batch_id: string | null;
  readonly label: string | null;
  readonly accepted: number | null;
  readonly rejected: number | null;
  readonly is_cancelled: boolean | null;
  readonly endpoint_id: string | null;
  readonly reason: string | null;
}

/**
 * The items of places `p (id)`, by probes: each contact, avatar and batch by its key. A change whose contact was erased is not among them.
 * A first picture is one that the call behind the first clear answer has seen.
 */
const itemsSql = `
select h.id, case when h.to_version is null then 'avatar.removed' else 'avatar.changed' end as type, h.seen_at as at,
  c.instance_id, h.contact_id, c.chat_id, ${toShownText("c.external_ref")} as external_ref, c.status, h.from_version, h.to_version,
  ${toImageUrlSql("h.contact_id")} as image_url, encode(h.to_sha256, 'hex') as image_sha256,
  h.from_version is null and h.seen_at <= a.first_seen_at as is_first,
  null::uuid as batch_id, null as label, null::int as accepted, null::int as rejected, null::boolean as is_cancelled,
  null as endpoint_id, null as reason
from p
cross join lateral (select * from avatars.avatar_changes h where h.id = p.id offset 0) h
cross join lateral (select * from avatars.contacts c where c.id = h.contact_id offset 0) c
left join lateral (select a.first_seen_at from avatars.avatars a where a.contact_id = h.contact_id offset 0) a on true
${installationJoinSql}
union all
select v.id, v.type, v.at, v.instance_id, null, null, null, null, null, null, null, null, null,
  v.batch_id, ${toShownText("b.label")}, b.accepted, b.rejected, b.cancelled_at is not null, v.endpoint_id, v.reason
from p
cross join lateral (select * from avatars.webhook_events v where v.id = p.id offset 0) v
left join lateral (select * from avatars.batches b where b.id = v.batch_id offset 0) b on true
order by 1`;

const pageSql = `
with p as materialized (
  select id from (
    (select id from avatars.avatar_changes where id > $1 and id <= $2 order by id limit $3)
    union all
    (select id from avatars.webhook_events where id > $1 and id <= $2 order by id limit $3)
  ) u order by id limit $3
)
select i.*, (select count(*)::int from p) as scanned, (select max(id) from p) as last_id
from (select) x left join (${itemsSql}) i on true order by i.id`;

type PageRow = { readonly scanned: number; readonly last_id: string | null } & (Row | { readonly id: null });

/** Reads the feed behind a place, up to one that is final (change-horizon.ts). */
export async function readFeed(
  pool: pg.Pool,
  after: number,
  until: number,
  limit: number,
): Promise<FeedPage> {
  const { rows } = await pool.query<PageRow>({
    name: "webhook-feed",
    text: pageSql,
    values: [after, until, limit],
  });
  const first = rows[0];
  const isCut = first !== undefined && first.scanned >= limit;
  const items = rows.flatMap((row) => (row.id === null ? [] : (toItem(row) ?? [])));
  return { items, next: isCut ? Number(first.last_id) : until };
}

const someSql = `
with p as materialized (select unnest($1::bigint[]) as id)
${itemsSql}`;

/** The items at these places, by their place. Those that are gone are not among them. */
export async function findFeedItems(pool: pg.Pool, ids: readonly number[]): Promise<Map<number, FeedItem>> {
  const { rows } = await pool.query<Row>({ name: "webhook-items", text: someSql, values: [ids] });
  return new Map(rows.flatMap((row) => toItem(row) ?? []).map((item) => [item.id, item]));
}

/** Undefined: of what it is about nothing is left, or a later version of this program has written it. */
function toItem(row: Row): FeedItem | undefined {
  switch (row.type) {
    case "avatar.changed":
    case "avatar.removed":
      return toAvatarItem(row, row.type);
    case "batch.finished":
      return toBatchItem(row);
    case "instance.held":
    case "instance.resumed": {
      const { type, instance_id: instanceId, reason } = row;
      return instanceId === null
        ? undefined
        : { ...toPlace(row), type, instanceId, reason: reason ?? undefined };
    }
    case "endpoint.disabled": {
      const { type, endpoint_id: endpointId, reason } = row;
      if (endpointId === null) return undefined;
      return { ...toPlace(row), type, instanceId: undefined, endpointId, reason: reason ?? undefined };
    }
    default:
      return undefined;
  }
}

function toPlace({ id, at }: Row) {
  return { id: Number(id), at };
}

function toAvatarItem(row: Row, type: AvatarItem["type"]): AvatarItem | undefined {
  if (row.instance_id === null) return undefined;
  return {
    ...toPlace(row),
    type,
    instanceId: row.instance_id,
    contactId: Number(row.contact_id),
    chatId: row.chat_id ?? "",
    externalRef: row.external_ref ?? undefined,
    status: row.status ?? "unknown",
    version: row.to_version ?? undefined,
    previousVersion: row.from_version ?? undefined,
    imageUrl: row.image_url ?? undefined,
    imageSha256: row.image_sha256 ?? undefined,
    isFirst: row.is_first ?? false,
  };
}

function toBatchItem(row: Row): BatchItem | undefined {
  if (row.instance_id === null || row.batch_id === null || row.accepted === null) return undefined;
  return {
    ...toPlace(row),
    type: "batch.finished",
    instanceId: row.instance_id,
    batchId: row.batch_id,
    label: row.label ?? undefined,
    accepted: row.accepted,
    rejected: row.rejected ?? 0,
    isCancelled: row.is_cancelled ?? false,
  };
}
