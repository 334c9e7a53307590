import { randomUUID } from "node:crypto";
import { PassThrough, Readable } from "node:stream";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import type { InstanceId } from "../../src/domain/instance-id.ts";
import type { RequestedBatch } from "../../src/domain/requests/batch-request.ts";
import type { ContactStream } from "../../src/domain/requests/contact-stream.ts";
import { createReading } from "../../src/domain/requests/reading.ts";
import type { Batches } from "../../src/app/subjects/batches.ts";
import { importRecords } from "../../src/intake/import-records.ts";
import { readContacts as readContactFile } from "../../src/intake/read-contacts.ts";
import { acceptRequest } from "../../src/store/accept/accept-request.ts";
import { acceptChunk } from "../../src/store/accept/accept-chunk.ts";
import { isTransient, openDatabase } from "../../src/store/postgres/database.ts";
import { receiveStream } from "../../src/store/accept/receive-stream.ts";
import type { ReceivePorts } from "../../src/store/accept/contact-stream.ts";
import { createRequestLocks } from "../../src/store/accept/request-locks.ts";
import { openCommitCutter, type Cut } from "../support/commit-cutter.ts";
import { eventually } from "../support/eventually.ts";
import { createGate } from "../support/gate.ts";
import { acceptContacts, addInstance, readContacts, toChatId } from "../support/ledger.ts";
import { openTestDatabase, type TestDatabase } from "../support/test-database.ts";

let database: TestDatabase;

beforeAll(async () => {
  database = await openTestDatabase();
});
afterAll(async () => database.close());

const cancelled: string[] = [];

/** The port as the HTTP API has it, in a process of its own. */
function createReceive(pool = database.pool, ports: Partial<ReceivePorts> = {}): Batches["receive"] {
  const locks = createRequestLocks(pool);
  const all: ReceivePorts = {
    locks,
    estimate: async () => 1_234,
    readInto: ({ source, signal, column, refColumn, defaultCountry }, sink) =>
      importRecords(
        readContactFile(source, {
          signal,
          ...(column !== undefined && { column }),
          ...(refColumn !== undefined && { refColumn }),
          ...(defaultCountry !== undefined && { defaultCountry }),
        }),
        { signal, strict: false },
        {
          reject: sink.reject,
          acceptChunk: sink.acceptChunk,
        },
      ),
    cancel: async (batchId) => {
      cancelled.push(batchId);
      await database.pool.query("update avatars.batches set cancelled_at = now() where id = $1", [batchId]);
    },
    committed: () => undefined,
    ...ports,
  };
  return (...request) => receiveStream(pool, all, ...request);
}
const receive: Batches["receive"] = (...request) => createReceive()(...request);

const toWish = (instanceId: InstanceId, wish: Partial<RequestedBatch> = {}): RequestedBatch => ({
  instanceId,
  source: "api",
  label: undefined,
  priority: 1,
  maxAgeMs: 0,
  callbackUrl: undefined,
  ...wish,
});

const toAsker = (idempotencyKey: string | undefined = randomUUID()) => ({ apiKeyId: "key", idempotencyKey });
const keyless = { apiKeyId: "key", idempotencyKey: undefined };

function toStream(source: Readable | string, stream: Partial<ContactStream> = {}): ContactStream {
  return {
    source: typeof source === "string" ? toReadable(source) : source,
    strict: false,
    column: undefined,
    refColumn: undefined,
    defaultCountry: undefined,
    firstNumber: false,
    encoding: undefined,
    sheet: undefined,
    reading: createReading(),
    resume: undefined,
    signal: new AbortController().signal,
    opened: () => undefined,
    takenBack: () => undefined,
    ...stream,
  };
}

/** In pieces that end anywhere. */
function toReadable(text: string): Readable {
  const bytes = Buffer.from(text);
  const pieces = [];
  for (let at = 0; at < bytes.length; at += 9_973) pieces.push(bytes.subarray(at, at + 9_973));
  return Readable.from(pieces, { objectMode: false });
}

