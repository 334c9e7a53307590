import type pg from "pg";
import type { ChatId } from "../../domain/chat-id.ts";
import type { InstanceId } from "../../domain/instance-id.ts";
import type { SignalOutcome } from "../../domain/signal.ts";
import type { ChatHash } from "../../lib/secrets/chat-hash.ts";
import { waitBriefly } from "../postgres/brief-locks.ts";
import { codeOf } from "../postgres/database.ts";
import { inTransaction } from "../postgres/in-transaction.ts";
import { briefly, retryTransient } from "../postgres/retry-transient.ts";
import { foreignKeyViolation } from "../postgres/sqlstate.ts";

/** What is new goes before all imports, what is only old behind them. */
const priorities = { added: 0, refreshed: 2 } as const;

/**
 * A contact that waits already, or that the provider does not answer for, is left to its own pace: one that writes much is not asked
 * for more often. It probes the index once for each, whatever statistics say.
 */
const knownSql = `
select c.chat_id, case
  when c.wanted_at is not null then 'known'
  when c.status = 'unknown' then 'added'
  when c.status in ('present', 'absent', 'hidden') and c.checked_at < now() - $3::float8 * interval '1 ms' then 'refreshed'
  else 'known' end as outcome
from unnest($2::text[]) as given (chat_id)
cross join lateral (
  select * from avatars.contacts c where c.instance_id = $1 and c.chat_id = given.chat_id offset 0
) c`;

const erasedSql = `
select e.chat_hash from unnest($2::text[]) as given (chat_hash)
cross join lateral (
  select * from avatars.erased_chats e where e.instance_id = $1 and e.chat_hash = given.chat_hash offset 0
) e`;

/** As in refresh-contact.ts: one statement opens the batch and takes its contacts in. */
const acceptSql = `
with batch as (
  insert into avatars.batches (instance_id, source, label, priority, fresh_after, completed_intake_at)
  select i.id, 'refresh', 'signal', $3, now() - $4::float8 * interval '1 ms', now()
  from avatars.instances i where i.id = $1
  returning id
)
select accepted.members from batch b
cross join lateral avatars.accept(b.id, $2::text[], array_fill(null::text, array[cardinality($2::text[])]),
  array(select n::bigint from generate_series(0, cardinality($2::text[]) - 1) n)) accepted`;

/**
 * Takes in the chats that signals named: those that are not known, and those whose answer is old. When it resolves they are committed.
 * Known ones cost a read and nothing else.
 * @param chatIds each once
 * @param maxAgeMs the age of an answer that is old; undefined: none is
 * @param hashErased the same hash as erasures write
 */
export async function acceptSignals(
  pool: pg.Pool,
  hashErased: ChatHash,
  instanceId: InstanceId,
  chatIds: readonly ChatId[],
  maxAgeMs: number | undefined,
): Promise<Map<ChatId, SignalOutcome>> {
  const outcomes = await retryTransient(briefly, async () =>
    judgeChats(pool, hashErased, { instanceId, chatIds, maxAgeMs }),
  );
  for (const kind of ["added", "refreshed"] as const) {
    const wanted = chatIds.filter((chatId) => outcomes.get(chatId) === kind);
    if (wanted.length > 0) await accept(pool, [instanceId, wanted, priorities[kind], maxAgeMs ?? 0]);
  }
  return outcomes;
}

interface NamedChats {
  readonly instanceId: InstanceId;
  readonly chatIds: readonly ChatId[];
  readonly maxAgeMs: number | undefined;
}

async function judgeChats(
  pool: pg.Pool,
  hashErased: ChatHash,
  { instanceId, chatIds, maxAgeMs }: NamedChats,
): Promise<Map<ChatId, SignalOutcome>> {
  const { rows } = await pool.query<{ chat_id: ChatId; outcome: SignalOutcome }>({
    name: "judge-signals",
    text: knownSql,
    values: [instanceId, chatIds, maxAgeMs ?? null],
  });
  const outcomes = new Map(rows.map(({ chat_id: chatId, outcome }) => [chatId, outcome]));
  const unknown = chatIds.filter((chatId) => !outcomes.has(chatId));
  if (unknown.length === 0) return outcomes;
  const hashes = new Map(unknown.map((chatId) => [chatId, hashErased(chatId)]));
  const marks = await pool.query<{ chat_hash: string }>(erasedSql, [instanceId, [...hashes.values()]]);
  const erased = new Set(marks.rows.map((row) => row.chat_hash));
  for (const [chatId, hash] of hashes) outcomes.set(chatId, erased.has(hash) ? "erased" : "added");
  return outcomes;
}

async function accept(pool: pg.Pool, values: unknown[]): Promise<void> {
  try {
    await retryTransient(briefly, async () =>
      inTransaction(pool, async (client) => {
        await waitBriefly(client);
        await client.query({ name: "accept-signals", text: acceptSql, values });
      }),
    );
  } catch (error) {
    // The instance is being removed.
    if (codeOf(error) !== foreignKeyViolation) throw error;
  }
}
