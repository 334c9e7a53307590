import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ChatId } from "../../src/domain/chat-id.ts";
import type { QueuedContact } from "../../src/domain/ledger/due-queue.ts";
import type { ContactDecision } from "../../src/domain/lookup/decide.ts";
import type { InstanceId } from "../../src/domain/instance-id.ts";
import type { RunLedger } from "../../src/domain/ledger/run-ledger.ts";
import type { IncomingContact } from "../../src/domain/requests/incoming-contact.ts";
import { acceptChunk, createBatch } from "../../src/store/accept/accept-chunk.ts";
import { createRunLedger } from "../../src/store/work/run-ledger.ts";
import { openDueRun, type DueRun } from "../support/due-run.ts";
import {
  acceptContacts,
  addInstance,
  giveUp,
  paceSettings,
  present,
  readContact,
  readDatabaseNow,
  release,
  retry,
  toChatId,
  toRecord,
} from "../support/ledger.ts";
import { openTestDatabase, type TestDatabase } from "../support/test-database.ts";

let database: TestDatabase;
let ledger: RunLedger;

beforeAll(async () => {
  database = await openTestDatabase();
  ledger = createRunLedger(database, paceSettings);
});
afterAll(async () => database.close());

const weekMs = 7 * 24 * 3600 * 1000;
const retryAtOnce = { ...retry, dueInMs: 0 } as typeof retry;

/** So many chats from `from` on, in the reverse order of their ids: that of positions is another one. */
const chats = (count: number, from = 0) =>
  Array.from({ length: count }, (_, index) => toChatId(from + count - 1 - index));

const toChunk = (chatIds: readonly ChatId[], from = 0): IncomingContact[] =>
  chatIds.map((chatId, index) => ({ chatId, externalRef: undefined, position: from + index }));

async function openBatch(instanceId: InstanceId, priority = 1, maxAgeMs = 0): Promise<string> {
  return createBatch(database.pool, { instanceId, source: "test", label: undefined, priority, maxAgeMs });
}

/** The run of each instance. Without the share of the oldest, so that every order is exact. */
const runs = new Map<InstanceId, DueRun>();

async function findRun(instanceId: InstanceId): Promise<DueRun> {
  const run = runs.get(instanceId) ?? (await openDueRun(ledger, instanceId));
  runs.set(instanceId, run);
  return run;
}

/** The contacts that are asked next, in the order of their calls. */
const askNext = async (instanceId: InstanceId, count: number): Promise<QueuedContact[]> =>
  (await findRun(instanceId)).next(count);

const toChats = (contacts: readonly QueuedContact[]) => contacts.map(({ chatId }) => chatId);

async function askChats(instanceId: InstanceId, count: number): Promise<ChatId[]> {
  return toChats(await askNext(instanceId, count));
}

/** Saves what has become of contacts that were asked, of calls that were sent now. */
async function save(
  instanceId: InstanceId,
  contactIds: readonly number[],
  decision: ContactDecision,
  askedAtMs?: number,
): Promise<void> {
  const { epoch, settle } = await findRun(instanceId);
  const sentAtMs = askedAtMs ?? (await readDatabaseNow(database.pool));
  await ledger.saveLookups(contactIds.map((id) => toRecord(id, epoch, sentAtMs, decision)));
  settle(contactIds);
}

const toIds = (contacts: readonly QueuedContact[]) => contacts.map(({ contactId }) => contactId);

interface Place {
  readonly id: number;
  readonly chatId: string;
  readonly status: string;
  readonly priority: number;
  readonly turn: number | null;
  readonly dueAt: Date | null;
  readonly waits: boolean;
  readonly attempts: number;
}

async function readPlaces(instanceId: InstanceId): Promise<Map<string, Place>> {
  const { rows } = await database.pool.query<Place>(
    `select id::int, chat_id as "chatId", status, priority, turn::int, due_at as "dueAt", wanted_at is not null as waits,
       attempts from avatars.contacts where instance_id = $1`,
    [instanceId],
  );
  return new Map(rows.map((row) => [row.chatId, row]));
}

/** How far the turns of each priority have come, and the batch's last one. */
async function readTurns(instanceId: InstanceId, batchId: string | undefined) {
  const { rows } = await database.pool.query<{ turns: number[]; last_turn: number }>(
    `select i.turns::int[], coalesce(b.last_turn, 0)::int as last_turn
     from avatars.instances i left join avatars.batches b on b.id = $2 where i.id = $1`,
    [instanceId, batchId],
  );
  return { turns: rows[0]?.turns ?? [], lastTurn: rows[0]?.last_turn ?? 0 };
}

/** Asks all that is due, and saves one clear answer for each. */
async function answerAll(instanceId: InstanceId): Promise<void> {
  const contacts = await askNext(instanceId, 10_000);
  await save(instanceId, toIds(contacts), present("/a.jpg"));
}

