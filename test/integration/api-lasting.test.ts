import { randomUUID } from "node:crypto";
import { connect } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openApiStage, type ApiStage } from "../support/api-stage.ts";
import { eventually } from "../support/eventually.ts";
import { makeChats } from "../support/stage.ts";

const instanceId = "1101000001";

let stage: ApiStage;
let batchId: string;

beforeAll(async () => {
  stage = await openApiStage();
  await stage.addInstance(instanceId);
  const answer = await stage.call("/v1/batches", {
    method: "POST",
    json: { instanceId, chatIds: makeChats(3) },
  });
  batchId = String(answer.json()["id"]);
});
afterAll(() => stage.close());

/** Sends a whole request, and hangs up without waiting for a word. */
async function sendAndLeave(path: string, requestId: string): Promise<void> {
  const { hostname, port } = new URL(stage.url);
  const socket = connect(Number(port), hostname);
  await new Promise<void>((resolve) => {
    socket.on("error", () => undefined);
    socket.on("close", () => resolve());
    socket.on("connect", () => {
      const head = `GET ${path} HTTP/1.1\r\nHost: x\r\nX-Request-Id: ${requestId}\r\nAuthorization: Bearer ${stage.key}\r\n\r\n`;
      socket.write(head, () => socket.destroy());
    });
  });
}

test.each(["results.csv", "results.ndjson", "events"])(
  "readers of %s who leave at once take no place for good, and are told of",
  async (what) => {
    const path = `/v1/batches/${batchId}/${what}`;
    const requestIds = Array.from({ length: 30 }, (): string => randomUUID());
    for (const requestId of requestIds) await sendAndLeave(path, requestId);
    // Who was too quick to be a request is nobody.
    const isTold = () => {
      const told = stage.records.filter(({ requestId }) => requestIds.includes(requestId));
      return told.length > 0 && told.every(({ route }) => route === `/v1/batches/:id/${what}`);
    };
    await eventually(async () => expect(isTold()).toBe(true));
    await eventually(async () => {
      // As many as one key may have.
      const open = await Promise.all([1, 2].map(async () => stage.open(path)));
      for (const response of open) response.destroy();
      expect(open.map(({ statusCode }) => statusCode)).toEqual([200, 200]);
    });
    // Some came while all places were taken.
    expect(stage.failures.filter(({ problem }) => problem !== "unavailable")).toEqual([]);
  },
);

test("what a request asks for is never left out without a word", async () => {
  const json = { instanceId, chatIds: makeChats(1) };
  for (const query of ["strct=true", "label=july", "maxAge=0", "instanceId=1101000001", "resume=x"]) {
    const { status, text } = await stage.call(`/v1/batches?${query}`, { method: "POST", json });
    expect([status, text.includes("query")], query).toEqual([400, true]);
  }
  expect((await stage.call("/v1/batches?limt=1")).status).toBe(400);
  const zipped = { "content-type": "text/csv", "content-encoding": "br" };
  const answer = await stage.call(`/v1/batches?instanceId=${instanceId}`, {
    method: "POST",
    headers: zipped,
    body: "79001234567",
  });
  expect(answer.status).toBe(415);
});

test("a URL of one's own does not get the token", async () => {
  const change = (json: unknown) => stage.call(`/v1/instances/${instanceId}`, { method: "PATCH", json });
  const { apiUrl } = (await stage.call(`/v1/instances/${instanceId}`)).json() as { apiUrl: string };
  const refused = await change({ apiUrl: "http://127.0.0.1:9/mine" });
  expect([refused.status, refused.json()["errors"]]).toMatchObject([400, [{ path: "/token" }]]);
  expect((await change({ apiUrl: `${apiUrl}/`, label: "same" })).json()).toMatchObject({
    apiUrl,
    label: "same",
  });
  const withSecret = await change({ apiUrl: "http://user:secret@127.0.0.1:9", token: "new" });
  expect([withSecret.status, withSecret.text.includes("secret")]).toEqual([400, false]);
  const moved = await change({ apiUrl: "http://127.0.0.1:9", token: "new" });
  expect([moved.status, moved.json()["apiUrl"]]).toEqual([200, "http://127.0.0.1:9"]);
});
