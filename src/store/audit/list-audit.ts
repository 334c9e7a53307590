import type pg from "pg";
import type { AuditDetail, AuditFilter, AuditRecord } from "../../domain/audit.ts";
import type { InstanceId } from "../../domain/instance-id.ts";
import type { Page, PageRequest } from "../../domain/page.ts";
import { UserError } from "../../lib/errors.ts";

/** Rows that one call looks at: a filter that few of them pass gives short pages, in some tens of milliseconds each. */
const scannedAtOnce = 10_000;

/** Exact, which a number of seconds is not. */
const afterSql = `'epoch'::timestamptz + $1::bigint / 1000000 * interval '1 s' + $1::bigint % 1000000 * interval '1 us'`;

const sql = `
with scanned as materialized (
  select *, (extract(epoch from at) * 1000000)::bigint as micros from avatars.audit
  where ($1::bigint is null or (at, id) < (${afterSql}, $2::bigint))
    and ($3::timestamptz is null or at >= $3) and ($4::timestamptz is null or at < $4)
  order by at desc, id desc limit $5
), chosen as (
  select * from scanned
  where ($6::text[] is null or instance_id = any ($6))
    and ($7::text is null or $7 in (actor_id, case actor_kind when 'cli' then actor_name when 'worker' then 'worker' end))
    and ($8::text is null or action = $8 or ($8 like '%.' and starts_with(action, $8)))
    and ($9::text is null or subject_id = $9)
    and ($10::text is null or contact_hash = $10)
  order by at desc, id desc limit $11
)
select c.*, s.scanned, s.last_micros, s.last_id
from (
  select count(*)::int as scanned, (array_agg(micros order by at, id))[1] as last_micros,
    (array_agg(id order by at, id))[1] as last_id
  from scanned
) s
left join chosen c on true
order by c.at desc, c.id desc`;

interface Scan {
  readonly scanned: number;
  readonly last_micros: string | null;
  readonly last_id: string | null;
}

interface Row extends Scan {
  readonly id: string;
  readonly at: Date;
  readonly micros: string;
  readonly actor_kind: AuditRecord["actor"]["kind"];
  readonly actor_id: string | null;
  readonly actor_name: string | null;
  readonly action: string;
  readonly subject_id: string | null;
  readonly instance_id: InstanceId | null;
  readonly contact_hash: string | null;
  readonly detail: AuditDetail;
  readonly request_id: string | null;
  readonly address: string | null;
}

/** The audit log, the newest first. @throws UserError `invalid-cursor` */
export async function listAudit(
  pool: pg.Pool,
  { instanceIds, actor, action, subjectId, contactHash, from, until }: AuditFilter,
  { after, limit }: PageRequest,
): Promise<Page<AuditRecord>> {
  const [micros, id] = parseCursor(after);
  const isNarrowed = [instanceIds, actor, action, subjectId, contactHash].some((wish) => wish !== undefined);
  const mostScanned = isNarrowed ? scannedAtOnce : limit + 1;
  const { rows } = await pool.query<Row | (Scan & { id: null })>(sql, [
    micros,
    id,
    from ?? null,
    until ?? null,
    mostScanned,
    instanceIds ?? null,
    actor ?? null,
    action ?? null,
    subjectId ?? null,
    contactHash ?? null,
    limit + 1,
  ]);
  const found = rows.filter((row) => row.id !== null);
  const items = found.slice(0, limit);
  const last = found.length > limit ? items.at(-1) : undefined;
  if (last) return { items: items.map(toRecord), next: `${last.micros}_${last.id}` };
  const scan = rows[0];
  const isCut = scan !== undefined && scan.scanned >= mostScanned;
  return { items: items.map(toRecord), next: isCut ? `${scan.last_micros}_${scan.last_id}` : undefined };
}

function toRecord(row: Row): AuditRecord {
  return {
    id: Number(row.id),
    at: row.at,
    actor: { kind: row.actor_kind, id: row.actor_id ?? undefined, name: row.actor_name ?? undefined },
    action: row.action,
    subjectId: row.subject_id ?? undefined,
    instanceId: row.instance_id ?? undefined,
    contactHash: row.contact_hash ?? undefined,
    detail: row.detail,
    requestId: row.request_id ?? undefined,
    address: row.address ?? undefined,
  };
}

/** When the last row of the page before was written, in µs, and its id. */
function parseCursor(after: string | undefined): [string | null, string | null] {
  if (after === undefined) return [null, null];
  const [, micros, id] = /^(\d{1,16})_(\d{1,16})$/.exec(after) ?? [];
  if (micros === undefined || id === undefined)
    throw new UserError("invalid-cursor", "not a cursor of the audit log");
  return [micros, id];
}
