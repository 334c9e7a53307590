import { randomUUID } from "node:crypto";
import { PassThrough, Readable } from "node:stream";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { type ApiAnswer, type ApiCall } from "../support/api-call.ts";
import { openApiStage, type ApiStage } from "../support/api-stage.ts";
import { eventually } from "../support/eventually.ts";
import { makeChats } from "../support/stage.ts";

const instanceId = "1101000001";
const ndjson = "application/x-ndjson";

let stage: ApiStage;

beforeAll(async () => {
  stage = await openApiStage();
  await stage.addInstance(instanceId);
});
afterAll(() => stage.close());

type Query = Readonly<Record<string, string>>;

function send(
  body: string | Buffer | Readable,
  { query = {}, type = ndjson, key, ...call }: ApiCall & { query?: Query; type?: string } = {},
): Promise<ApiAnswer> {
  const search = new URLSearchParams({ instanceId, ...query });
  return stage.call(`/v1/batches?${search.toString()}`, {
    method: "POST",
    body,
    ...call,
    headers: { "content-type": type, ...(key !== undefined && { "idempotency-key": key }) },
  });
}

const toLines = (chatIds: readonly string[]) => chatIds.map((chatId) => `{"chatId":"${chatId}"}\n`).join("");

/** More than one chunk that is committed. */
const many = makeChats(12_000);
const half = toLines(many.slice(0, 7_000));

/** Sends `text`, waits until a part of it is in the database, and hangs up. */
async function cutOff(
  text: string,
  { query = {}, key }: { query?: Query; key?: string } = {},
): Promise<string> {
  const label = randomUUID();
  const body = new PassThrough();
  const sent = send(body, { query: { ...query, label }, ...(key !== undefined && { key }) });
  body.write(text);
  const id = await eventually(async () => {
    const { rows } = await stage.database.pool.query<{ id: string }>(
      "select id from avatars.batches b where label = $1 and exists (select from avatars.batch_members where batch_id = b.id)",
      [label],
    );
    expect(rows).toHaveLength(1);
    return rows[0]!.id;
  });
  body.destroy(new Error("cut off"));
  await expect(sent).rejects.toThrow();
  labels.set(id, label);
  return id;
}

const labels = new Map<string, string>();

async function getBatch(id: string): Promise<Record<string, unknown>> {
  return (await stage.call(`/v1/batches/${id}`)).json();
}

async function readItems(id: string) {
  const { rows } = await stage.database.pool.query<{ chat_id: string; external_ref: string | null }>(
    `select c.chat_id, c.external_ref from avatars.batch_members m join avatars.contacts c on c.id = m.contact_id
     where m.batch_id = $1 order by m.position`,
    [id],
  );
  return rows.map(({ chat_id, external_ref }) => [chat_id, external_ref]);
}

async function countBatches(): Promise<number> {
  return (await stage.database.pool.query("select from avatars.batches")).rows.length;
}