const toLines = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, index) => `{"chatId":"${toChatId(from + index)}"}\n`).join("");

/** A stream that is cut off after `text`. */
function toCutStream(text: string): PassThrough {
  const source = new PassThrough({ highWaterMark: 1 << 24 });
  source.write(text);
  const isRead = () => expect([source.listenerCount("data") > 0, source.readableLength]).toEqual([true, 0]);
  void eventually(isRead).then(() => source.destroy(new Error("gone")));
  return source;
}

async function readBatch(batchId: string) {
  const { rows } = await database.pool.query<Record<string, unknown>>(
    `select instance_id, label, callback_url, api_key_id, accepted, duplicates, rejected,
       completed_intake_at is not null as complete, cancelled_at is not null as cancelled,
       (select count(*)::integer from avatars.batch_members m where m.batch_id = b.id) as members
     from avatars.batches b where id = $1`,
    [batchId],
  );
  return rows[0];
}

async function findBatchIds(instanceId: InstanceId): Promise<string[]> {
  const { rows } = await database.pool.query<{ id: string }>(
    "select id from avatars.batches where instance_id = $1 order by requested_at",
    [instanceId],
  );
  return rows.map(({ id }) => id);
}

async function findOnlyBatchId(instanceId: InstanceId): Promise<string> {
  const [id, ...others] = await findBatchIds(instanceId);
  if (id === undefined || others.length > 0) throw new Error("not one batch");
  return id;
}

/** The sessions of this database that hold advisory locks. */
async function findLockPids(): Promise<number[]> {
  const { rows } = await database.pool.query<{ pid: number }>(
    `select distinct l.pid from pg_locks l join pg_database d on d.oid = l.database
     where l.locktype = 'advisory' and d.datname = current_database()`,
  );
  return rows.map(({ pid }) => pid);
}

async function killLockHolder(): Promise<void> {
  const [pid, ...others] = await findLockPids();
  expect(pid).toBeDefined();
  expect(others).toEqual([]);
  await database.pool.query("select pg_terminate_backend($1)", [pid]);
  await eventually(async () => expect(await findLockPids()).not.toContain(pid));
}

