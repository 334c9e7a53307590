import type pg from "pg";
import type { BatchItem } from "../../domain/views/batch.ts";
import type { ChatId } from "../../domain/chat-id.ts";
import type { Page, PageRequest } from "../../domain/page.ts";
import { UserError } from "../../lib/errors.ts";
import { memberStatusSql } from "./batch-sql.ts";
import { isUuid } from "../../lib/uuid.ts";
import { toShownText } from "../postgres/shown-text-sql.ts";
import { imageJoinsSql, toContactImage, toImageColumns, type ImageRow } from "../images/image-columns-sql.ts";

/** Members that are looked at for one page. It may be short where few are of the status that is asked for. */
const lookedAtAtOnce = 50_000;

const sql = `
select c.contact_id, c.chat_id, c.external_ref, m.position, c.status, a.url, a.url_expires_at, c.checked_at, c.attempts,
  c.last_error, ${toImageColumns("c.contact_id")}
from avatars.batches b
cross join lateral (
  select m.contact_id, m.position from avatars.batch_members m
  where m.batch_id = $1 and m.contact_id > $2 order by m.contact_id limit ${lookedAtAtOnce}
) m
cross join lateral (
  select c.id as contact_id, c.chat_id, ${toShownText("c.external_ref")} as external_ref, ${memberStatusSql} as status, c.checked_at, c.attempts, c.last_error
  from avatars.contacts c where c.id = m.contact_id limit 1
) c
left join lateral (
  select a.* from avatars.avatars a where a.contact_id = c.contact_id limit 1
) a on true
${imageJoinsSql}
where b.id = $1 and ($3::text[] is null or c.status = any ($3))
order by m.contact_id limit $4`;

/** Where the members end that were looked at, if there are more. */
const endSql = `
select m.contact_id from avatars.batch_members m
where m.batch_id = $1 and m.contact_id > $2 order by m.contact_id offset ${lookedAtAtOnce - 1} limit 1`;

interface Row extends ImageRow {
  readonly contact_id: string;
  readonly chat_id: ChatId;
  readonly external_ref: string | null;
  readonly position: string;
  readonly status: BatchItem["status"];
  readonly url: string | null;
  readonly url_expires_at: Date | null;
  readonly checked_at: Date | null;
  readonly attempts: number;
  readonly last_error: string | null;
}

/**
 * The contacts of a batch, in the order in which they came to be known. There are none where there is no such batch. A page
 * may be short, or empty, and not the last.
 * @throws UserError `invalid-cursor`
 */
export async function listBatchItems(
  pool: pg.Pool,
  batchId: string,
  statuses: readonly BatchItem["status"][] | undefined,
  { after = "0", limit }: PageRequest,
): Promise<Page<BatchItem>> {
  if (!/^\d{1,18}$/.test(after)) throw new UserError("invalid-cursor", "not a cursor of a list of contacts");
  if (!isUuid(batchId)) return { items: [], next: undefined };
  const { rows } = await pool.query<Row>(sql, [batchId, after, statuses ?? null, limit + 1]);
  const items = rows.slice(0, limit);
  const next = rows.length > limit ? items.at(-1)?.contact_id : await findEnd(pool, batchId, after);
  return { items: items.map(toItem), next };
}

async function findEnd(pool: pg.Pool, batchId: string, after: string): Promise<string | undefined> {
  const { rows } = await pool.query<{ contact_id: string }>(endSql, [batchId, after]);
  return rows[0]?.contact_id;
}

function toItem(row: Row): BatchItem {
  return {
    contactId: Number(row.contact_id),
    chatId: row.chat_id,
    externalRef: row.external_ref ?? undefined,
    position: Number(row.position),
    status: row.status,
    avatarUrl: row.url ?? undefined,
    urlExpiresAt: row.url_expires_at ?? undefined,
    checkedAt: row.checked_at ?? undefined,
    attempts: row.attempts,
    lastError: row.last_error ?? undefined,
    image: toContactImage(row),
  };
}
