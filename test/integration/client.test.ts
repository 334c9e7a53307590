import { execFile } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, expectTypeOf, test } from "vitest";
import {
  ApiProblem,
  createClient,
  type Batch,
  type BatchResult,
  type Client,
  type Contact,
  type Readiness,
} from "../../src/client/create-client.ts";
import { operations, type OperationId } from "../../src/client/http/operations.ts";
import { readDocument, type ApiDocument } from "../support/api-document.ts";
import { openApiStage, type ApiStage } from "../support/api-stage.ts";
import { collect } from "../support/collect.ts";
import { createFakeTiming } from "../support/fake-timing.ts";
import { makeChats, parseCsv, toTruths } from "../support/stage.ts";

const instanceId = "1101000001";
const chatIds = makeChats(12);
const [chatId = ""] = chatIds;

let stage: ApiStage;
let document: ApiDocument;
let client: Client;

beforeAll(async () => {
  stage = await openApiStage();
  document = readDocument((await stage.call("/openapi.json")).text);
  client = createClient({ baseUrl: stage.url, apiKey: stage.key });
  await stage.addInstance(instanceId);
  await stage.startWorker();
});
afterAll(async () => stage.close());

/** As the document says that it is. */
function checked<Value>(component: string, value: Value): Value {
  document.checkComponent(component, value);
  return value;
}

async function enqueue(wish: Partial<Parameters<Client["createBatch"]>[0]> = {}): Promise<string> {
  return (await client.createBatch({ instanceId, chatIds, maxAge: 0, ...wish })).id;
}

async function whenOver(batchId: string): Promise<Batch | undefined> {
  return (await collect(client.watchBatch(batchId))).at(-1);
}