describe("a stream", () => {
  test("is a batch with all its contacts, and says what was no contact", async () => {
    const instanceId = await addInstance(database);
    const opened: string[] = [];
    const text = toLines(0, 12_000) + "no contact\n" + toLines(0, 100) + "\n{}\n";
    const wish = toWish(instanceId, { label: "july", callbackUrl: "https://crm.example/done" });
    const result = await receive(keyless, wish, toStream(text, { opened: (id) => void opened.push(id) }));
    const counts = { accepted: 12_000, duplicates: 100, rejected: 2 };
    const batchId = await findOnlyBatchId(instanceId);
    expect(result).toEqual({
      kind: "accepted",
      batch: { batchId, requestedAt: expect.any(Date), ...counts },
      etaMs: 1_234,
      replayed: false,
      resumed: false,
      rejects: [
        { position: 12_001, text: "no contact", reason: expect.any(String) },
        { position: 12_103, text: "{}", reason: expect.any(String) },
      ],
      several: 0,
    });
    expect(opened).toEqual([batchId]);
    expect(await readBatch(batchId)).toMatchObject({
      label: "july",
      callback_url: "https://crm.example/done",
      api_key_id: "key",
      complete: true,
      members: 12_000,
      ...counts,
    });
  });

  test("names no more than a hundred lines that are no contacts, and counts all", async () => {
    const instanceId = await addInstance(database);
    const result = await receive(keyless, toWish(instanceId), toStream("{}\n".repeat(250)));
    if (result.kind !== "accepted") throw new Error(result.kind);
    expect(result.rejects).toHaveLength(100);
    expect(result.batch).toMatchObject({ accepted: 0, rejected: 250 });
  });

  test("tells whenever contacts are committed, and holds no lock when it is over", async () => {
    const instanceId = await addInstance(database);
    const told: string[] = [];
    const createOwn = createReceive(database.pool, {
      committed: (batch) => void told.push(batch.instanceId),
    });
    await createOwn(toAsker(), toWish(instanceId), toStream(toLines(0, 11_000)));
    expect(told).toEqual([instanceId, instanceId, instanceId]);
    expect(await findLockPids()).toEqual([]);
  });

  test("for an instance that does not exist leaves nothing, not even its key", async () => {
    const asker = toAsker();
    const unknown = toWish("9999999999" as InstanceId);
    expect(await receive(asker, unknown, toStream(toLines(0, 3)))).toEqual({ kind: "unknown-instance" });
    const instanceId = await addInstance(database);
    expect(await receive(asker, toWish(instanceId), toStream(toLines(0, 3)))).toMatchObject({
      replayed: false,
    });
  });

  test("whose instance is removed meanwhile ends with that", async () => {
    const instanceId = await addInstance(database);
    const source = new PassThrough();
    const { opened, open } = createGate<string>();
    const receiving = receive(toAsker(), toWish(instanceId), toStream(source, { opened: open }));
    const batchId = await opened;
    await database.pool.query("delete from avatars.batches where id = $1", [batchId]);
    await database.pool.query("delete from avatars.instances where id = $1", [instanceId]);
    source.end(toLines(0, 10));
    expect(await receiving).toEqual({ kind: "unknown-instance" });
  });

  test("that cannot be used leaves neither a batch nor its key", async () => {
    const instanceId = await addInstance(database);
    const asker = toAsker();
    const bad = receive(asker, toWish(instanceId), toStream("name,city\n"));
    await expect(bad).rejects.toMatchObject({ code: "no-contact-column" });
    const country = receive(asker, toWish(instanceId), toStream("1", { defaultCountry: "nowhere" }));
    await expect(country).rejects.toMatchObject({ name: "UserError" });
    expect(await findBatchIds(instanceId)).toEqual([]);
    expect(await receive(asker, toWish(instanceId), toStream(toLines(0, 3)))).toMatchObject({
      kind: "accepted",
      resumed: false,
    });
  });

  test.each(["", "\n\n", "chat_id,external_ref"])(
    "in which there are no contacts is a mistake: %j",
    async (text) => {
      const instanceId = await addInstance(database);
      const asker = toAsker();
      await expect(receive(asker, toWish(instanceId), toStream(text))).rejects.toMatchObject({
        code: "no-contacts",
      });
      expect(await findBatchIds(instanceId)).toEqual([]);
    },
  );

  test("does not destroy its source, whose socket has an answer to send", async () => {
    const instanceId = await addInstance(database);
    const source = new PassThrough();
    source.write("name,city\n".repeat(10));
    await expect(receive(keyless, toWish(instanceId), toStream(source))).rejects.toMatchObject({
      code: "no-contact-column",
    });
    expect(source.destroyed).toBe(false);
  });

  test("that is cancelled while it is read ends, and takes nothing in any more", async () => {
    const instanceId = await addInstance(database);
    const source = new PassThrough();
    const { opened, open } = createGate<string>();
    const receiving = receive(toAsker(), toWish(instanceId), toStream(source, { opened: open }));
    const batchId = await opened;
    await database.pool.query("update avatars.batches set cancelled_at = now() where id = $1", [batchId]);
    source.end(toLines(0, 10));
    await expect(receiving).rejects.toMatchObject({ code: "batch-cancelled" });
    expect(await readContacts(database.pool, instanceId)).toEqual([]);
    expect(await readBatch(batchId)).toMatchObject({ complete: false, cancelled: true, accepted: 0 });
  });

  test("that must have no bad line is given up at the first one, and its key is free", async () => {
    const instanceId = await addInstance(database);
    const asker = toAsker();
    const strict = { strict: true };
    const text = toLines(0, 6_000) + "no contact\n" + toLines(6_000, 20_000);
    const bad = receive(asker, toWish(instanceId), toStream(text, strict));
    await expect(bad).rejects.toMatchObject({
      code: "bad-line",
      message: expect.stringContaining("line 6001"),
    });
    const batchId = await findOnlyBatchId(instanceId);
    expect(cancelled).toContain(batchId);
    expect(await readBatch(batchId)).toMatchObject({ accepted: 5_000, members: 5_000 });
    const result = await receive(asker, toWish(instanceId), toStream(toLines(0, 20), strict));
    expect(result).toMatchObject({ kind: "accepted", resumed: false, batch: { accepted: 20 } });
  });

  test("whose first line is bad, where none may be, leaves nothing", async () => {
    const instanceId = await addInstance(database);
    const bad = receive(toAsker(), toWish(instanceId), toStream("{}\n", { strict: true }));
    await expect(bad).rejects.toMatchObject({ code: "bad-line" });
    expect(await findBatchIds(instanceId)).toEqual([]);
  });
});