/** A batch of 1000, of which 300 are being asked. */
async function prepareBusyInstance(): Promise<{ instanceId: InstanceId; first: ChatId[] }> {
  const instanceId = await addInstance(database);
  const first = chats(1_000);
  await acceptContacts(database.pool, instanceId, first);
  expect(await askChats(instanceId, 300)).toEqual(first.slice(0, 300));
  return { instanceId, first };
}

/** How many of them are of batches that came later. */
const countOthers = (chatIds: readonly ChatId[]) =>
  chatIds.filter((chatId) => chatId >= toChatId(5_000)).length;

describe("a batch that comes while another is worked off", () => {
  test("shares with it by turns, each in the order of its file", async () => {
    const { instanceId, first } = await prepareBusyInstance();
    const second = chats(10, 5_000);
    await acceptContacts(database.pool, instanceId, second);
    const next = await askChats(instanceId, 20);
    const isSecond = (chatId: ChatId) => second.includes(chatId);
    expect(next.filter(isSecond)).toEqual(second);
    expect(next.filter((chatId) => !isSecond(chatId))).toEqual(first.slice(300, 310));
    expect(await askChats(instanceId, 1_000)).toEqual(first.slice(310));
  });

  test("gets half, and with a third one a third, however long the first was there before", async () => {
    const { instanceId } = await prepareBusyInstance();
    await acceptContacts(database.pool, instanceId, chats(500, 5_000));
    expect(countOthers(await askChats(instanceId, 100))).toBe(50);
    await acceptContacts(database.pool, instanceId, chats(500, 6_000));
    const next = await askChats(instanceId, 300);
    expect(countOthers(next)).toBe(200);
    expect(next.filter((chatId) => chatId >= toChatId(6_000))).toHaveLength(100);
  });

  test("waits until it is done when it is less urgent, and goes before it when it is more urgent", async () => {
    const { instanceId, first } = await prepareBusyInstance();
    const [later, sooner] = [chats(10, 5_000), chats(10, 6_000)];
    await acceptContacts(database.pool, instanceId, later, { priority: 2 });
    await acceptContacts(database.pool, instanceId, sooner, { priority: 0 });
    expect(await askChats(instanceId, 720)).toEqual([...sooner, ...first.slice(300), ...later]);
  });

  test("gets the share of the oldest when it is less urgent and was there first", async () => {
    const instanceId = await addInstance(database);
    const [old, urgent] = [chats(100), chats(1_000, 5_000)];
    await acceptContacts(database.pool, instanceId, old, { priority: 2 });
    await acceptContacts(database.pool, instanceId, urgent);
    const next = await (await openDueRun(ledger, instanceId, 0.1)).next(500);
    const chosen = toChats(next).filter((chatId) => chatId < toChatId(5_000));
    expect(chosen).toEqual(old.slice(0, chosen.length));
    expect(Math.abs(chosen.length - 50)).toBeLessThanOrEqual(1);
  });

  test("shares also with what of the first is taken in after it", async () => {
    const instanceId = await addInstance(database);
    const growing = await openBatch(instanceId);
    const first = chats(200);
    await acceptChunk(database.pool, growing, toChunk(first.slice(0, 100)));
    expect(await askChats(instanceId, 100)).toEqual(first.slice(0, 100));
    const second = chats(100, 5_000);
    await acceptContacts(database.pool, instanceId, second);
    await acceptChunk(database.pool, growing, toChunk(first.slice(100), 100));
    const next = await askChats(instanceId, 20);
    expect(new Set(next)).toEqual(new Set([...first.slice(100, 110), ...second.slice(0, 10)]));
  });
});

describe("a contact in two batches", () => {
  test("goes with the batch whose turn comes first, and is asked once", async () => {
    const { instanceId, first } = await prepareBusyInstance();
    const shared = first[900]!;
    const second = [...chats(9, 5_000), shared];
    await acceptContacts(database.pool, instanceId, second);
    const next = await askChats(instanceId, 20);
    expect(next.filter((chatId) => second.includes(chatId))).toEqual(second);
    const rest = await askChats(instanceId, 1_000);
    expect(rest).not.toContain(shared);
    expect(next.length + rest.length).toBe(709);
  });

  test("keeps its turn when the other one would come later", async () => {
    const { instanceId, first } = await prepareBusyInstance();
    const before = await readPlaces(instanceId);
    await acceptContacts(database.pool, instanceId, [...chats(50, 5_000), first[301]!]);
    expect((await readPlaces(instanceId)).get(first[301]!)).toEqual(before.get(first[301]!));
  });

  test("moves up with the more urgent of them, and stays where it was with the less urgent", async () => {
    const { instanceId, first } = await prepareBusyInstance();
    const [wanted, other] = [first[999]!, first[998]!];
    const before = await readPlaces(instanceId);
    await acceptContacts(database.pool, instanceId, [other], { priority: 2 });
    expect(await readPlaces(instanceId)).toEqual(before);
    await acceptContacts(database.pool, instanceId, [wanted], { priority: 0 });
    expect(await askChats(instanceId, 2)).toEqual([wanted, first[300]]);
    expect((await askChats(instanceId, 1_000)).at(-1)).toBe(other);
  });
});