describe("the client", () => {
  test("has a method for each operation of the document, with its method and path", () => {
    const documented = document.operations.map(({ id, method, path }) => [id, { method, path }]);
    expect(
      Object.fromEntries(Object.entries(operations).map(([id, { method, path }]) => [id, { method, path }])),
    ).toEqual(Object.fromEntries(documented));
    for (const id of Object.keys(operations)) expect(client, id).toHaveProperty(id, expect.any(Function));
    expectTypeOf<OperationId>().toExtend<keyof Client>();
  });

  test("posts a batch, follows it, and reads what became of it", async () => {
    const accepted = await client.createBatch({
      instanceId,
      contacts: [
        { chatId, externalRef: "crm-1" },
        { phone: "+7 900 100-00-01" },
        { phone: "nobody" },
        ...chatIds.map((id) => ({ chatId: id })),
      ],
      priority: 0,
      label: "signup",
    });
    checked("AcceptedBatch", accepted);
    expect(accepted.counts).toEqual({ accepted: 12, duplicates: 2, rejected: 1 });
    expect(accepted.items?.slice(0, 4).map(({ status }) => status)).toEqual([
      "queued",
      "queued",
      "invalid",
      "duplicate",
    ]);

    const reports = await collect(client.watchBatch(accepted.id));
    for (const report of reports) checked("Batch", report);
    expect(reports.at(-1)).toMatchObject({ state: "done", counts: { pending: 0 } });
    expect(checked("Batch", await client.getBatch(accepted.id))).toEqual(reports.at(-1));

    const truths = toTruths(stage.simulator, instanceId, chatIds);
    const items = await collect(client.iterateBatchItems(accepted.id, { limit: 5 }));
    expect(items.map((item) => item.status).toSorted()).toEqual(
      truths.map(({ status }) => status).toSorted(),
    );
    const page = await client.listBatchItems(accepted.id, { status: ["present"], limit: 1 });
    expect(checked("BatchItemList", page).items).toHaveLength(1);

    const rows = await collect(client.getBatchResultsNdjson(accepted.id));
    expect(rows.map(({ chat_id, status }) => [chat_id, status])).toEqual(
      truths.map((truth) => [truth.chatId, truth.status]),
    );
    expect(rows[0]).toEqual({
      image_url: null,
      image_sha256: null,
      image_width: null,
      image_height: null,
      image_at: null,
      image_old: false,
      instance_id: instanceId,
      chat_id: chatId,
      external_ref: "crm-1",
      status: expect.any(String),
      avatar_url: expect.toBeOneOf([null, expect.any(String)]),
      url_expires_at: expect.toBeOneOf([null, expect.any(String)]),
      checked_at: expect.any(String),
      attempts: expect.any(Number),
      last_error: null,
      position: 0,
    } satisfies Record<keyof BatchResult, unknown>);
    const csv = (await collect(client.getBatchResultsCsv(accepted.id))).join("");
    expect(parseCsv(csv).map((row) => row["chat_id"])).toEqual(rows.map((row) => row.chat_id));
    expect(checked("BatchChange", await client.retryBatch(accepted.id)).id).toBe(accepted.id);
  });

  test("streams contacts, and files, of any length", async () => {
    const many = makeChats(3_000, 500_000);
    const contacts = async function* () {
      yield { phone: "+49 1512 3456789", externalRef: "crm-7" };
      yield* many;
      yield "nobody";
    };
    const streamed = await client.streamBatch({ instanceId, contacts, priority: 2, maxAge: "1d" });
    checked("AcceptedBatch", streamed);
    expect(streamed.counts).toEqual({ accepted: 3_001, duplicates: 0, rejected: 1 });
    expect(streamed.rejects?.map(({ line }) => line)).toEqual([3_002]);
    const cancelled = checked("BatchChange", await client.cancelBatch(streamed.id));
    expect(cancelled.contacts).toBeGreaterThan(0);
    expect(await whenOver(streamed.id)).toMatchObject({ state: "cancelled" });

    const body = `who;code\n${chatIds.map((id, index) => `${id};c${index}`).join("\n")}\n`;
    const { id } = await client.streamBatch({
      instanceId,
      format: "csv",
      body,
      column: "who",
      refColumn: "code",
    });
    expect(await whenOver(id)).toMatchObject({ accepted: 12, state: "done" });
    expect(await client.getContact(instanceId, chatId)).toMatchObject({ externalRef: "c0" });

    const refused = client.streamBatch(
      { instanceId, format: "text", body: `${chatId}\nnobody\n` },
      { strict: true },
    );
    await expect(refused).rejects.toMatchObject({ code: "invalid-contacts", retryable: false });
  });

  test("lists batches, page by page", async () => {
    const label = "listed";
    const ids = [await enqueue({ label }), await enqueue({ label }), await enqueue({ label })];
    const page = checked("BatchList", await client.listBatches({ limit: 1, instanceId }));
    expect(page).toMatchObject({ items: [{ id: ids[2] }], next: expect.any(String) });
    const all = await collect(client.iterateBatches({ limit: 2, instanceId }));
    expect(all.filter((batch) => batch.label === label).map(({ id }) => id)).toEqual(ids.toReversed());
  });

  test("reads, refreshes, looks up and erases a contact", async () => {
    await whenOver(await enqueue());
    const contact: Contact = checked("Contact", await client.getContact(instanceId, "+7 900 100-00-00"));
    expect(contact).toMatchObject({ instanceId, chatId });
    const refreshed = await client.refreshContact(instanceId, chatId);
    expect(refreshed).toMatchObject({ kind: "answered", contact: { chatId, status: contact.status } });
    if (refreshed.kind === "answered") checked("Contact", refreshed.contact);

    const lookup = await client.lookupContacts({ instanceId, chatIds: [chatId, "79999999999", "nobody"] });
    expect(checked("ContactLookupResult", lookup).items.map(({ index, reason }) => [index, reason])).toEqual([
      [0, undefined],
      [1, "unknown-contact"],
      [2, "invalid"],
    ]);

    const changed = toTruths(stage.simulator, instanceId, chatIds).find(({ status }) => status === "present");
    const history = await client.getContactHistory(instanceId, changed?.chatId ?? "");
    expect(checked("AvatarHistory", history).items).toHaveLength(1);
    expect(await collect(client.iterateContactHistory(instanceId, changed?.chatId ?? ""))).toEqual(
      history.items,
    );

    await client.eraseContact(instanceId, chatId);
    const gone = await client.getContact(instanceId, chatId).catch((error: unknown) => error);
    expect(gone).toBeInstanceOf(ApiProblem);
    expect(gone).toMatchObject({ status: 404, code: "not-found", requestId: expect.any(String) });
  });

  test("reads the feed of changes to its end, and on from there", async () => {
    await whenOver(await enqueue());
    const page = checked("AvatarChanges", await client.listChanges({ limit: 1 }));
    expect(page.items).toHaveLength(1);
    const stop = new AbortController();
    const read: number[] = page.items.map(({ id }) => id);
    const reason = new Error("read to its end");
    const timing = { ...createFakeTiming(), sleep: async () => stop.abort(reason) };
    const patient = createClient({ baseUrl: stage.url, apiKey: stage.key }, timing);
    const follow = async () => {
      for await (const { items } of patient.changes({ cursor: page.next, limit: 2, signal: stop.signal })) {
        read.push(...items.map(({ id }) => id));
      }
    };
    await expect(follow()).rejects.toBe(reason);
    const all: number[] = [];
    for (let cursor: string | undefined; ;) {
      const { items, next } = await client.listChanges({
        limit: 1000,
        ...(cursor !== undefined && { cursor }),
      });
      if (items.length === 0) break;
      all.push(...items.map(({ id }) => id));
      cursor = next;
    }
    expect(read).toEqual(all);
  });

  test("administers instances, and follows a batch that waits for one through another server", async () => {
    const id = "1101000009";
    const added = await client.addInstance({ id, apiUrl: stage.simulator.url, token: "t", label: "ninth" });
    checked("Instance", added);
    expect(await client.changeInstance(id, { label: null })).toMatchObject({ id, label: null });
    expect(checked("Instance", await client.pauseInstance(id))).toMatchObject({ state: "paused" });
    expect(await client.getInstance(id)).toMatchObject({ state: "paused" });
    const { items } = checked("InstanceList", await client.listInstances());
    expect(items.map((instance) => instance.id)).toContain(id);
    const pending = await client.refreshContact(id, chatId, { waitMs: 50 });
    expect(pending).toMatchObject({ kind: "pending", contact: { status: "unknown" } });

    const [first, second] = [await stage.serve(), await stage.serve()];
    let { url } = first;
    const moving = createClient(
      {
        baseUrl: first.url,
        apiKey: stage.key,
        fetch: async (to, init) => fetch((to as string).replace(first.url, url), init),
      },
      createFakeTiming(),
    );
    const seen: Batch[] = [];
    for await (const batch of moving.watchBatch(await enqueue({ instanceId: id }))) {
      seen.push(batch);
      if (seen.length > 1) continue;
      ({ url } = second);
      await first.stop();
      await client.resumeInstance(id);
    }
    expect(seen[0]).toMatchObject({ state: "working", held: [{ state: "paused" }] });
    expect(seen.at(-1)).toMatchObject({ state: "done" });
    expect(second.records.some(({ route }) => route === "/v1/batches/:id/events")).toBe(true);

    const refusal = client.removeInstance(id);
    await expect(refusal).rejects.toMatchObject({ code: "conflict", retryable: false });
    expect(await client.removeInstance(id, { contacts: "erase" })).toBe("removed");
  });

  test("asks how the server is", async () => {
    expect(checked("Health", await client.getHealth())).toEqual({ status: "ok" });
    const readiness: Readiness = checked("Readiness", await client.getReadiness());
    expect(readiness).toEqual({ status: "ready", missing: [] });
    expect(await client.getMetrics()).toContain("# TYPE ");
  });

  test("is told all faults of a request, each with its place", async () => {
    const wrong = client.createBatch({ instanceId: "x", chatIds: [], priority: 9 });
    const problem = (await wrong.catch((error: unknown) => error)) as ApiProblem;
    expect(problem).toMatchObject({ status: 400, code: "invalid-request", retryable: false });
    expect(problem.errors.map(({ path }) => path).toSorted()).toEqual([
      "/chatIds",
      "/instanceId",
      "/priority",
    ]);
    const stranger = createClient({ baseUrl: stage.url, apiKey: "avk_nobody" });
    await expect(stranger.listInstances()).rejects.toMatchObject({ status: 401, code: "unauthorized" });
  });
});