describe("a stream that is cut off", () => {
  test("does not end with less than it has already: the batch waits for the whole", async () => {
    const instanceId = await addInstance(database);
    const asker = toAsker();
    const whole = toLines(0, 12_000);
    await expect(receive(asker, toWish(instanceId), toStream(toCutStream(whole)))).rejects.toThrow();
    const other = receive(asker, toWish(instanceId), toStream(toLines(20_000, 20_010)));
    await expect(other).rejects.toMatchObject({ code: "not-the-whole" });
    const again = await receive(asker, toWish(instanceId), toStream(whole + toLines(20_000, 20_010)));
    expect(again).toMatchObject({
      kind: "accepted",
      resumed: true,
      batch: { accepted: 12_010, duplicates: 0 },
    });
  });

  const first = toLines(0, 7_000) + "no contact\n" + toLines(0, 50);
  const whole = `${first}${toLines(7_000, 16_000)}?\n`;
  const counts = { accepted: 16_000, duplicates: 50, rejected: 2 };

  test("leaves an incomplete batch; the same key goes on with it, and its counts are exact", async () => {
    const instanceId = await addInstance(database);
    const asker = toAsker();
    const cut = receive(asker, toWish(instanceId), toStream(toCutStream(first)));
    await expect(cut).rejects.toMatchObject({ code: "input-unreadable" });
    const batchId = await findOnlyBatchId(instanceId);
    expect(await readBatch(batchId)).toMatchObject({ complete: false, accepted: 7_000 });
    const result = await receive(asker, toWish(instanceId), toStream(whole));
    expect(result).toMatchObject({
      kind: "accepted",
      resumed: true,
      replayed: false,
      batch: { batchId, ...counts },
    });
    expect(await readBatch(batchId)).toMatchObject({ complete: true, members: 16_000, ...counts });
    expect(await receive(asker, toWish(instanceId), toStream(whole))).toEqual({ ...result, replayed: true });
  });

  test("is gone on with by the batch's id, whatever the key", async () => {
    const instanceId = await addInstance(database);
    const cut = receive(keyless, toWish(instanceId), toStream(toCutStream(first)));
    await expect(cut).rejects.toThrow();
    const resume = await findOnlyBatchId(instanceId);
    const asker = toAsker();
    const again = receive(asker, toWish(instanceId), toStream(toCutStream(first), { resume }));
    await expect(again).rejects.toThrow();
    // The key alone knows the batch by now.
    const result = await receive(asker, toWish(instanceId), toStream(whole));
    expect(result).toMatchObject({ resumed: true, batch: { batchId: resume, ...counts } });
    const repeated = await receive(asker, toWish(instanceId), toStream(whole, { resume }));
    expect(repeated).toEqual({ ...result, replayed: true });
  });

  test("before its first contact leaves its batch all the same", async () => {
    const instanceId = await addInstance(database);
    const asker = toAsker();
    const cut = receive(asker, toWish(instanceId), toStream(toCutStream('{"chat')));
    await expect(cut).rejects.toMatchObject({ code: "input-unreadable" });
    const batchId = await findOnlyBatchId(instanceId);
    const result = await receive(asker, toWish(instanceId), toStream(toLines(0, 3)));
    expect(result).toMatchObject({ resumed: true, batch: { batchId, accepted: 3, duplicates: 0 } });
  });

  test("by us, who stop, is gone on with too, also while it is silent", async () => {
    const instanceId = await addInstance(database);
    const asker = toAsker();
    const stop = new AbortController();
    const source = new PassThrough();
    source.write(toLines(0, 10));
    const stopped = receive(asker, toWish(instanceId), toStream(source, { signal: stop.signal }));
    await eventually(async () => expect(await findBatchIds(instanceId)).toHaveLength(1));
    await eventually(() => expect(source.readableLength).toBe(0));
    stop.abort();
    await expect(stopped).rejects.toThrow();
    const result = await receive(asker, toWish(instanceId), toStream(toLines(0, 20)));
    expect(result).toMatchObject({ resumed: true, batch: { accepted: 20, duplicates: 0 } });
  });

  test("is not gone on with by a request with other parameters", async () => {
    const instanceId = await addInstance(database);
    const otherId = await addInstance(database);
    const asker = toAsker();
    await expect(receive(asker, toWish(instanceId), toStream(toCutStream(first)))).rejects.toThrow();
    const wishes = [
      toWish(otherId),
      toWish(instanceId, { priority: 0 }),
      toWish(instanceId, { maxAgeMs: 1 }),
    ];
    for (const wish of wishes) {
      expect(await receive(asker, wish, toStream(whole))).toEqual({ kind: "other-body" });
    }
    const others = [{ column: "id" }, { strict: true }, { defaultCountry: "RU" }, { resume: randomUUID() }];
    for (const other of others) {
      expect(await receive(asker, toWish(instanceId), toStream(whole, other))).toEqual({
        kind: "other-body",
      });
    }
    expect(await findBatchIds(otherId)).toEqual([]);
  });

  test("is not gone on with by a key that has another whole request", async () => {
    const instanceId = await addInstance(database);
    const asker = toAsker();
    await expect(receive(asker, toWish(instanceId), toStream(toCutStream(first)))).rejects.toThrow();
    const whole = { ...asker, fingerprint: "body" };
    const accepting = acceptRequest(database.pool, async () => 1, whole, toWish(instanceId), [], 0);
    expect(await accepting).toEqual({ kind: "other-body" });
  });

  test("is begun anew where its batch is gone with its instance, and that is back", async () => {
    const instanceId = await addInstance(database);
    const asker = toAsker();
    await expect(receive(asker, toWish(instanceId), toStream(toCutStream("")))).rejects.toThrow();
    await database.pool.query("delete from avatars.batches where instance_id = $1", [instanceId]);
    const result = await receive(asker, toWish(instanceId), toStream(toLines(0, 3)));
    expect(result).toMatchObject({ kind: "accepted", resumed: false, batch: { accepted: 3 } });
  });
});

