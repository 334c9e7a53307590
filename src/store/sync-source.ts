import type pg from "pg";
import type { ChatId } from "../domain/chat-id.ts";
import type { InstanceId } from "../domain/instance-id.ts";
import { neverAskedStep } from "../domain/refresh-step.ts";
import { UserError } from "../lib/errors.ts";
import { withReading } from "./query-within.ts";
import { patiently, retryTransient } from "./retry-transient.ts";
import { toStorableText } from "./storable-text.ts";
import { transact } from "./with-client.ts";

export interface ListedContact {
  readonly chatId: ChatId;
  readonly externalRef: string | undefined;
}

/** Brings the contacts of an instance in line with a list that is read in chunks. On one connection, which holds what was read. */
export interface SourceSync {
  /** Takes a chunk; when it resolves it is committed. Returns how many contacts were not known before. */
  add(chunk: readonly ListedContact[]): Promise<number>;
  /**
   * The list has been read to its end: contacts that a list held before, and this one does not, are not refreshed any more; they
   * and their avatars stay, and who asks for one is answered. Returns how many.
   * @throws UserError `source-empty`, `too-many-gone`: then nothing has changed
   */
  stopGone(): Promise<number>;
}

const createTableSql = `create temporary table if not exists listed (chat_id text primary key)`;

/**
 * New contacts rest, and are worth more to the next resync than all that were asked before. One that comes back is due at once.
 * What has not changed is not written: each night brings the same list.
 */
const addSql = `
with given as materialized (
  select u.chat_id, (array_agg(u.external_ref) filter (where u.external_ref is not null))[1] as external_ref
  from unnest($2::text[], $3::text[]) as u (chat_id, external_ref) group by u.chat_id
), noted as (
  insert into listed select chat_id from given on conflict do nothing
), written as (
  insert into avatars.contacts as c (instance_id, chat_id, external_ref, refresh_at, refresh_step, is_listed)
  select $1, g.chat_id, g.external_ref, $4, ${neverAskedStep}, true from given g
  -- Two writers lock the contacts they share in the same order.
  order by g.chat_id
  on conflict (instance_id, chat_id) do update set
    external_ref = coalesce(excluded.external_ref, c.external_ref),
    is_listed = true,
    refresh_at = case when c.is_listed is false and c.due_at is null then coalesce(c.refresh_at, excluded.refresh_at)
      else c.refresh_at end
  where c.is_listed is not true
    or excluded.external_ref is distinct from c.external_ref and excluded.external_ref is not null
  returning c.xmax = 0 as is_new
)
select count(*) filter (where is_new)::int as added from written`;

/** A window of the instance's contacts, in the order of an index: the whole table is never read at once. */
const windowSql = `
select count(*)::int as seen, max(w.chat_id) as last, count(*) filter (where w.is_listed)::int as listed,
  array_agg(w.id) filter (where w.is_listed and l.chat_id is null) as gone
from (
  select c.id, c.chat_id, c.is_listed from avatars.contacts c
  where c.instance_id = $1 and c.chat_id > $2 order by c.chat_id limit $3
) w
left join listed l on l.chat_id = w.chat_id`;

interface Window {
  readonly seen: number;
  readonly last: string;
  readonly listed: number;
  readonly gone: string[] | null;
}

/** Whoever somebody waits for is asked all the same, and rests then. */
const stopSql = `
with locked as materialized (
  select c.id from avatars.contacts c where c.id = any ($1::bigint[]) order by c.id for no key update
)
update avatars.contacts c set is_listed = false, refresh_at = null
where c.id = any (array(select id from locked))`;

const seenAtOnce = 5_000;
/** A list that lacks more than this share of the contacts it had before is rather a fault of the query. */
const mostGone = 0.5;

/** @param client for the whole time of the synchronization, outside of any transaction */
export async function openSourceSync(
  client: pg.PoolClient,
  instanceId: InstanceId,
  now: Date,
): Promise<SourceSync> {
  await client.query(createTableSql);
  await client.query("truncate listed");
  let isEmpty = true;

  async function findGone(): Promise<string[]> {
    const gone: string[] = [];
    let listed = 0;
    for (let after = ""; ;) {
      const { rows } = await transact(client, async () =>
        // With some 100,000 contacts the server would rather read them all for each window.
        withReading(client, "counts", async () =>
          client.query<Window>(windowSql, [instanceId, after, seenAtOnce]),
        ),
      );
      const window = rows[0]!;
      gone.push(...(window.gone ?? []));
      ({ last: after } = window);
      listed += window.listed;
      if (window.seen < seenAtOnce) break;
    }
    if (gone.length > mostGone * listed) {
      throw new UserError(
        "too-many-gone",
        `the source lacks ${gone.length} of ${listed} contacts that it had before: is its query right? None of them is stopped`,
      );
    }
    return gone;
  }

  return {
    async add(chunk) {
      isEmpty &&= chunk.length === 0;
      const values = [
        instanceId,
        chunk.map(({ chatId }) => chatId),
        chunk.map(({ externalRef }) => (externalRef === undefined ? null : toStorableText(externalRef))),
        now,
      ];
      const { rows } = await client.query<{ added: number }>({ name: "sync-source", text: addSql, values });
      return rows[0]?.added ?? 0;
    },
    async stopGone() {
      if (isEmpty) throw new UserError("source-empty", "the source has no contacts: is its query right?");
      const gone = await findGone();
      for (let at = 0; at < gone.length; at += seenAtOnce) {
        const ids = gone.slice(at, at + seenAtOnce);
        await retryTransient(patiently, async () => client.query(stopSql, [ids]));
      }
      return gone.length;
    },
  };
}