describe("a contact that has had its turn", () => {
  test("comes back when its backoff ends, before all turns, and not sooner", async () => {
    const { instanceId, first } = await prepareBusyInstance();
    const [soon, late] = await askNext(instanceId, 2);
    await save(instanceId, [soon!.contactId], retryAtOnce);
    await save(instanceId, [late!.contactId], retry);
    expect(await askChats(instanceId, 3)).toEqual([soon!.chatId, ...first.slice(302, 304)]);
    await database.pool.query("update avatars.contacts set due_at = clock_timestamp() where id = $1", [
      late!.contactId,
    ]);
    expect(await askChats(instanceId, 2)).toEqual([late!.chatId, first[304]]);
  });

  test("gets another when somebody asks for it anew", async () => {
    const { instanceId, first } = await prepareBusyInstance();
    const places = await readPlaces(instanceId);
    const answered = first.slice(0, 300).map((chatId) => places.get(chatId)!.id);
    await save(instanceId, answered, present("/a.jpg"));
    await acceptContacts(database.pool, instanceId, first.slice(0, 10));
    const next = await askChats(instanceId, 20);
    expect(new Set(next)).toEqual(new Set([...first.slice(0, 10), ...first.slice(300, 310)]));
  });
});

describe("a contact that is asked for again while its call is in flight", () => {
  test.each([
    ["as urgently", 1],
    ["more urgently", 0],
    ["less urgently", 2],
  ])("%s, is called again where the answer is too old, and rests only then", async (_, priority) => {
    const instanceId = await addInstance(database);
    await acceptContacts(database.pool, instanceId, [toChatId(1)]);
    const asked = await askNext(instanceId, 1);
    const askedAtMs = await readDatabaseNow(database.pool);
    await acceptContacts(database.pool, instanceId, [toChatId(1)], { priority });
    expect(await askChats(instanceId, 1)).toEqual([]);
    await save(instanceId, toIds(asked), present("/a.jpg"), askedAtMs);
    expect(await readContact(database.pool, instanceId)).toMatchObject({ is_due: true, turn: null });
    await answerAll(instanceId);
    expect(await readContact(database.pool, instanceId)).toMatchObject({ due_at: null, turn: null });
  });
});

describe("turns", () => {
  test("are given once each, also to chunks that are written side by side", async () => {
    const instanceId = await addInstance(database);
    const batchId = await openBatch(instanceId);
    const all = chats(2_000);
    const chunks = Array.from({ length: 20 }, (_, index) => all.slice(index * 100, (index + 1) * 100));
    await Promise.all(
      chunks.map(async (chunk, index) => acceptChunk(database.pool, batchId, toChunk(chunk, index * 100))),
    );
    const turns = [...(await readPlaces(instanceId)).values()].map(({ turn }) => turn);
    expect(turns.toSorted((a, b) => a! - b!)).toEqual(all.map((_, index) => index + 1));
    expect(await readTurns(instanceId, batchId)).toMatchObject({ lastTurn: 2_000 });
  });

  test("are not spent on contacts that are fresh, wherever they stand", async () => {
    const instanceId = await addInstance(database);
    const fresh = chats(1_000);
    await acceptContacts(database.pool, instanceId, fresh);
    await answerAll(instanceId);
    const { turns } = await readTurns(instanceId, undefined);
    const batchId = await openBatch(instanceId, 1, weekMs);
    const added = chats(10, 5_000);
    const file = [...fresh.slice(0, 500), ...added.slice(0, 5), ...fresh.slice(500), ...added.slice(5)];
    for (const from of [0, 400, 800]) {
      await acceptChunk(database.pool, batchId, toChunk(file.slice(from, from + 400), from));
    }
    const places = await readPlaces(instanceId);
    expect(added.map((chatId) => places.get(chatId)?.turn)).toEqual(
      added.map((_, index) => (turns[1] ?? 0) + index + 1),
    );
    expect(fresh.every((chatId) => places.get(chatId)?.turn === null)).toBe(true);
  });

  test("of a chunk that fails leave a gap, and no more than that", async () => {
    const instanceId = await addInstance(database);
    const batchId = await openBatch(instanceId);
    const wrong = toChunk(chats(10)).map((contact) => ({ ...contact, position: Number.NaN }));
    await expect(acceptChunk(database.pool, batchId, wrong)).rejects.toThrow();
    expect(await readPlaces(instanceId)).toEqual(new Map());
    await acceptChunk(database.pool, batchId, toChunk(chats(10)));
    expect((await readTurns(instanceId, batchId)).lastTurn).toBeLessThanOrEqual(20);
  });
});