const resumeWith = async (
  instanceId: InstanceId,
  resume: string,
  asker: ReturnType<typeof toAsker> = toAsker(),
) => receive(asker, toWish(instanceId), toStream(toLines(0, 3), { resume }));

async function cutOff(instanceId: InstanceId, asker = toAsker()): Promise<string> {
  await expect(receive(asker, toWish(instanceId), toStream(toCutStream("")))).rejects.toThrow();
  return (await findBatchIds(instanceId)).at(-1)!;
}

describe("a batch is not gone on with", () => {
  test("that does not exist, or is of another instance", async () => {
    const instanceId = await addInstance(database);
    const otherId = await addInstance(database);
    const batchId = await cutOff(instanceId);
    expect(await resumeWith(instanceId, randomUUID())).toEqual({ kind: "not-resumable" });
    expect(await resumeWith(otherId, batchId)).toEqual({ kind: "not-resumable" });
  });

  test("that is complete, or cancelled", async () => {
    const instanceId = await addInstance(database);
    const asker = toAsker();
    const batchId = await cutOff(instanceId, asker);
    await database.pool.query("update avatars.batches set cancelled_at = now() where id = $1", [batchId]);
    expect(await resumeWith(instanceId, batchId)).toEqual({ kind: "not-resumable" });
    expect(await resumeWith(instanceId, batchId, asker)).toEqual({ kind: "not-resumable" });
    const complete = await acceptContacts(database.pool, instanceId, [toChatId(1)], { source: "api" });
    expect(await resumeWith(instanceId, complete)).toEqual({ kind: "not-resumable" });
  });

  test("that a file is still being read into, by who knows whom", async () => {
    const instanceId = await addInstance(database);
    const batchId = await acceptContacts(database.pool, instanceId, []);
    await database.pool.query("update avatars.batches set completed_intake_at = null where id = $1", [
      batchId,
    ]);
    expect(await resumeWith(instanceId, batchId)).toEqual({ kind: "not-resumable" });
  });
});

