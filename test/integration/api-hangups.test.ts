import { randomInt } from "node:crypto";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createRandomOf } from "../../src/simulator/outcomes/random.ts";
import { openApiStage, type ApiStage } from "../support/api-stage.ts";
import { eventually } from "../support/eventually.ts";
import { connectRaw } from "../support/raw-exchange.ts";
import { makeChats } from "../support/stage.ts";
import { toWorkbook } from "../support/workbook.ts";

/** Set AVATARS_TEST_SEED to repeat where the requests are cut. */
const seed = Number(process.env["AVATARS_TEST_SEED"] ?? randomInt(2 ** 31));
const instanceId = "1101000001";
const uploadPath = `/v1/batches?instanceId=${instanceId}`;
const chats = makeChats(12_000);
const numbers = chats.map((chatId) => chatId.replace("@c.us", ""));
const lines = `phone\n${numbers.join("\n")}\n`;
const ndjson = chats.map((chatId) => `{"chatId":"${chatId}"}\n`).join("");
const cards = numbers.map((number) => `BEGIN:VCARD\r\nTEL:+${number}\r\nEND:VCARD\r\n`).join("");
const workbook = toWorkbook({ name: "S", rows: [["Phone"], ...numbers.map((number) => [Number(number)])] });
const json = JSON.stringify({ instanceId, chatIds: chats.slice(0, 5_000) });

let stage: ApiStage;

beforeAll(async () => {
  stage = await openApiStage();
  await stage.addInstance(instanceId);
});
afterAll(() => stage.close());

interface Cut {
  readonly id: string;
  readonly path: string;
  readonly type: string;
  readonly body: Buffer;
  readonly isChunked: boolean;
  /** Bytes of the body that are sent before the connection is cut. */
  readonly at: number;
  /** Without a goodbye. */
  readonly isReset: boolean;
}

/** Sends so much of a request, waits until some of it may have been read, and hangs up. */
async function sendAndCut({ id, path, type, body, isChunked, at, isReset }: Cut): Promise<void> {
  const socket = await connectRaw(stage.url);
  const length = isChunked ? "Transfer-Encoding: chunked" : `Content-Length: ${body.length}`;
  socket.write(
    `POST ${path} HTTP/1.1\r\nHost: x\r\nX-Request-Id: ${id}\r\nAuthorization: Bearer ${stage.key}\r\nContent-Type: ${type}\r\n${length}\r\n\r\n`,
  );
  const sent = body.subarray(0, at);
  if (isChunked && at > 0) socket.write(`${at.toString(16)}\r\n`);
  await new Promise((resolve) => socket.write(sent, resolve));
  const closed = new Promise((resolve) => socket.once("close", resolve));
  if (isReset) socket.resetAndDestroy();
  else socket.destroy();
  await closed;
}

const findRecord = async (id: string) =>
  eventually(() => {
    const record = stage.records.find(({ requestId }) => requestId === id);
    if (record === undefined) throw new Error(`nothing was told of ${id}`);
    return record;
  });

test(`however many uploads are cut, and wherever, it is no error of ours (seed ${seed})`, async () => {
  const kinds = [
    [uploadPath, "text/csv", lines],
    [uploadPath, "text/csv", gzipSync(lines)],
    [uploadPath, "application/x-ndjson", ndjson],
    [uploadPath, "text/vcard", cards],
    [uploadPath, "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", workbook],
    ["/v1/batches", "application/json", json],
  ] as const;
  const random = createRandomOf("cuts", seed);
  const cuts = Array.from({ length: 80 }, (_, index): Cut => {
    const [path, type, content] = kinds[index % kinds.length]!;
    const body = Buffer.from(content);
    return {
      id: `cut-${index}`,
      path,
      type,
      body,
      isChunked: random() < 0.5,
      at: Math.floor(random() ** 2 * body.length),
      isReset: random() < 0.5,
    };
  });
  const queue = [...cuts];
  const client = async () => {
    for (let cut = queue.pop(); cut; cut = queue.pop()) {
      await sendAndCut(cut);
      const record = await findRecord(cut.id);
      // Turned away: its key has two uploads at once, and what is behind the others is being saved still.
      if (record.status === 429) queue.push({ ...cut, id: `${cut.id}+` });
    }
  };
  await Promise.all([client(), client()]);
  const told = stage.records.filter(({ requestId }) => requestId.startsWith("cut-"));
  const statuses = told.map(({ status }) => status).filter((status) => status !== 429);
  expect(statuses).toEqual(cuts.map(() => 499));
  expect(stage.failures).toEqual([]);
  // All places are free again.
  const headers = { "content-type": "text/csv" };
  await eventually(async () => {
    const both = [lines, lines].map(async (body) =>
      stage.call(uploadPath, { method: "POST", headers, body }),
    );
    expect((await Promise.all(both)).map(({ status }) => status)).toEqual([202, 202]);
  });
});

test("nor is a reader who goes in the middle of an answer", async () => {
  const batch = await stage.call("/v1/batches", {
    method: "POST",
    json: { instanceId, chatIds: chats.slice(0, 9_000) },
  });
  const path = `/v1/batches/${String(batch.json()["id"])}`;
  for (const what of ["results.csv", "results.ndjson", "events", "items?limit=1000"]) {
    for (let count = 0; count < 5; count += 1) {
      const before = stage.records.length;
      const response = await stage.open(`${path}/${what}`);
      response.destroy();
      await eventually(() => expect(stage.records.length).toBeGreaterThan(before));
    }
  }
  expect(stage.failures).toEqual([]);
});
