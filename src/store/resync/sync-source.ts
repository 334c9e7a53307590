import type pg from "pg";
import type { ChatId } from "../../domain/chat-id.ts";
import type { InstanceId } from "../../domain/instance-id.ts";
import { neverAskedStep, requestedStep } from "../../domain/refresh/refresh-step.ts";
import { UserError } from "../../lib/errors.ts";
import { codeOf } from "../postgres/database.ts";
import { lockNotAvailable } from "../postgres/sqlstate.ts";
import { withReading } from "../postgres/query-within.ts";
import { patiently, retryTransient } from "../postgres/retry-transient.ts";
import { toStorableText } from "../postgres/storable-text.ts";
import { transact } from "../postgres/with-client.ts";

export interface ListedContact {
  readonly chatId: ChatId;
  readonly externalRef: string | undefined;
}

/** Brings the contacts of an instance in line with a list that is read in chunks. On one connection, which holds what was read. */
export interface SourceSync {
  /**
   * Takes a chunk; when it resolves it is committed. Returns how many contacts were not known before. What another transaction
   * holds for longer than a moment is left to the next list.
   */
  add(chunk: readonly ListedContact[]): Promise<number>;
  /**
   * Ends the list. Contacts that a list held before, and this one does not, are not refreshed any more. They and their
   * avatars stay, and a request for one is answered. Returns how many.
   * @throws UserError `source-empty`, `too-many-gone`: then nothing has changed
   */
  stopGone(): Promise<number>;
  /** Forgets the list. A connection that is given up does so by itself. */
  close(): Promise<void>;
}

const createTableSql = `create temporary table if not exists pg_temp.listed (chat_id text primary key)`;

/**
 * New contacts rest, and are worth more to the next resync than all that were asked before. One that comes back is due at once.
 * What has not changed is neither written nor locked: each night brings the same list. What has is locked by id, as workers do.
 * One that another program adds at the same moment, or holds, is taken note of in the next night.
 */
const addSql = `
with given as materialized (
  select u.chat_id, (array_agg(u.external_ref order by u.n desc) filter (where u.external_ref is not null))[1] as external_ref
  from unnest($2::text[], $3::text[]) with ordinality as u (chat_id, external_ref, n) group by u.chat_id
), noted as (
  insert into pg_temp.listed select chat_id from given on conflict do nothing
), known as materialized (
  select g.chat_id, g.external_ref, c.id, c.is_listed,
    c.is_listed is not true or g.external_ref is not null and g.external_ref is distinct from c.external_ref as changes
  from given g
  cross join lateral (
    select c.id, c.is_listed, c.external_ref from avatars.contacts c
    where c.instance_id = $1 and c.chat_id = g.chat_id offset 0
  ) c
), locked as materialized (
  select c.id from avatars.contacts c where c.id = any (array(select id from known where changes))
  order by c.id for no key update skip locked
), updated as (
  update avatars.contacts c set
    external_ref = coalesce(k.external_ref, c.external_ref),
    is_listed = true,
    refresh_at = case when c.is_listed is false and c.due_at is null then coalesce(c.refresh_at, $4) else c.refresh_at end
  from known k
  where c.id = any (array(select id from locked)) and k.id = c.id
  returning k.is_listed as was_listed
), added as (
  insert into avatars.contacts (instance_id, chat_id, external_ref, refresh_at, refresh_step, is_listed)
  select $1, g.chat_id, g.external_ref, $4, ${neverAskedStep}, true from given g
  where g.chat_id not in (select chat_id from known)
  order by g.chat_id
  on conflict do nothing
  returning 1
)
select (select count(*) from added)::int as added,
  (select count(*) from updated where was_listed is not true)::int as "listedAgain"`;

/** A window of the instance's contacts, in the order of an index: the whole table is never read at once. */
const windowSql = `
select count(*)::int as seen, max(w.chat_id) as last, count(*) filter (where w.is_listed)::int as listed,
  array_agg(w.id) filter (where w.is_listed and l.chat_id is null) as gone
from (
  select c.id, c.chat_id, c.is_listed from avatars.contacts c
  where c.instance_id = $1 and c.chat_id > $2 order by c.chat_id limit $3
) w
-- Probes once for each: the list is as long as all of them.
left join lateral (select l.chat_id from pg_temp.listed l where l.chat_id = w.chat_id offset 0) l on true`;

interface Window {
  readonly seen: number;
  readonly last: string;
  readonly listed: number;
  readonly gone: string[] | null;
}

/**
 * Stops contacts that are gone. The next list meets those again that another transaction holds. A contact that a batch or a
 * person has asked for is asked all the same, and rests then.
 */
const stopSql = `
with locked as materialized (
  select c.id from avatars.contacts c where c.id = any ($1::bigint[]) order by c.id for no key update skip locked
)
update avatars.contacts c
set is_listed = false, refresh_at = case when c.refresh_step = ${requestedStep} then c.refresh_at end
where c.id = any (array(select id from locked))`;