describe("a stream that is sent again with its key", () => {
  test("gets the same answer, with the same rejects, when all of it is the same", async () => {
    const instanceId = await addInstance(database);
    const asker = toAsker();
    const text = `${toLines(0, 6_000)}?\n${toLines(0, 10)}`;
    const first = await receive(asker, toWish(instanceId), toStream(text));
    const again = createReceive(database.pool, { estimate: async () => 99 });
    expect(await again(asker, toWish(instanceId), toStream(text))).toEqual({ ...first, replayed: true });
    expect(first).toMatchObject({ rejects: [{ position: 6_001 }] });
    expect(await findBatchIds(instanceId)).toHaveLength(1);
    const { rows } = await database.pool.query<{ answer: string }>(
      "select answer::text from avatars.idempotency_keys where key = $1",
      [asker.idempotencyKey],
    );
    expect(rows[0]?.answer).not.toContain("@");
  });

  test.each([
    ["one byte is another", (text: string) => text.replace("79000000005", "79000000006")],
    ["a byte is missing at the end", (text: string) => text.slice(0, -1)],
    ["there is more of it", (text: string) => `${text}\n`],
    ["it cannot be used", () => "[]"],
  ])("is another body when %s", async (_, change) => {
    const instanceId = await addInstance(database);
    const asker = toAsker();
    const text = toLines(0, 100);
    await receive(asker, toWish(instanceId), toStream(text));
    expect(await receive(asker, toWish(instanceId), toStream(change(text)))).toEqual({ kind: "other-body" });
    expect(await readContacts(database.pool, instanceId)).toHaveLength(100);
  });

  test("is another body also where only what follows its gzip is another", async () => {
    const instanceId = await addInstance(database);
    const asker = toAsker();
    const zipped = gzipSync(toLines(0, 100));
    const send = (rest: string) =>
      receive(
        asker,
        toWish(instanceId),
        toStream(Readable.from([Buffer.concat([zipped, Buffer.from(rest)])])),
      );
    // Padding ends a gzip file, and what follows it is not read.
    const first = await send("\0rest");
    expect(first).toMatchObject({ batch: { accepted: 100 } });
    expect(await send("\0rest")).toEqual({ ...first, replayed: true });
    expect(await send("\0tail")).toEqual({ kind: "other-body" });
  });

  test("is another body with other parameters, and the body need not be read for that", async () => {
    const instanceId = await addInstance(database);
    const asker = toAsker();
    await receive(asker, toWish(instanceId), toStream(toLines(0, 1)));
    const endless = new PassThrough();
    expect(await receive(asker, toWish(instanceId, { priority: 2 }), toStream(endless))).toEqual({
      kind: "other-body",
    });
  });

  test("and is cut off is neither the same nor another", async () => {
    const instanceId = await addInstance(database);
    const asker = toAsker();
    await receive(asker, toWish(instanceId), toStream(toLines(0, 100)));
    const cut = receive(asker, toWish(instanceId), toStream(toCutStream(toLines(0, 50))));
    await expect(cut).rejects.toMatchObject({ code: "input-unreadable" });
  });
});