interface Asked {
  readonly kind: "ask";
  readonly priority: number;
  readonly maxAgeMs: number;
  /** Chunks of chats. */
  readonly chunks: readonly (readonly number[])[];
}
interface Worked {
  readonly kind: "work";
  readonly limit: number;
  readonly decision: ReturnType<typeof present> | undefined;
}

const asked: fc.Arbitrary<Asked> = fc.record({
  kind: fc.constant("ask" as const),
  priority: fc.nat(2),
  maxAgeMs: fc.constantFrom(0, weekMs),
  chunks: fc.array(fc.array(fc.nat(7), { minLength: 1, maxLength: 8 }), { minLength: 1, maxLength: 3 }),
});
const worked: fc.Arbitrary<Worked> = fc.record({
  kind: fc.constant("work" as const),
  limit: fc.integer({ min: 1, max: 5 }),
  decision: fc.constantFrom(undefined, present("/a.jpg"), retry, retryAtOnce, giveUp, release),
});

/** What becomes of one contact that is asked for, by the rules. `turn` "new": one of the batch's own. */
function toExpectedPlace(before: Place | undefined, { priority, maxAgeMs }: Asked) {
  if (before === undefined) return { priority, turn: "new", waits: true, attempts: 0 };
  const isFresh = maxAgeMs > 0 && !["unknown", "unreachable"].includes(before.status);
  if (isFresh) return before;
  if (!before.waits) return { priority, turn: "new", waits: true, attempts: 0 };
  if (priority < before.priority) return { priority, turn: "new", waits: true, attempts: before.attempts };
  if (before.turn === null || priority > before.priority) return before;
  return { ...before, turn: "lesser" };
}

/** Takes one chunk in, and holds every contact against the rules. Returns the new turns in the order of positions. */
async function checkChunk(
  instanceId: InstanceId,
  batchId: string,
  request: Asked,
  chunk: readonly number[],
  from: number,
): Promise<number[]> {
  const before = await readPlaces(instanceId);
  const { turns, lastTurn } = await readTurns(instanceId, batchId);
  const base = Math.max(lastTurn, turns[request.priority] ?? 0);
  await acceptChunk(database.pool, batchId, toChunk(chunk.map(toChatId), from));
  const after = await readPlaces(instanceId);
  const given: number[] = [];
  for (const chatId of new Set(chunk.map(toChatId))) {
    const place = after.get(chatId)!;
    const { turn, ...expected } = toExpectedPlace(before.get(chatId), request);
    expect(place).toMatchObject(expected);
    const own = before.get(chatId)?.turn ?? null;
    if (turn === "new") given.push(place.turn ?? Number.NaN);
    else if (turn === "lesser") expect(place.turn).toBeLessThanOrEqual(own ?? Number.NaN);
    else expect(place.turn).toBe(turn);
    if (turn !== "new" && place.turn !== own) expect(place.turn).toBeGreaterThan(base);
  }
  for (const [chatId, place] of before) {
    if (!chunk.map(toChatId).some((asking) => asking === chatId)) expect(after.get(chatId)).toEqual(place);
  }
  for (const turn of given) expect(turn).toBeGreaterThan(base);
  for (const turn of given) expect(turn).toBeLessThanOrEqual(base + chunk.length);
  const { lastTurn: newLast } = await readTurns(instanceId, batchId);
  expect(newLast).toBeGreaterThanOrEqual(Math.max(lastTurn, ...given));
  expect(newLast).toBeLessThanOrEqual(base + chunk.length);
  return given;
}

async function work(instanceId: InstanceId, { limit, decision }: Worked): Promise<void> {
  const contacts = await askNext(instanceId, limit);
  if (decision) await save(instanceId, toIds(contacts), decision);
}

test("whatever is asked for and worked off in whatever order: priority only moves up, turns ascend with positions", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.oneof({ weight: 3, arbitrary: asked }, { weight: 2, arbitrary: worked }), {
        minLength: 2,
        maxLength: 8,
      }),
      async (events) => {
        const instanceId = await addInstance(database);
        for (const event of events) {
          if (event.kind === "work") {
            await work(instanceId, event);
            continue;
          }
          const batchId = await openBatch(instanceId, event.priority, event.maxAgeMs);
          const given: number[] = [];
          let position = 0;
          for (const chunk of event.chunks) {
            given.push(...(await checkChunk(instanceId, batchId, event, chunk, position)));
            position += chunk.length;
          }
          for (const [index, turn] of given.entries()) {
            expect(turn).toBeGreaterThan(given[index - 1] ?? 0);
          }
        }
      },
    ),
    { numRuns: 60 },
  );
});
