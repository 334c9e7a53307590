import type pg from "pg";
import type { Actor, AuditDetail, AuditEntry } from "../../domain/audit.ts";
import type {
  EndpointSettings,
  EndpointWish,
  ResumeFrom,
  WebhookEndpoint,
} from "../../domain/webhooks/webhook-endpoint.ts";
import { recordAudit } from "../audit/record-audit.ts";
import { inTransaction } from "../postgres/in-transaction.ts";
import { toStorableText } from "../postgres/storable-text.ts";
import { endpointColumns, toEndpoint, type EndpointRow } from "./endpoint-row.ts";

/** The secrets of an endpoint, sealed for the origin of its URL. */
export interface SealedSecrets {
  readonly url: string;
  readonly sealedSecret: string;
  /** The one before, while it signs too. */
  readonly sealedPrevious: string | undefined;
}

/**
 * Endpoints of webhooks, as they are stored. What people change takes the lease: the sending process reads the endpoint anew. Each change
 * leaves a row in the audit log; false, and undefined: there is no such endpoint.
 */
export interface EndpointStore {
  /** The oldest first. */
  list(): Promise<WebhookEndpoint[]>;
  find(id: string): Promise<WebhookEndpoint | undefined>;
  findSecrets(id: string): Promise<SealedSecrets | undefined>;
  count(): Promise<number>;
  /** @param cursor where it begins to read */
  add(id: string, settings: EndpointSettings, sealedSecret: string, cursor: number, by: Actor): Promise<void>;
  /** What is given. @param secrets sealed for the new URL; undefined: as they are */
  change(
    id: string,
    wish: EndpointWish,
    secrets: Pick<SealedSecrets, "sealedSecret" | "sealedPrevious"> | undefined,
    by: Actor,
  ): Promise<boolean>;
  remove(id: string, by: Actor): Promise<boolean>;
  disable(id: string, by: Actor): Promise<boolean>;
  /** @param horizon the end of the feed, for `now` */
  enable(id: string, from: ResumeFrom, horizon: number, by: Actor): Promise<boolean>;
  /** Sets the cursor back; it never goes forward. Returns where it is now. */
  rewind(id: string, to: RewindTo, by: Actor): Promise<number | undefined>;
  /** The secret that is stored signs on until the moment that is returned. */
  rotate(id: string, sealedSecret: string, previousForMs: number, by: Actor): Promise<Date | undefined>;
}

/** To just before the first of the feed that was seen at or after a moment, or behind a place in it. */
export type RewindTo = { readonly since: Date } | { readonly after: number };

const dropLease = "lease_owner = null, leased_until = null, lease_epoch = lease_epoch + 1";

export function createEndpointStore(pool: pg.Pool): EndpointStore {
  return {
    async list() {
      const sql = `select ${endpointColumns} from avatars.webhook_endpoints e order by e.created_at, e.id`;
      return (await pool.query<EndpointRow>(sql)).rows.map(toEndpoint);
    },
    async find(id) {
      const sql = `select ${endpointColumns} from avatars.webhook_endpoints e where e.id = $1`;
      const { rows } = await pool.query<EndpointRow>(sql, [id]);
      return rows[0] && toEndpoint(rows[0]);
    },
    findSecrets: (id) => findSecrets(pool, id),
    async count() {
      const sql = "select count(*)::int as count from avatars.webhook_endpoints";
      return (await pool.query<{ count: number }>(sql)).rows[0]?.count ?? 0;
    },
    async add(id, settings, sealedSecret, cursor, by) {
      const entry = { action: "webhook.added", subjectId: id, detail: toDetail(settings) } as const;
      const values = [id, ...toCells(settings), sealedSecret, cursor];
      await audited(pool, by, entry, async (client) => Boolean(await client.query(insertSql, values)));
    },
    change: (id, wish, secrets, by) => changeEndpoint(pool, id, wish, secrets, by),
    remove: (id, by) =>
      audited(pool, by, { action: "webhook.removed", subjectId: id }, async (client) => {
        const { rowCount } = await client.query("delete from avatars.webhook_endpoints where id = $1", [id]);
        return rowCount === 1;
      }),
    disable: (id, by) => disableEndpoint(pool, id, by),
    enable: (id, from, horizon, by) => enableEndpoint(pool, id, from, horizon, by),
    rewind: (id, to, by) => rewindEndpoint(pool, id, to, by),
    rotate: (id, sealedSecret, previousForMs, by) => rotateSecret(pool, id, sealedSecret, previousForMs, by),
  };
}