/** A stream that has begun, in a process of its own, and goes on when the test says so. */
async function begin(asker: ReturnType<typeof toAsker>, instanceId: InstanceId, pool = database.pool) {
  const source = new PassThrough();
  const { opened, open } = createGate<string>();
  const received = createReceive(pool)(asker, toWish(instanceId), toStream(source, { opened: open }));
  received.catch(() => undefined);
  const batchId = await opened;
  return { source, received, batchId };
}

describe("while a stream is at work", () => {
  test("nobody else goes on with it, by its key or by its batch, in this process or another", async () => {
    const instanceId = await addInstance(database);
    const asker = toAsker();
    const own = createReceive();
    const source = new PassThrough();
    const { opened, open } = createGate<string>();
    const receiving = own(asker, toWish(instanceId), toStream(source, { opened: open }));
    const batchId = await opened;
    for (const process of [own, receive]) {
      expect(await process(asker, toWish(instanceId), toStream(""))).toEqual({ kind: "in-progress" });
      const resume = toStream("", { resume: batchId });
      expect(await process(toAsker(), toWish(instanceId), resume)).toEqual({ kind: "in-progress" });
      expect(await process(keyless, toWish(instanceId), resume)).toEqual({ kind: "in-progress" });
    }
    const whole = { ...asker, fingerprint: "body" };
    const accepting = acceptRequest(database.pool, async () => 1, whole, toWish(instanceId), [], 0);
    expect(await accepting).toEqual({ kind: "in-progress" });
    source.end(toLines(0, 3));
    expect(await receiving).toMatchObject({ batch: { accepted: 3 } });
    expect(await findLockPids()).toEqual([]);
  });

  test("others of its process go on when one ends", async () => {
    const instanceId = await addInstance(database);
    const own = createReceive();
    const sources = Array.from({ length: 20 }, () => new PassThrough());
    const askers = sources.map(() => toAsker());
    const all = sources.map((source, n) => own(askers[n]!, toWish(instanceId), toStream(source)));
    await eventually(async () => expect(await findBatchIds(instanceId)).toHaveLength(20));
    // All of them by one connection.
    expect(await findLockPids()).toHaveLength(1);
    sources[0]?.end(toLines(0, 1));
    await all[0];
    expect(await receive(askers[1]!, toWish(instanceId), toStream(""))).toEqual({ kind: "in-progress" });
    for (const [n, source] of sources.entries()) source.end(toLines(n, n + 2));
    expect(await Promise.all(all)).toHaveLength(20);
    expect(await findLockPids()).toEqual([]);
  });

  test("the loss of its locks does not end it", async () => {
    const instanceId = await addInstance(database);
    const asker = toAsker();
    const { source, received, batchId } = await begin(asker, instanceId);
    source.write(toLines(0, 6_000));
    await eventually(async () => expect(await readBatch(batchId)).toMatchObject({ accepted: 5_000 }));
    await killLockHolder();
    source.write(toLines(6_000, 12_000));
    // Taken again with the next chunk.
    await eventually(async () => expect(await readBatch(batchId)).toMatchObject({ accepted: 10_000 }));
    await eventually(async () => expect(await findLockPids()).toHaveLength(1));
    expect(await receive(asker, toWish(instanceId), toStream(""))).toEqual({ kind: "in-progress" });
    await killLockHolder();
    source.end();
    expect(await received).toMatchObject({ kind: "accepted", batch: { accepted: 12_000, duplicates: 0 } });
    expect(await findLockPids()).toEqual([]);
  });

  test("it ends, incomplete, where its locks were lost and another request has got them", async () => {
    const instanceId = await addInstance(database);
    const asker = toAsker();
    const { source, received, batchId } = await begin(asker, instanceId);
    await killLockHolder();
    const other = await begin(asker, instanceId);
    expect(other.batchId).toBe(batchId);
    source.end(toLines(0, 10));
    const error: unknown = await received.catch((error: unknown) => error);
    expect(isTransient(error)).toBe(true);
    expect(await readBatch(batchId)).toMatchObject({ complete: false });
    other.source.end(toLines(0, 20));
    expect(await other.received).toMatchObject({ resumed: true, batch: { accepted: 20, duplicates: 0 } });
    expect(await readBatch(batchId)).toMatchObject({
      complete: true,
      accepted: 20,
      members: 20,
      duplicates: 0,
    });
  });

  test("it is gone on with at once when its process has died, however lately it has sent something", async () => {
    const instanceId = await addInstance(database);
    const asker = toAsker();
    const { source, batchId } = await begin(asker, instanceId);
    source.write(toLines(0, 6_000));
    await eventually(async () => expect(await readBatch(batchId)).toMatchObject({ accepted: 5_000 }));
    await killLockHolder();
    // A lease would refuse it now, for as long as the slowest upload may take for a chunk.
    const resumed = await receive(asker, toWish(instanceId), toStream(toLines(0, 6_000)));
    expect(resumed).toMatchObject({ resumed: true, batch: { batchId, accepted: 6_000, duplicates: 0 } });
  });

  test("it ends where its locks were lost and another request has ended the batch", async () => {
    const instanceId = await addInstance(database);
    const asker = toAsker();
    const { source, received, batchId } = await begin(asker, instanceId);
    await killLockHolder();
    const other = await receive(asker, toWish(instanceId), toStream(toLines(0, 20)));
    expect(other).toMatchObject({ resumed: true, batch: { batchId, accepted: 20 } });
    source.end(toLines(0, 30));
    const error: unknown = await received.catch((error: unknown) => error);
    expect(isTransient(error)).toBe(true);
    expect(await readBatch(batchId)).toMatchObject({
      complete: true,
      accepted: 20,
      members: 20,
      duplicates: 0,
    });
  });

  test("a chunk for a batch that is complete is refused", async () => {
    const instanceId = await addInstance(database);
    const batchId = await acceptContacts(database.pool, instanceId, [toChatId(1)]);
    const chunk = [{ chatId: toChatId(2), externalRef: undefined, position: 1 }];
    await expect(acceptChunk(database.pool, batchId, chunk)).rejects.toMatchObject({
      code: "batch-complete",
    });
    expect(await readContacts(database.pool, instanceId)).toHaveLength(1);
  });
});

