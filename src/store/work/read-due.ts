import type pg from "pg";
import type { ChatId } from "../../domain/chat-id.ts";
import type { ContactStatus } from "../../domain/contact-status.ts";
import type { DueRequest, HeldWish, KindWish, QueuedContact } from "../../domain/ledger/due-queue.ts";
import type { InstanceId } from "../../domain/instance-id.ts";
import { shownVersion } from "../postgres/version-sql.ts";
import { toIsOfKind } from "./held-sql.ts";
import { isFreeSql } from "./due-sql.ts";

/** µs of the epoch: whole numbers, which a float8 has exactly until the year 2255. */
const toUs = (moment: string) => `round(date_part('epoch', ${moment}) * 1000000)`;

const columns = `c.id, c.chat_id, c.attempts, c.status,
    case when c.refresh_at is not null then c.refresh_step end as refresh_step, c.priority,
    c.turn::float8 as turn, ${toUs("c.due_at")} as due_us`;

/** What is read of a contact `c` with these columns and its {@link past}, as {@link Cells} has it. */
const cellsSql = `c.id::float8, c.chat_id, c.attempts, c.status, c.refresh_step, c.priority, c.turn, c.due_us,
  extract(epoch from a.first_seen_at)::float8 * 1000, a.changes, a.version`;

/** As it is shown, but one that says nothing stays as it is where no image of it was taken. */
const shownPast = `coalesce(${shownVersion}, a.version)`;

/**
 * What decides about the next refresh beside the answer. Probes once for each contact that was answered before, by its id as it is: no
 * index knows a float8.
 */
const past = `left join lateral (
  select a.first_seen_at, a.changes, ${shownPast} as version from avatars.avatars a where c.status <> 'unknown' and a.contact_id = c.id offset 0
) a on true`;

/**
 * The heads of many queues, each read onward from a place, in the order of its partial index. Nothing is written or locked. Rows
 * that are dead but cannot be removed lie before the place: they cost nothing.
 *
 * The parameters are columns of the queues by `due_at`, and then of those by turn: number of the request, instance, priority,
 * place (two), limit.
 */
const sql = `
select c.n, ${cellsSql}
from (
  select q.n, q.instance_id, c.* from unnest($1::int[], $2::text[], $3::smallint[], $4::float8[], $5::bigint[], $6::int[])
    as q (n, instance_id, priority, after_us, after_id, size)
  cross join lateral (
    select ${columns} from avatars.contacts c
    where c.instance_id = q.instance_id and c.priority = q.priority and c.turn is null and c.due_at <= now()
      and (c.due_at, c.id) > (timestamptz 'epoch' + q.after_us * interval '1 microsecond', q.after_id) and ${isFreeSql}
    order by c.due_at, c.id limit q.size
  ) c
  union all
  select q.n, q.instance_id, c.* from unnest($7::int[], $8::text[], $9::smallint[], $10::float8[], $11::bigint[], $12::int[])
    as q (n, instance_id, priority, after_turn, after_id, size)
  cross join lateral (
    select ${columns} from avatars.contacts c
    where c.instance_id = q.instance_id and c.priority = q.priority and c.turn is not null
      and (c.turn, c.id) > (q.after_turn::bigint, q.after_id) and ${isFreeSql}
    order by c.turn, c.id limit q.size
  ) c
) c ${past}`;

type Cells = [
  n: number,
  id: number,
  chatId: string,
  attempts: number,
  status: ContactStatus,
  refreshStep: number | null,
  priority: number,
  turn: number | null,
  dueUs: number,
  firstSeenAtMs: number | null,
  changes: number | null,
  version: string | null,
];

/** See {@link RunLedger.readDue}. */
export async function readDue(pool: pg.Pool, requests: readonly DueRequest[]): Promise<QueuedContact[][]> {
  const numbered = requests.map((request, n) => ({ ...request, n }));
  const { rows } = await pool.query<Cells>({
    name: "read-due",
    text: sql,
    values: [
      ...toColumns(numbered.filter(({ isTurned }) => !isTurned)),
      ...toColumns(numbered.filter(({ isTurned }) => isTurned)),
    ],
    rowMode: "array",
  });
  const found: QueuedContact[][] = requests.map(() => []);
  for (const row of rows) found[row[0]]?.push(toContact(row));
  return found;
}

