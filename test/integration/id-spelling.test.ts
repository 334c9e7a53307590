import { randomUUID } from "node:crypto";
import { PassThrough } from "node:stream";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseUuid } from "../../src/lib/uuid.ts";
import { openApiStage, type ApiStage } from "../support/api-stage.ts";
import { eventually } from "../support/eventually.ts";
import { makeChats } from "../support/stage.ts";

const instanceId = "1101000001";

let stage: ApiStage;

beforeAll(async () => {
  stage = await openApiStage();
  await stage.addInstance(instanceId);
  await stage.call(`/v1/instances/${instanceId}/pause`, { method: "POST" });
});
afterAll(() => stage.close());

async function upload(body: string | PassThrough, query: Readonly<Record<string, string>>) {
  const search = new URLSearchParams({ instanceId, ...query });
  return stage.call(`/v1/batches?${search.toString()}`, {
    method: "POST",
    headers: { "content-type": "text/plain" },
    body,
  });
}

async function findBatch(label: string): Promise<string> {
  return eventually(async () => {
    const { rows } = await stage.database.pool.query<{ id: string }>(
      "select id from avatars.batches where label = $1 and accepted > 0",
      [label],
    );
    expect(rows).toHaveLength(1);
    return rows[0]!.id;
  });
}

describe("a batch that is written to by an upload", () => {
  test("is gone on with by no other, however its id is written", async () => {
    const label = randomUUID();
    const body = new PassThrough();
    const open = upload(body, { label });
    body.write(`${makeChats(7_000).join("\n")}\n`);
    const id = await findBatch(label);
    for (const resume of [id, id.toUpperCase(), `${id.slice(0, 18).toUpperCase()}${id.slice(18)}`]) {
      const answer = await upload(`${makeChats(1)[0]!}\n`, { label, resume });
      expect([resume, answer.status, answer.json()["code"]]).toEqual([resume, 409, "in-progress"]);
    }
    body.end();
    expect((await open).status).toBe(202);
    expect((await stage.call(`/v1/batches/${id}`)).json()).toMatchObject({
      state: "working",
      accepted: 7_000,
    });
  });
});

describe("a batch whose id is written in capitals", () => {
  test("is the same one for every endpoint, and is answered with its own id", async () => {
    const made = await stage.call("/v1/batches", {
      method: "POST",
      json: { instanceId, chatIds: makeChats(3, 8_000) },
    });
    const id = String(made.json()["id"]);
    const path = `/v1/batches/${id.toUpperCase()}`;
    expect((await stage.call(path)).json()).toMatchObject({ id, accepted: 3 });
    expect((await stage.call(`${path}/items`)).json()["items"]).toHaveLength(3);
    expect((await stage.call(`${path}/results.csv`)).headers["content-disposition"]).toContain(id);
    const events = await stage.open(`${path}/events`);
    events.destroy();
    expect(events.statusCode).toBe(200);
    for (const action of ["cancel", "retry"]) {
      const done = await stage.call(`${path}/${action}`, { method: "POST" });
      expect(done.json()).toEqual({ id, contacts: 3 });
    }
  });
});

describe("a contact", () => {
  test("is the same one in every usual spelling of its id", async () => {
    const [chat = ""] = makeChats(1, 9_000);
    const digits = chat.split("@")[0] ?? "";
    await stage.call("/v1/batches", { method: "POST", json: { instanceId, chatIds: [chat] } });
    const spellings = [chat.toUpperCase(), `+${chat}`, `${digits}:12@s.whatsapp.net`, `+${digits}`];
    for (const spelling of spellings) {
      const found = await stage.call(`/v1/instances/${instanceId}/contacts/${encodeURIComponent(spelling)}`);
      expect([spelling, found.json()["chatId"]]).toEqual([spelling, chat]);
    }
    const { rows } = await stage.database.pool.query(
      `select avatars.enqueue('${instanceId}', array['${chat.toUpperCase()}', ' +${chat}', '${digits}:1@c.us'])`,
    );
    expect(rows).toHaveLength(1);
    const erased = await stage.call(
      `/v1/instances/${instanceId}/contacts/${encodeURIComponent(chat.toUpperCase())}`,
      { method: "DELETE" },
    );
    expect(erased.status).toBe(204);
    expect((await stage.call(`/v1/instances/${instanceId}/contacts/${chat}`)).status).toBe(404);
  });
});

test("an id is read as the database writes it", () => {
  const id = randomUUID();
  expect(parseUuid(id.toUpperCase())).toBe(id);
  expect(parseUuid(`{${id}}`)).toBeUndefined();
  expect(parseUuid(id.replaceAll("-", ""))).toBeUndefined();
});