test.each<[string, Cut]>([
  ["do not arrive", "before"],
  ["arrive, and their answers do not", "after"],
])("a stream whose commits %s ends with exact counts all the same", async (_, cut) => {
  const instanceId = await addInstance(database);
  const cutter = await openCommitCutter(database.url);
  const behind = await openDatabase({ url: cutter.url, maxConnections: 4 });
  onTestFinished(async () => {
    await behind.close();
    await cutter.close();
  });
  // The batch, two chunks, the end: each once, for all four at the first of them would use up the time that it is tried for.
  cutter.cut(cut, "none", cut, "none", cut, "none", cut);
  const asker = toAsker();
  const text = `${toLines(0, 6_000)}?\n${toLines(0, 10)}`;
  const result = await createReceive(behind.pool)(asker, toWish(instanceId), toStream(text));
  const counts = { accepted: 6_000, duplicates: 10, rejected: 1 };
  const batchId = await findOnlyBatchId(instanceId);
  expect(result).toMatchObject({ kind: "accepted", replayed: false, batch: { batchId, ...counts } });
  expect(cutter.countLeft()).toBe(0);
  expect(await readBatch(batchId)).toMatchObject({ complete: true, members: 6_000, ...counts });
  expect(await receive(asker, toWish(instanceId), toStream(text))).toEqual({ ...result, replayed: true });
});