function toColumns(requests: readonly (DueRequest & { readonly n: number })[]): unknown[] {
  return [
    requests.map(({ n }) => n),
    requests.map(({ instanceId }) => instanceId),
    requests.map(({ priority }) => priority),
    requests.map(({ after }) => after.by),
    requests.map(({ after }) => after.contactId),
    requests.map(({ limit }) => limit),
  ];
}

/** Cell by cell: to take a row apart in one go makes an object for each of its cells. */
function toContact(cells: Cells): QueuedContact {
  const contactId = cells[1];
  const turn = cells[7];
  const dueAtUs = cells[8];
  const firstSeenAtMs = cells[9];
  return {
    contactId,
    chatId: cells[2] as ChatId,
    attempts: cells[3],
    past: {
      status: cells[4],
      firstSeenAt: firstSeenAtMs === null ? undefined : new Date(firstSeenAtMs),
      changes: cells[10] ?? 0,
      version: cells[11] ?? undefined,
      refreshStep: cells[5] ?? undefined,
    },
    priority: cells[6],
    isTurned: turn !== null,
    place: { by: turn ?? dueAtUs, contactId },
    dueAtUs,
  };
}

/** Contacts of each queue that are looked at for those of a kind, in its order. */
const mostPassedOver = 5_000;

/**
 * Due contacts `c` of an instance that are of a kind, or of any other. Chats that are no users have an index of their own. The
 * others are looked for among the heads of the queues: most due contacts are users, so that they are found there.
 * @param instance the instance's id in SQL, e.g. `$1`
 */
export function toKindSource({ kind, isOf }: KindWish, instance: string): string {
  const isWanted = `${isOf ? "" : "not "}(${toIsOfKind(kind)})`;
  if ((kind === "user") !== isOf) {
    return `(select ${columns} from avatars.contacts c
      where c.instance_id = ${instance} and right(c.chat_id, 5) <> '@c.us' and c.due_at <= now() and ${isWanted} and ${isFreeSql})`;
  }
  const toHead = (isTurned: string, order: string) => `(select * from avatars.contacts c
        where c.instance_id = ${instance} and c.priority = p.priority and ${isTurned}
        order by ${order}, c.id limit ${mostPassedOver})`;
  return `(select ${columns} from (values (0), (1), (2)) as p (priority)
      cross join lateral (
        ${toHead("c.turn is null and c.due_at <= now()", "c.due_at")} union all ${toHead("c.turn is not null", "c.turn")}
      ) c
      where ${isWanted} and ${isFreeSql})`;
}

/** Due contacts `c` of an instance whose chats are named by `$4`. */
const namedSource = `(select ${columns} from avatars.contacts c
      where c.instance_id = $1 and c.chat_id = any ($4::text[]) and c.due_at <= now() and ${isFreeSql})`;

const toHeldSql = (source: string) => `
select 0 as n, ${cellsSql}
from (
  select * from ${source} c where c.id <> all ($2::bigint[]) order by c.priority, c.due_us, c.id limit $3
) c ${past}`;

/** See {@link RunLedger.readHeld}. */
export async function readHeld(
  pool: pg.Pool,
  instanceId: InstanceId,
  wish: HeldWish,
  but: readonly number[],
  limit: number,
): Promise<QueuedContact[]> {
  const given = [instanceId, but, limit];
  const { rows } = await pool.query<Cells>(
    "chatIds" in wish
      ? { text: toHeldSql(namedSource), values: [...given, wish.chatIds], rowMode: "array" }
      : { text: toHeldSql(toKindSource(wish, "$1")), values: given, rowMode: "array" },
  );
  return rows.map(toContact);
}
