import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ApiAnswer } from "../support/api-call.ts";
import { openApiStage, type ApiStage } from "../support/api-stage.ts";
import { makeChats } from "../support/stage.ts";

const token = "d75b3a66374942c5b3c019c698abc2067e151558acbd412345";
const other = "a0000000000000000000000000000000000000000000000001";

let stage: ApiStage;

beforeAll(async () => {
  stage = await openApiStage();
});
afterAll(() => stage.close());

const wish = (id: string) => ({ id, apiUrl: "https://7103.api.greenapi.com", token });

const send = (method: string, path: string, json?: unknown): Promise<ApiAnswer> =>
  stage.call(`/v1/instances${path}`, { method, ...(json !== undefined && { json }) });

async function enqueue(instanceId: string): Promise<string> {
  const answer = await stage.call("/v1/batches", {
    method: "POST",
    json: { instanceId, chatIds: makeChats(3) },
  });
  expect(answer.status).toBe(202);
  return String(answer.json()["id"]);
}

describe("an instance", () => {
  test("is added, read, changed and removed, and no answer ever holds its token", async () => {
    const id = "1101000001";
    const answers: ApiAnswer[] = [];
    const keep = async (sent: Promise<ApiAnswer>) => {
      const answer = await sent;
      answers.push(answer);
      return [answer.status, answer.body.length > 0 ? answer.json() : undefined];
    };
    const added = {
      id,
      apiUrl: "https://7103.api.greenapi.com",
      label: null,
      requestsPerSecond: null,
      maxInFlight: null,
      resyncShare: null,
      resyncDayShare: null,
      callsPerDay: null,
      callsToday: null,
      quietHours: null,
      quietInteractive: false,
      timeZone: null,
      carePause: null,
      state: "active",
      heldReason: null,
      heldSince: null,
      heldUntil: null,
      stateSeen: null,
      stateSeenAt: null,
      remark: null,
      hookSetAt: null,
    };
    expect(await keep(send("POST", "", wish(id)))).toEqual([201, added]);
    expect(answers[0]?.headers.location).toBe(`/v1/instances/${id}`);
    expect(await keep(send("POST", "", { ...wish(id), token: other }))).toMatchObject([
      409,
      { code: "conflict" },
    ]);
    expect(await keep(send("GET", `/${id}`))).toEqual([200, added]);
    const changes = {
      label: "Łee",
      requestsPerSecond: 7.5,
      maxInFlight: 20,
      resyncShare: 0.5,
      resyncDayShare: 0,
    };
    expect(await keep(send("PATCH", `/${id}`, changes))).toEqual([200, { ...added, ...changes }]);
    expect(await keep(send("PATCH", `/${id}`, {}))).toEqual([200, { ...added, ...changes }]);
    expect(await keep(send("PATCH", `/${id}`, { label: null, token: other }))).toEqual([
      200,
      { ...added, ...changes, label: null },
    ]);
    expect(await keep(send("POST", `/${id}/pause`))).toMatchObject([200, { state: "paused" }]);
    expect(await keep(send("POST", `/${id}/resume`))).toMatchObject([200, { state: "active" }]);
    expect(await keep(send("GET", ""))).toMatchObject([200, { items: [{ id }] }]);
    expect(await keep(send("PATCH", `/${id}`, { token, unknown: 1 }))).toMatchObject([400, {}]);
    expect(await keep(send("PATCH", `/${id}`, { token: 7 }))).toMatchObject([400, {}]);
    expect(await keep(send("POST", "", { ...wish("x"), label: token }))).toMatchObject([400, {}]);
    expect(await keep(send("DELETE", `/${id}`))).toEqual([204, undefined]);
    for (const path of [`/${id}`, `/${id}?contacts=erase`]) {
      expect(await keep(send(path.includes("?") ? "DELETE" : "GET", path))).toMatchObject([404, {}]);
    }
    for (const secret of [token, other]) {
      for (const { text } of answers) expect(text).not.toContain(secret);
    }
    const { rows } = await stage.database.pool.query<{ row: string }>(
      "select i::text as row from avatars.instances i",
    );
    for (const { row } of rows) expect(row).not.toContain(token);
  });

  test("with contacts is removed only with them", async () => {
    const id = "1101000002";
    await send("POST", "", wish(id));
    const batchId = await enqueue(id);
    const refused = await send("DELETE", `/${id}`);
    expect([refused.status, refused.json()["code"]]).toEqual([409, "conflict"]);
    expect((await send("DELETE", `/${id}?contacts=all`)).status).toBe(400);
    expect((await send("GET", `/${id}`)).json()).toMatchObject({ state: "active" });
    expect((await send("DELETE", `/${id}?contacts=erase`)).status).toBe(204);
    for (const path of [`/v1/instances/${id}`, `/v1/batches/${batchId}`]) {
      expect((await stage.call(path)).status).toBe(404);
    }
    const { rows } = await stage.database.pool.query("select from avatars.contacts where instance_id = $1", [
      id,
    ]);
    expect(rows).toEqual([]);
  });

  test.each([
    ["requestsPerSecond", 0],
    ["requestsPerSecond", 10_001],
    ["requestsPerSecond", "10"],
    ["resyncShare", -0.1],
    ["resyncDayShare", 1.1],
    ["maxInFlight", 0],
    ["maxInFlight", 1.5],
    ["apiUrl", "ftp://x"],
    ["apiUrl", "7103.api.greenapi.com"],
    ["token", ""],
    ["token", "   "],
    ["label", "x".repeat(201)],
    ["label", "a\0b"],
    ["state", "paused"],
  ])("has no %s of %j", async (name, value) => {
    const answer = await send("POST", "", { ...wish("1101000003"), [name]: value });
    expect(answer.status).toBe(400);
    expect(answer.json()["errors"]).toEqual([
      { path: name === "state" ? "" : `/${name}`, message: expect.any(String) },
    ]);
    expect((await send("GET", "/1101000003")).status).toBe(404);
  });
});
