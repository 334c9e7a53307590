import type pg from "pg";
import { chatKinds } from "../../domain/chat-kind.ts";
import { simulatedInstanceId, type InstanceId } from "../../domain/instance-id.ts";
import type { HeldInstance } from "../../domain/views/instance-status.ts";
import { toCareAllows } from "./care-sql.ts";
import { toDue, toDueHeads } from "./due-sql.ts";
import { heldKindSql } from "./held-sql.ts";
import { toKindSource } from "./read-due.ts";
import { queryWithin } from "../postgres/query-within.ts";

const probing = { deadlineMs: 30_000, reading: "probes" } as const;

/** Has the instance `i` a due contact? 25 µs per instance with 6 million contacts, 1.2 million of them due. */
const hasDue = (since: string) => `exists (${toDueHeads(since)}
    where c.due_at <= ${since}
  )`;

/** Has the instance `i`, which is held for one kind of chat, a due contact of another kind? */
const hasOthers = `case ${heldKindSql} ${chatKinds
  .map((kind) => `when '${kind}' then exists (select from ${toKindSource({ kind, isOf: false }, "i.id")} c)`)
  .join(" ")} end`;

/**
 * Instances that may be called and have something to call for. While a hold lasts these are the chats that it allows, by name or by kind.
 * @param since only what has been due, and callable, for this long
 */
const toSql = (since: string) => `
select i.id
from avatars.instances i
where i.state <> 'paused' and coalesce(i.throttled_until, '-infinity') <= ${since}
  and ${toCareAllows(since)}
  and case when i.state = 'held' and i.held_until > ${since} and ${heldKindSql} is not null then ${hasOthers}
    when i.state = 'held' and i.held_until > ${since} then exists (
      select from avatars.contacts c
      where c.instance_id = i.id and c.chat_id = any (i.allowed_chat_ids) and ${toDue(since)}
    ) else ${hasDue(since)} end`;

const dueSql = `${toSql("now()")} and i.lease_owner is null`;

/** A sweep every 5 s and the end of a dead process's lease lie well within. */
const stalledSince = "now() - interval '2 minutes'";
const stalledSql = `${toSql(stalledSince)} and i.next_call_at <= ${stalledSince}
  and coalesce(i.leased_until, '-infinity') <= ${stalledSince} and i.id <> $1 order by i.id`;

const heldSql = `
select i.id as "instanceId", i.held_reason as reason
from avatars.instances i
where i.state = 'held' and i.held_reason is not null and ${hasDue("now()")}
order by i.id`;

/** Finds instances that may be called, have due contacts, and no process that holds their lease: it finds those itself. */
export async function findDueInstances(pool: pg.Pool): Promise<InstanceId[]> {
  const rows = await queryWithin<{ id: InstanceId }>(pool, probing, dueSql);
  return rows.map((row) => row.id);
}

/**
 * Finds instances whose contacts have been due for two minutes without a single call: no process works. The simulator's is
 * never one of them: only `enrich --simulate` works on it.
 */
export async function findStalledInstances(pool: pg.Pool): Promise<InstanceId[]> {
  const rows = await queryWithin<{ id: InstanceId }>(pool, probing, stalledSql, [simulatedInstanceId]);
  return rows.map((row) => row.id);
}

/** Held instances with due contacts. */
export async function findHeldInstances(pool: pg.Pool): Promise<HeldInstance[]> {
  return queryWithin<HeldInstance>(pool, probing, heldSql);
}