describe("a stream", () => {
  const [one = "", two = ""] = makeChats(2, 50_000);
  const csv = `name,chat_id,external_ref\n"Łee, ""A""",${one},1\nB,${two},é\nC,nobody,3\n`;

  test.each([
    [
      "NDJSON",
      ndjson,
      `{"chatId":"${one}","external_ref":"1"}\n{"chat_id":"${two}","ref":"é"}\n{"chatId":"nobody"}\n`,
    ],
    ["CSV", "text/csv", csv],
    ["CSV with a charset", "text/csv; charset=utf-8", csv],
    ["CSV of a spreadsheet", "text/csv", Buffer.from(`\ufeff${csv.replaceAll(",", "\t")}`, "utf16le")],
    ["gzipped CSV", "text/csv", gzipSync(csv)],
  ])("of %s is a batch, with what was no contact named", async (_, type, body) => {
    const answer = await send(body, { type, query: { label: "july", priority: "2", maxAge: "12h" } });
    expect(answer.status).toBe(202);
    const { id, rejects } = answer.json();
    expect(answer.json()).toMatchObject({
      counts: { accepted: 2, duplicates: 0, rejected: 1 },
      resumed: false,
    });
    expect(rejects).toEqual([
      {
        line: expect.any(Number),
        text: expect.stringContaining("nobody"),
        reason: `"nobody" is neither a phone number nor a chat id`,
      },
    ]);
    expect(answer.headers.location).toBe(`/v1/batches/${String(id)}`);
    expect(await readItems(String(id))).toEqual([
      [one, "1"],
      [two, "é"],
    ]);
    const batch = await getBatch(String(id));
    expect(batch).toMatchObject({ label: "july", priority: 2, source: "api", rejected: 1 });
    const ageMs = Date.parse(String(batch["requestedAt"])) - Date.parse(String(batch["freshAfter"]));
    expect(ageMs).toBe(12 * 3_600_000);
  });

  test("of plain lines needs no header, and may have phone numbers of a country", async () => {
    const answer = await send("0171 2345678\n+7 900 123-45-67\n", {
      type: "text/plain",
      query: { defaultCountry: "de" },
    });
    expect(await readItems(String(answer.json()["id"]))).toEqual([
      ["491712345678@c.us", null],
      ["79001234567@c.us", null],
    ]);
  });

  test("may call its columns what it likes", async () => {
    const answer = await send(`{"whom":"${one}","mine":"x"}\n`, {
      query: { column: "whom", refColumn: "mine" },
    });
    expect(await readItems(String(answer.json()["id"]))).toEqual([[one, "x"]]);
  });

  test("that is empty is refused, or a batch of nobody, and needs an instance", async () => {
    const empty = await send("");
    expect([202, 422]).toContain(empty.status);
    const path = "/v1/batches";
    const headers = { "content-type": ndjson };
    const nowhere = await stage.call(path, { method: "POST", headers, body: toLines([one]) });
    expect([nowhere.status, nowhere.json()["errors"]]).toEqual([
      400,
      [{ path: "query/instanceId", message: expect.any(String) }],
    ]);
  });

  test.each([
    ["an Excel workbook", Buffer.from("504b0304140000000800", "hex")],
    ["damaged gzip", Buffer.concat([gzipSync(toLines(many)).subarray(0, 200), Buffer.alloc(400, 7)])],
    ["a table without a column of chats", "a,b\nx,y\n"],
  ])("that is %s is refused, and leaves nothing", async (_, body) => {
    const before = await countBatches();
    const key = randomUUID();
    const answer = await send(body, { type: "text/csv", key });
    expect([answer.status, answer.json()["code"]]).toEqual([422, "unusable-input"]);
    expect(await countBatches()).toBe(before);
    expect((await send(toLines([one]), { key })).status).toBe(202);
  });

  test("whose gzip ends too early keeps what it has, and goes on with the whole", async () => {
    const whole = gzipSync(toLines(many));
    const key = randomUUID();
    const answer = await send(whole.subarray(0, whole.length / 2), { key });
    expect([answer.status, answer.json()["code"]]).toEqual([422, "unusable-input"]);
    const id = answer.json()["batchId"];
    expect(await getBatch(String(id))).toMatchObject({ state: "incomplete" });
    const resumed = await send(whole, { key });
    expect(resumed.json()).toMatchObject({
      id,
      resumed: true,
      counts: { accepted: many.length, duplicates: 0 },
    });
  });

  test("that must be strict ends at the first line that is none, and nobody of it is asked", async () => {
    const key = randomUUID();
    const good = many.slice(0, 6_000);
    const answer = await send(`${toLines(good)}{"chatId":"nobody"}\n`, { query: { strict: "true" }, key });
    expect([answer.status, answer.json()["code"]]).toEqual([422, "invalid-contacts"]);
    expect(answer.json()["detail"]).toContain("line 6001");
    const { batchId } = answer.json();
    expect(await getBatch(String(batchId))).toMatchObject({ state: "cancelled", counts: { pending: 0 } });
    // The key is free for the corrected input.
    const corrected = await send(toLines(good), { query: { strict: "true" }, key });
    expect(corrected.json()).toMatchObject({ counts: { accepted: 6_000 }, resumed: false });
  });

  test("is answered, if it is refused, while it is still being sent", async () => {
    const body = Readable.from(
      (function* () {
        for (;;) yield toLines(many);
      })(),
    );
    onTestFinished(() => void body.destroy());
    const answer = await stage.call(`/v1/batches?instanceId=999`, {
      method: "POST",
      headers: { "content-type": ndjson },
      body,
    });
    expect([answer.status, answer.json()["code"]]).toEqual([404, "not-found"]);
  });
});

describe("a stream that was cut off in its middle", () => {
  test("leaves a batch that is seen to be incomplete, and goes on with its Idempotency-Key", async () => {
    const key = `"${randomUUID()}"`;
    const id = await cutOff(half, { key });
    expect(await getBatch(id)).toMatchObject({ state: "incomplete", completedIntakeAt: null });
    const listed = await stage.call(`/v1/batches?state=incomplete&instanceId=${instanceId}`);
    expect(listed.text).toContain(id);
    const query = { label: labels.get(id)! };
    const resumed = await eventually(async () => {
      const answer = await send(toLines(many), { key, query });
      // Until the server has noticed that the first sender is gone.
      if (answer.status === 409) expect(answer.headers["retry-after"]).toBe("1");
      expect(answer.status).toBe(202);
      return answer;
    });
    expect(resumed.json()).toMatchObject({
      id,
      resumed: true,
      counts: { accepted: many.length, duplicates: 0, rejected: 0 },
    });
    expect(await readItems(id)).toHaveLength(many.length);
    expect(await getBatch(id)).toMatchObject({ state: "working", accepted: many.length });

    const again = await send(toLines(many), { key, query });
    expect([again.status, again.headers["idempotency-replayed"]]).toEqual([202, "true"]);
    expect(again.json()).toEqual(resumed.json());
    for (const [body, other] of [
      [toLines(many.slice(1)), query],
      [toLines(many), { ...query, priority: "0" }],
    ] as const) {
      const refused = await send(body, { key, query: other });
      expect([refused.status, refused.json()["code"]]).toEqual([422, "idempotency-key-reused"]);
    }
  });

  test("goes on by the batch's id, and not once more", async () => {
    const id = await cutOff(half);
    const query = { label: labels.get(id)!, resume: id };
    const resumed = await eventually(async () => {
      const answer = await send(toLines(many), { query });
      expect(answer.status).toBe(202);
      return answer;
    });
    expect(resumed.json()).toMatchObject({ id, resumed: true, counts: { accepted: many.length } });
    const again = await send(toLines(many), { query });
    expect([again.status, again.json()["code"]]).toEqual([409, "conflict"]);
    const nobodys = await send(toLines(many), { query: { resume: randomUUID() } });
    expect([nobodys.status, nobodys.json()["code"]]).toEqual([404, "not-found"]);
  });

  test("may be cancelled instead", async () => {
    const id = await cutOff(half);
    const cancelled = await stage.call(`/v1/batches/${id}/cancel`, { method: "POST" });
    expect(cancelled.status).toBe(200);
    expect(await getBatch(id)).toMatchObject({ state: "cancelled", counts: { pending: 0 } });
  });
});
