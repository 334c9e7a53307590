import type pg from "pg";
import type { ChatId } from "../../domain/chat-id.ts";
import type { Hold, ProbePolicy } from "../../domain/trouble/hold.ts";
import type { InstanceId } from "../../domain/instance-id.ts";
import type { OpenedHold, ProlongedHold, RunLedger } from "../../domain/ledger/run-ledger.ts";
import type { ChatHash } from "../../lib/secrets/chat-hash.ts";
import { heldServerSql, isHeldSql, isPartialSql } from "./held-sql.ts";
import { inTransaction } from "../postgres/in-transaction.ts";

/** Doubles with each hold in a row: `$base` the first wait, `$max` the longest, in ms. */
const toUntil = (base: string, max: string) =>
  `clock_timestamp() + least(${max}::float8, ${base}::float8 * 2 ^ least(i.hold_count, 20)) * interval '1 ms'`;

/**
 * Opens a hold, or lengthens it when it has run out without a good answer. A call that was sent before `held_until` tells of
 * known trouble, however late its answer is. So `held_until` stays when a hold ends. Only a hold that leaves some chats to be
 * asked is replaced early: by other trouble, or by fewer chats. Other trouble is a hold of its own, which answers to calls
 * from before it must not end.
 *
 * A named chat's id is kept also where it is no contact: it may become one during the hold. Erased chats are left out, unless
 * they are contacts again. `$6` are the chat ids, `$7` their hashes. Contacts are looked up by an array: a join may read them
 * all.
 */
const holdSql = `
with erased as materialized (
  select n.chat_id from unnest($6::text[], $7::text[]) as n (chat_id, chat_hash)
  where n.chat_hash = any (array(
    select e.chat_hash from avatars.erased_chats e where e.instance_id = $1 and e.chat_hash = any ($7::text[])))
), known as materialized (
  select c.chat_id from avatars.contacts c
  where c.instance_id = $1 and c.chat_id = any (array(select chat_id from erased))
), named as (
  -- An array in any case of a hold that leaves some chats, also where none of them is left.
  select case when $6::text[] is not null then array(
    select n.chat_id from unnest($6::text[]) as n (chat_id)
    where n.chat_id <> all (array(select chat_id from erased except select chat_id from known))
  ) end as chat_ids
)
update avatars.instances i
set state = 'held', held_reason = $2,
  held_since = case when i.state = 'held' and not (${isPartialSql} and $2 <> i.held_reason)
    then i.held_since else clock_timestamp() end,
  held_until = ${toUntil("$3", "$4")},
  hold_count = least(i.hold_count + 1, 1000),
  allowed_chat_ids = case when ${isHeldSql} and i.allowed_chat_ids is not null and $2 = i.held_reason
    then array(select unnest(i.allowed_chat_ids) intersect select unnest(n.chat_ids)) else n.chat_ids end
from named n
where i.id = $1 and i.state <> 'paused' and case when ${isHeldSql} and ${isPartialSql}
  then to_timestamp($5::float8 / 1000) >= i.held_since and ($2 <> i.held_reason or not i.allowed_chat_ids <@ $6::text[])
  else to_timestamp($5::float8 / 1000) >= coalesce(i.held_until, '-infinity') end
returning held_until as until, hold_count = 1 as "isNew"`;

const prolongSql = `
update avatars.instances i
set held_until = ${toUntil("$2", "$3")}, hold_count = least(i.hold_count + 1, 1000)
where i.id = $1 and i.state = 'held' and to_timestamp($4::float8 / 1000) >= i.held_until
returning held_reason as reason, held_until as until, 
  extract(epoch from clock_timestamp() - held_since)::float8 * 1000 as "heldForMs"`;

/**
 * A chat of another kind than the held one proves nothing. One that is named proves nothing before the month is over. An erased one proves nothing either:
 * it may have been one of those.
 */
const endHoldSql = `
with instance as materialized (
  select i.*, to_timestamp($3::float8 / 1000) >= i.held_since
    and not (($2 = any(coalesce(i.allowed_chat_ids, '{}')) or i.allowed_chat_ids is not null and not exists (
        select from avatars.contacts c where c.instance_id = $1 and c.chat_id = $2))
      and date_trunc('month', i.held_since at time zone 'UTC')
        = date_trunc('month', clock_timestamp() at time zone 'UTC'))
    and coalesce(right($2, length(${heldServerSql})) = ${heldServerSql}, true) as proves
  from avatars.instances i where i.id = $1 and i.state = 'held'
  for no key update
), ended as (
  update avatars.instances i
  set state = 'active', held_reason = null, held_since = null, held_until = least(i.held_until, clock_timestamp()),
    hold_count = 0, allowed_chat_ids = null, ramp_from = clock_timestamp()
  from instance h where i.id = h.id and h.proves
  returning i.id
)
select exists(select from instance) as was_held, exists(select from ended) as is_ended`;

/** Orders holds that leave some chats, and erasures: the second one finds what the first has written (erase-contact.ts). */
export const lockInstanceSql = "select id from avatars.instances where id = $1 for no key update";

/**
 * See {@link RunLedger.holdInstance}.
 * @param hashErased the same hash as erasures write
 */
export async function holdInstance(
  pool: pg.Pool,
  hashErased: ChatHash,
  id: InstanceId,
  { reason, baseMs, maxMs, allowedChatIds }: Hold,
  askedAtMs: number,
): Promise<OpenedHold | undefined> {
  const values = [id, reason, baseMs, maxMs, askedAtMs, allowedChatIds, allowedChatIds?.map(hashErased)];
  const open = async (client: pg.Pool | pg.PoolClient) => client.query<OpenedHold>(holdSql, values);
  if (allowedChatIds === undefined) return (await open(pool)).rows[0];
  return inTransaction(pool, async (client) => {
    await client.query(lockInstanceSql, [id]);
    // A statement of its own sees the marks of the erasures that the lock waited for.
    return (await open(client)).rows[0];
  });
}

/** See {@link RunLedger.prolongHold}. */
export async function prolongHold(
  pool: pg.Pool,
  id: InstanceId,
  { probeBaseMs, probeMaxMs }: ProbePolicy,
  askedAtMs: number,
): Promise<ProlongedHold | undefined> {
  const values = [id, probeBaseMs, probeMaxMs, askedAtMs];
  const { rows } = await pool.query<ProlongedHold>(prolongSql, values);
  return rows[0];
}

/** See {@link RunLedger.endHold}. */
export async function endHold(
  pool: pg.Pool,
  id: InstanceId,
  chatId: ChatId,
  askedAtMs: number,
): ReturnType<RunLedger["endHold"]> {
  const values = [id, chatId, askedAtMs];
  const { rows } = await pool.query<{ was_held: boolean; is_ended: boolean }>(endHoldSql, values);
  if (rows[0]?.is_ended) return "ended";
  return rows[0]?.was_held ? "held" : "not-held";
}

/** Lets the next run probe at once; the hold itself ends with the first good answer. */
export async function probeNow(pool: pg.Pool, id: InstanceId): Promise<void> {
  await pool.query(
    `update avatars.instances set held_until = clock_timestamp() where id = $1 and state = 'held' and held_until > clock_timestamp()`,
    [id],
  );
}
