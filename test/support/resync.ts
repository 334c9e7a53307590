import type pg from "pg";
import { releaseLeadMs } from "../../src/domain/resync/decide-release.ts";
import type { InstanceId } from "../../src/domain/instance-id.ts";
import { releaseRefreshes, type ReleaseRequest } from "../../src/store/resync/release-refreshes.ts";

/** A contact that rests, to be made in one statement with others. */
export interface RestingContact {
  readonly name: string;
  readonly step: number;
  /** When it is due by policy; null: never. */
  readonly refreshAt: Date | null;
  readonly status?: string;
  readonly checkedAt?: Date;
}

/** Makes contacts that rest; `name` becomes their external ref. */
export async function addResting(
  pool: pg.Pool,
  instanceId: InstanceId,
  contacts: readonly RestingContact[],
): Promise<void> {
  await pool.query(
    `insert into avatars.contacts (instance_id, chat_id, external_ref, refresh_step, refresh_at, status, checked_at)
     select $1, 79000000000 + (select count(*) from avatars.contacts where instance_id = $1) + u.n || '@c.us', u.name, u.step, u.at,
       u.status, u.checked_at
     from unnest($2::text[], $3::int[], $4::timestamptz[], $5::text[], $6::timestamptz[])
       with ordinality as u (name, step, at, status, checked_at, n)`,
    [
      instanceId,
      contacts.map(({ name }) => name),
      contacts.map(({ step }) => step),
      contacts.map(({ refreshAt }) => refreshAt),
      contacts.map(({ status }) => status ?? "present"),
      contacts.map(({ checkedAt }) => checkedAt ?? null),
    ],
  );
}

export async function openRun(
  pool: pg.Pool,
  instanceId: InstanceId,
  now: Date,
  kind: "trickle" | "manual" = "manual",
): Promise<number> {
  const { rows } = await pool.query<{ id: number }>(
    `insert into avatars.resync_runs (instance_id, kind, opened_at, next_release_at) values ($1, $2, $3, $3)
     returning id::int as id`,
    [instanceId, kind, now],
  );
  return rows[0]!.id;
}

/** One release of a run, at the shares of the defaults unless told. */
export function releaseOnce(pool: pg.Pool, runId: number, now: Date, options: Partial<ReleaseRequest> = {}) {
  return releaseRefreshes(pool, {
    runId,
    now,
    isInWindow: true,
    shares: { share: 1, dayShare: 0.3 },
    defaultRate: 10,
    leadMs: releaseLeadMs,
    ...options,
  });
}