/** A change, and its row, where there is something that was changed. */
async function audited<Result>(
  pool: pg.Pool,
  by: Actor,
  entry: AuditEntry,
  work: (client: pg.PoolClient) => Promise<Result>,
): Promise<Result> {
  return inTransaction(pool, async (client) => {
    const result = await work(client);
    if (result !== false && result !== undefined) await recordAudit(client, by, entry);
    return result;
  });
}

/** Of the URL its origin: what stands behind may be a secret. */
function toDetail({ url, types, instanceIds }: EndpointWish): AuditDetail {
  return {
    ...(url !== undefined && { origin: new URL(url).origin }),
    ...(types && { types }),
    ...(instanceIds && { instanceIds }),
  };
}

const insertSql = `
insert into avatars.webhook_endpoints (id, url, label, types, instance_ids, includes_first_seen, is_ordered, omits_chat_id,
  sealed_secret, cursor)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`;

function toCells(settings: EndpointSettings): unknown[] {
  const { url, label, types, instanceIds, includesFirstSeen, isOrdered, omitsChatId } = settings;
  const storedLabel = label === undefined ? null : toStorableText(label);
  return [url, storedLabel, types, instanceIds ?? null, includesFirstSeen, isOrdered, omitsChatId];
}

async function findSecrets(pool: pg.Pool, id: string): Promise<SealedSecrets | undefined> {
  const { rows } = await pool.query<{ url: string; sealed_secret: string; sealed_previous: string | null }>(
    `select url, sealed_secret, case when previous_until > clock_timestamp() then sealed_previous end as sealed_previous
     from avatars.webhook_endpoints where id = $1`,
    [id],
  );
  const [row] = rows;
  if (row === undefined) return undefined;
  return { url: row.url, sealedSecret: row.sealed_secret, sealedPrevious: row.sealed_previous ?? undefined };
}

/** A new address has its failures before it. */
const changeSql = `
update avatars.webhook_endpoints set
  url = coalesce($2, url), label = case when $9 then null else coalesce($3, label) end, types = coalesce($4::text[], types),
  instance_ids = case when $10 then null else coalesce($5::text[], instance_ids) end,
  includes_first_seen = coalesce($6, includes_first_seen), is_ordered = coalesce($7, is_ordered),
  omits_chat_id = coalesce($8, omits_chat_id), sealed_secret = coalesce($11, sealed_secret),
  sealed_previous = case when $11::text is null then sealed_previous else $12 end,
  previous_until = case when $11::text is null or $12::text is not null then previous_until end,
  failing_since = case when $2 is null or $2 = url then failing_since end,
  head_next_at = null, ${dropLease}
where id = $1`;

async function changeEndpoint(
  pool: pg.Pool,
  id: string,
  wish: EndpointWish,
  secrets: Parameters<EndpointStore["change"]>[2],
  by: Actor,
): Promise<boolean> {
  const { url, label, types, instanceIds, includesFirstSeen, isOrdered, omitsChatId } = wish;
  const values = [
    id,
    url,
    label && toStorableText(label),
    types,
    instanceIds,
    includesFirstSeen,
    isOrdered,
    omitsChatId,
    label === null,
    instanceIds === null,
    secrets?.sealedSecret,
    secrets?.sealedPrevious,
  ];
  const entry = { action: "webhook.changed", subjectId: id, detail: toDetail(wish) } as const;
  return audited(pool, by, entry, async (client) => (await client.query(changeSql, values)).rowCount === 1);
}

