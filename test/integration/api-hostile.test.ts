import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { openApiStage, type ApiStage } from "../support/api-stage.ts";
import type { ApiAnswer, ApiCall } from "../support/api-call.ts";

const instanceId = "1101000001";
const csv = { "content-type": "text/csv" };
const upload = `/v1/batches?instanceId=${instanceId}`;

let stage: ApiStage;

beforeAll(async () => {
  stage = await openApiStage();
  await stage.addInstance(instanceId);
});
afterAll(() => stage?.close());

const post = (path: string, call: ApiCall) => stage.call(path, { method: "POST", ...call });

/** How often somebody else was answered until `answer` came, and that. */
async function callMeanwhile(answer: Promise<ApiAnswer>): Promise<[others: number, answer: ApiAnswer]> {
  const state = { isAnswered: false };
  const settled = answer.finally(() => (state.isAnswered = true));
  let others = 0;
  while (!state.isAnswered) {
    const { status } = await stage.call("/healthz");
    if (status === 200 && !state.isAnswered) others += 1;
  }
  return [others, await settled];
}

describe("another caller is answered while", () => {
  test("2 KiB of gzip unzip to quotes that never close", async () => {
    // Read from outside or from inside a quoted field, the line leaves one open.
    const body = gzipSync(`phone,ref\n${'x","""\n'.repeat(150_000)}`);
    expect(body.length).toBeLessThan(2_048);
    const [others, answer] = await callMeanwhile(post(upload, { body, headers: csv }));
    expect(answer.status).toBe(202);
    expect(answer.json()["counts"]).toEqual({ accepted: 0, duplicates: 0, rejected: 150_000 });
    expect(others).toBeGreaterThan(20);
  });

  test("thousands of near misses of a contact are read from one body", async () => {
    const chatIds = Array.from({ length: 8_300 }, (_, index) => `1${"'".repeat(980)}x${index}`);
    // It takes a moment: on a busy machine the other caller may come just before or after it.
    await eventually(async () => {
      const [others, answer] = await callMeanwhile(post("/v1/batches", { json: { instanceId, chatIds } }));
      expect([answer.status, answer.json()["counts"]]).toEqual([
        202,
        { accepted: 0, duplicates: 0, rejected: 8_300 },
      ]);
      expect(others).toBeGreaterThan(0);
    });
  });
});

describe("what would take long to read is refused before it is read:", () => {
  /** Nearly all different: reading half as many as the name of a host takes minutes. */
  const host = Array.from({ length: 20_000 }, (_, at) => String.fromCodePoint(0x4e00 + at))
    .join("")
    .repeat(100);

  test.each([
    ["callbackUrl", "POST", "/v1/batches", { instanceId, chatIds: ["79001234567"] }],
    ["apiUrl", "PATCH", `/v1/instances/${instanceId}`, {}],
  ])("%s with a host of two million characters", async (name, method, path, others) => {
    const answer = await stage.call(path, { method, json: { ...others, [name]: `http://${host}` } });
    expect([answer.status, answer.json()["errors"]]).toEqual([
      400,
      [{ path: `/${name}`, message: "Too big: expected string to have <=2000 characters" }],
    ]);
  });

  test("half a million keys", async () => {
    const keys = Array.from({ length: 500_000 }, (_, index) => `"k${index}":1`);
    const answer = await post("/v1/batches", {
      body: `{${keys.join(",")}}`,
      headers: { "content-type": "application/json" },
    });
    expect([answer.status, answer.json()["code"]]).toEqual([413, "body-too-large"]);
    expect(answer.json()["detail"]).toContain("more than 100000 keys and values");
  });

  test.each([
    ["lists", "[", 4_000_000],
    ["objects", '{"a":', 1_000_000],
  ])("%s within each other", async (_, text, count) => {
    for (const path of ["/v1/batches", "/v1/contacts/lookup"]) {
      const answer = await post(path, {
        body: text.repeat(count),
        headers: { "content-type": "application/json" },
      });
      expect([answer.status, answer.json()["code"]]).toEqual([400, "malformed-body"]);
      expect(answer.json()["detail"]).toContain("nested more than 32 deep");
    }
  });

  test("64 MiB of line ends in 64 KiB", async () => {
    const body = gzipSync(Buffer.alloc(64 * 1024 * 1024, "\n"));
    const answer = await post(upload, { body, headers: csv });
    expect([answer.status, answer.json()["code"]]).toEqual([422, "unusable-input"]);
    expect(answer.json()["detail"]).toContain("unzips to more than 400 times its size, seen after 4 MiB");
  });
});

async function refuse(json: unknown, path = "/v1/batches"): Promise<ApiAnswer> {
  const answer = await post(path, { json });
  expect([answer.status, answer.json()["code"]]).toEqual([400, "invalid-request"]);
  return answer;
}

describe("a refusal is short, whatever was sent:", () => {
  test("unknown keys by the thousand are counted", async () => {
    const keys = Object.fromEntries(Array.from({ length: 20_000 }, (_, index) => [`k${index}`, 1]));
    for (const path of ["/v1/batches", "/v1/contacts/lookup"]) {
      const { text } = await refuse({ instanceId, chatIds: ["79001234567"], ...keys }, path);
      expect(text).toContain("and 19995 more");
      expect(text.length).toBeLessThan(1_000);
    }
  });

  test("a key of a megabyte is cut", async () => {
    for (const path of ["/v1/batches", "/v1/contacts/lookup"]) {
      const { text } = await refuse({ instanceId, chatIds: ["1"], ["k".repeat(1_000_000)]: 1 }, path);
      expect(text.length).toBeLessThan(1_000);
    }
  });

  test("a fault in each of thousands of items is told for a hundred", async () => {
    const contacts = Array.from({ length: 9_000 }, () => ({ ["é".repeat(300)]: 1 }));
    const answer = await refuse({ instanceId, contacts });
    const errors = answer.json()["errors"] as { path: string; message: string }[];
    expect(errors).toHaveLength(100);
    expect(Math.max(...errors.map(({ message }) => message.length))).toBeLessThanOrEqual(200);
    expect(answer.json()["detail"]).toContain("and 8999 more");
    expect(answer.text.length).toBeLessThan(50_000);
  });
});