const noteSql = `insert into listed values ($1) on conflict do nothing`;

/** Wait for each contact once another transaction is known to be adding some of them, ms. */
const briefLockMs = 20;

interface Added {
  readonly added: number;
  readonly listedAgain: number;
}

const seenAtOnce = 5_000;
/** A list that lacks more than this share of its earlier contacts is rather a fault of the query. */
const mostGone = 0.5;

/** Which instance's contacts are brought in line, by which connection. */
interface Target {
  readonly client: pg.PoolClient;
  readonly instanceId: InstanceId;
  readonly now: Date;
}

/** The list as far as it has been read. */
interface ListState {
  readonly isEmpty: boolean;
  /** Contacts that are in the list now, and were not in the one before. */
  readonly newlyListed: number;
}

/** @param client for the whole time of the synchronization, outside of any transaction */
export async function openSourceSync(
  client: pg.PoolClient,
  instanceId: InstanceId,
  now: Date,
): Promise<SourceSync> {
  await client.query(createTableSql);
  await client.query("truncate pg_temp.listed");
  const target = { client, instanceId, now };
  let list: ListState = { isEmpty: true, newlyListed: 0 };
  return {
    async add(chunk) {
      list = { ...list, isEmpty: list.isEmpty && chunk.length === 0 };
      const { added, listedAgain } = await addInHalves(target, chunk);
      await client.query("reset lock_timeout");
      list = { ...list, newlyListed: list.newlyListed + added + listedAgain };
      return added;
    },
    async stopGone() {
      if (list.isEmpty)
        throw new UserError("source-empty", "the source has no contacts: is its query right?");
      const gone = await findGone(target, list.newlyListed);
      for (let at = 0; at < gone.length; at += seenAtOnce) {
        const ids = gone.slice(at, at + seenAtOnce);
        await retryTransient(patiently, async () => client.query(stopSql, [ids]));
      }
      return gone.length;
    },
    async close() {
      await client.query("drop table pg_temp.listed");
    },
  };
}

/**
 * Adds by halves where a contact of the chunk is locked: that costs the others nothing but some tries. Leaves the connection with
 * a short `lock_timeout` then.
 */
async function addInHalves(target: Target, chunk: readonly ListedContact[]): Promise<Added> {
  const whole = await addAtOnce(target, chunk);
  if (whole !== "locked") return whole;
  const { client } = target;
  const [only, ...others] = chunk;
  if (only === undefined || others.length === 0) {
    // The list has the contact, whatever the other transaction makes of it.
    if (only) await client.query(noteSql, [only.chatId]);
    return { added: 0, listedAgain: 0 };
  }
  await client.query(`set lock_timeout = ${briefLockMs}`);
  const middle = Math.ceil(chunk.length / 2);
  const first = await addInHalves(target, chunk.slice(0, middle));
  const second = await addInHalves(target, chunk.slice(middle));
  return { added: first.added + second.added, listedAgain: first.listedAgain + second.listedAgain };
}

/** `locked`: another transaction is adding one of the contacts. Nothing is done then. */
async function addAtOnce(
  { client, instanceId, now }: Target,
  chunk: readonly ListedContact[],
): Promise<Added | "locked"> {
  const values = [
    instanceId,
    chunk.map(({ chatId }) => chatId),
    chunk.map(({ externalRef }) => (externalRef === undefined ? null : toStorableText(externalRef))),
    now,
  ];
  return retryTransient(patiently, async () => {
    try {
      const { rows } = await client.query<Added>({ name: "sync-source", text: addSql, values });
      return rows[0]!;
    } catch (error) {
      if (codeOf(error) === lockNotAvailable) return "locked";
      throw error;
    }
  });
}

/**
 * Contacts that a list held before, and this one does not.
 * @throws UserError `too-many-gone`
 */
async function findGone(target: Target, newlyListed: number): Promise<string[]> {
  const gone: string[] = [];
  let listed = 0;
  for (let after = ""; ;) {
    const window = await readWindow(target, after);
    gone.push(...(window.gone ?? []));
    ({ last: after } = window);
    listed += window.listed;
    if (window.seen < seenAtOnce) break;
  }
  const before = listed - newlyListed;
  if (gone.length > mostGone * before) {
    throw new UserError(
      "too-many-gone",
      `the source lacks ${gone.length} of ${before} contacts that it had before: is its query right? None of them is stopped`,
    );
  }
  return gone;
}

async function readWindow({ client, instanceId }: Target, after: string): Promise<Window> {
  const { rows } = await transact(client, async () =>
    // With some 100,000 contacts the server would rather read them all for each window.
    withReading(client, "counts", async () =>
      client.query<Window>(windowSql, [instanceId, after, seenAtOnce]),
    ),
  );
  return rows[0]!;
}
