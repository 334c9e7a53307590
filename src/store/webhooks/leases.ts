import type pg from "pg";
import type { InstanceId } from "../../domain/instance-id.ts";
import type { LeasedEndpoint } from "../../domain/webhooks/settlement.ts";
import type { WebhookType } from "../../domain/webhooks/webhook-type.ts";

/** A process that is gone is missed after this time. */
const leaseMs = 10_000;

/** Renews what the process has, and takes what none has. A lease that is taken anew has another epoch. */
const takeSql = `
update avatars.webhook_endpoints e
set lease_owner = $1, leased_until = clock_timestamp() + interval '${leaseMs} ms',
  lease_epoch = lease_epoch + (lease_owner is distinct from $1)::int
where e.state = 'active'
  and (e.lease_owner = $1 or e.lease_owner is null or e.leased_until < clock_timestamp())
returning e.id, e.url, e.label, e.types, e.instance_ids, e.includes_first_seen, e.is_ordered, e.omits_chat_id, e.sealed_secret,
  case when e.previous_until > clock_timestamp() then e.sealed_previous end as sealed_previous, e.cursor, e.lease_epoch,
  e.failing_since, e.head_tries, e.head_next_at`;

interface Row {
  readonly id: string;
  readonly url: string;
  readonly label: string | null;
  readonly types: WebhookType[];
  readonly instance_ids: InstanceId[] | null;
  readonly includes_first_seen: boolean;
  readonly is_ordered: boolean;
  readonly omits_chat_id: boolean;
  readonly sealed_secret: string;
  readonly sealed_previous: string | null;
  readonly cursor: string;
  readonly lease_epoch: string;
  readonly failing_since: Date | null;
  readonly head_tries: number;
  readonly head_next_at: Date | null;
}

/** Opens a sealed secret of an endpoint; undefined where it cannot be opened. */
export type OpenSecret = (sealed: string, endpointId: string, url: string) => string | undefined;

/** All active endpoints that no other process sends to. They are this process's for ten seconds. */
export async function takeEndpoints(
  pool: pg.Pool,
  owner: string,
  openSecret: OpenSecret,
): Promise<LeasedEndpoint[]> {
  const { rows } = await pool.query<Row>({ name: "webhook-leases", text: takeSql, values: [owner] });
  return rows.map((row) => ({
    id: row.id,
    epoch: Number(row.lease_epoch),
    url: row.url,
    label: row.label ?? undefined,
    types: row.types,
    instanceIds: row.instance_ids ?? undefined,
    includesFirstSeen: row.includes_first_seen,
    isOrdered: row.is_ordered,
    omitsChatId: row.omits_chat_id,
    secrets: [row.sealed_secret, row.sealed_previous].flatMap((sealed) =>
      sealed === null ? [] : (openSecret(sealed, row.id, row.url) ?? []),
    ),
    cursor: Number(row.cursor),
    failingSince: row.failing_since ?? undefined,
    headTries: row.head_tries,
    headNextAt: row.head_next_at ?? undefined,
  }));
}

/** Gives all endpoints of a process back, so that another takes them at once. */
export async function giveEndpointsBack(pool: pg.Pool, owner: string): Promise<void> {
  await pool.query(
    "update avatars.webhook_endpoints set lease_owner = null, leased_until = null where lease_owner = $1",
    [owner],
  );
}