/** One that is off already stays as it is, and leaves no row. */
async function disableEndpoint(pool: pg.Pool, id: string, by: Actor): Promise<boolean> {
  const sql = `update avatars.webhook_endpoints set state = 'disabled', disabled_reason = 'operator', disabled_at = clock_timestamp(),
      ${dropLease} where id = $1 and state = 'active'`;
  const entry = { action: "webhook.disabled", subjectId: id } as const;
  const isDone = await audited(
    pool,
    by,
    entry,
    async (client) => (await client.query(sql, [id])).rowCount === 1,
  );
  if (isDone) return true;
  const { rowCount } = await pool.query("select from avatars.webhook_endpoints where id = $1", [id]);
  return rowCount === 1;
}

async function enableEndpoint(
  pool: pg.Pool,
  id: string,
  from: ResumeFrom,
  horizon: number,
  by: Actor,
): Promise<boolean> {
  const entry = { action: "webhook.enabled", subjectId: id, detail: { from } } as const;
  return audited(pool, by, entry, async (client) => {
    const { rowCount } = await client.query(
      `update avatars.webhook_endpoints set state = 'active', disabled_reason = null, disabled_at = null, failing_since = null,
        head_tries = 0, head_next_at = null, missed = case when $2 then 0 else missed end,
        cursor = case when $2 then greatest(cursor, $3::bigint) else cursor end, ${dropLease}
       where id = $1`,
      [id, from === "now", horizon],
    );
    if (!rowCount) return false;
    const retriesSql =
      from === "now"
        ? "delete from avatars.webhook_retries where endpoint_id = $1"
        : "update avatars.webhook_retries set next_try_at = clock_timestamp(), tries = least(tries, 1) where endpoint_id = $1";
    await client.query(retriesSql, [id]);
    return true;
  });
}

/** By the moment a walk through all of the feed: it is in about the order of time, not in exactly that. */
const sinceSql = `
select least((select min(id) from avatars.avatar_changes where seen_at >= $1),
  (select min(id) from avatars.webhook_events where at >= $1)) - 1 as cursor`;

async function rewindEndpoint(
  pool: pg.Pool,
  id: string,
  to: RewindTo,
  by: Actor,
): Promise<number | undefined> {
  const cursor =
    "after" in to
      ? to.after
      : (await pool.query<{ cursor: string | null }>(sinceSql, [to.since])).rows[0]?.cursor;
  const sql = `
    update avatars.webhook_endpoints set cursor = least(cursor, coalesce($2::bigint, cursor)), head_tries = 0, head_next_at = null,
      ${dropLease}
    where id = $1 returning cursor`;
  const detail = "after" in to ? { after: to.after } : { since: to.since.toISOString() };
  return audited(pool, by, { action: "webhook.replayed", subjectId: id, detail }, async (client) => {
    const { rows } = await client.query<{ cursor: string }>(sql, [id, cursor ?? null]);
    return rows[0] && Number(rows[0].cursor);
  });
}

async function rotateSecret(
  pool: pg.Pool,
  id: string,
  sealedSecret: string,
  previousForMs: number,
  by: Actor,
): Promise<Date | undefined> {
  const sql = `
    update avatars.webhook_endpoints set sealed_previous = sealed_secret, sealed_secret = $2,
      previous_until = clock_timestamp() + $3::float8 * interval '1 ms', ${dropLease}
    where id = $1 returning previous_until`;
  return audited(pool, by, { action: "webhook.rotated", subjectId: id }, async (client) => {
    const values = [id, sealedSecret, previousForMs];
    return (await client.query<{ previous_until: Date }>(sql, values)).rows[0]?.previous_until;
  });
}
