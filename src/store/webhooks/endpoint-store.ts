import type pg from "pg";
import type { Actor } from "../../domain/audit.ts";
import type { EndpointWish, ResumeFrom, WebhookEndpoint } from "../../domain/webhooks/webhook-endpoint.ts";
import { addEndpoint, type EndpointAdded, type EndpointBounds, type NewEndpoint } from "./add-endpoint.ts";
import { audited } from "./audited.ts";
import { endpointColumns, toEndpoint, type EndpointRow } from "./endpoint-row.ts";
import {
  changeEndpoint,
  dropLease,
  findSecrets,
  rotateSecret,
  type SealAnew,
  type SealedSecrets,
} from "./endpoint-secrets.ts";

/**
 * Endpoints of webhooks, as they are stored. What people change takes the lease: the sending process reads the endpoint anew. Each change
 * leaves a row in the audit log; false, and undefined: there is no such endpoint.
 */
export interface EndpointStore {
  /** The oldest first. */
  list(): Promise<WebhookEndpoint[]>;
  find(id: string): Promise<WebhookEndpoint | undefined>;
  findSecrets(id: string): Promise<SealedSecrets | undefined>;
  add(endpoint: NewEndpoint, bounds: EndpointBounds, by: Actor): Promise<EndpointAdded>;
  /** What is given. @param sealAnew given with a new URL */
  change(id: string, wish: EndpointWish, sealAnew: SealAnew | undefined, by: Actor): Promise<boolean>;
  remove(id: string, by: Actor): Promise<boolean>;
  disable(id: string, by: Actor): Promise<boolean>;
  /** @param horizon the end of the feed, for `now` */
  enable(id: string, from: ResumeFrom, horizon: number, by: Actor): Promise<boolean>;
  /** Sets the cursor back; it never goes forward. Returns where it is now. */
  rewind(id: string, to: RewindTo, by: Actor): Promise<number | undefined>;
  /** The secret that is stored signs on until the moment that is returned. @param seal seals another one for the endpoint's URL */
  rotate(
    id: string,
    seal: (url: string) => string,
    previousForMs: number,
    by: Actor,
  ): Promise<Date | undefined>;
}

/** To just before the first of the feed that was seen at or after a moment, or behind a place in it. */
export type RewindTo = { readonly since: Date } | { readonly after: number };

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
    add: (endpoint, bounds, by) => addEndpoint(pool, endpoint, bounds, by),
    change: (id, wish, sealAnew, by) => changeEndpoint(pool, id, wish, sealAnew, by),
    remove: (id, by) =>
      audited(pool, by, { action: "webhook.removed", subjectId: id }, async (client) => {
        const { rowCount } = await client.query("delete from avatars.webhook_endpoints where id = $1", [id]);
        return rowCount === 1;
      }),
    disable: (id, by) => disableEndpoint(pool, id, by),
    enable: (id, from, horizon, by) => enableEndpoint(pool, id, from, horizon, by),
    rewind: (id, to, by) => rewindEndpoint(pool, id, to, by),
    rotate: (id, seal, previousForMs, by) => rotateSecret(pool, id, seal, previousForMs, by),
  };
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