describe("the built package", () => {
  const bin = process.env["AVATARS_TEST_BIN"] ?? fileURLToPath(new URL("../../dist/bin.js", import.meta.url));
  const root = dirname(dirname(bin));
  const { exports } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
    readonly exports: Readonly<Record<string, string | { readonly types: string; readonly default: string }>>;
  };

  test("exports both libraries by name, with their types", async () => {
    const code = `
      import { ApiProblem, createClient } from "contact-avatars/client";
      import { createProducer } from "contact-avatars/producer";
      console.log(typeof createClient, typeof ApiProblem, typeof createProducer);`;
    const node = promisify(execFile)(process.execPath, ["--input-type=module", "-e", code], { cwd: root });
    expect((await node).stdout).toBe("function function function\n");
    for (const target of Object.values(exports)) {
      const files = typeof target === "string" ? [target] : [target.types, target.default];
      for (const file of files) expect(existsSync(join(root, file)), file).toBe(true);
    }
  });

  test("its client needs nothing but itself, so that browsers can load it", () => {
    const visited = new Set<string>();
    const visit = (file: string) => {
      if (visited.has(file)) return;
      visited.add(file);
      const code = readFileSync(file, "utf8");
      for (const [, name = ""] of code.matchAll(/^(?:import|export)\b[^"=(]*"([^"]+)";$/gm)) {
        expect(name, file).toMatch(/^\.\.?\//);
        visit(join(dirname(file), name));
      }
    };
    visit(join(root, "dist/client/create-client.js"));
    expect(visited.size).toBeGreaterThan(5);
  });
});
