import { once } from "node:events";
import { PassThrough } from "node:stream";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { callApi, openCall } from "../support/api-call.ts";
import { listBackends } from "../support/backends.ts";
import { eventually } from "../support/eventually.ts";
import { readApiUrl } from "../support/read-api-url.ts";
import type { CliRun } from "../support/run-cli.ts";
import { makeChats, openStage, printedBy, toAnswers, toTruths, type Stage } from "../support/stage.ts";

const instanceId = "1101000001";

describe("an API that stops", () => {
  let stage: Stage;
  let key: string;

  beforeAll(async () => {
    // The queue of production, where it is there; avatars up is tried with the other one in apikey.test.ts.
    const backend = listBackends().at(-1)!;
    stage = await openStage({ backend, env: { PORT: "0" } });
    await stage.addInstance(instanceId);
    key = (await stage.run(["apikey", "create", "--scope", "enqueue,read,admin"])).stdout.trim();
  });

  afterAll(() => stage.close());

  async function start(...args: Parameters<Stage["start"]>): Promise<{ run: CliRun; url: string }> {
    const run = stage.start(...args);
    return { run, url: await readApiUrl(run) };
  }

  async function countBatches(source: string): Promise<number> {
    const { rows } = await stage.database.pool.query("select from avatars.batches where source = $1", [
      source,
    ]);
    return rows.length;
  }

  test("cuts no request: an upload goes on, a follower is sent away, a refresh does not wait", async () => {
    const { run, url } = await start(["serve"]);
    const chats = makeChats(2_500);
    const batchId = await stage.importChats(instanceId, makeChats(10, 900_000));

    const upload = new PassThrough();
    const uploaded = callApi(url, `/v1/batches?instanceId=${instanceId}`, {
      method: "POST",
      key,
      headers: { "content-type": "text/csv" },
      body: upload,
    });
    upload.write(`chat_id\n${chats.slice(0, 1_500).join("\n")}\n`);
    const refreshed = callApi(url, `/v1/instances/${instanceId}/contacts/${chats[0]}/refresh?wait=60s`, {
      method: "POST",
      key,
    });
    const events = await openCall(url, `/v1/batches/${batchId}/events`, { key });
    expect(events.statusCode).toBe(200);
    let text = "";
    events.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
    const told = once(events, "end");
    await eventually(async () => {
      expect([await countBatches("api"), await countBatches("refresh")]).toEqual([1, 1]);
      expect(text).toContain("event: progress\n");
    });

    run.child.kill("SIGTERM");
    await refuses(url);
    await told;
    expect(text).toMatch(/^retry: \d+\n\nid: /);
    expect(text).not.toContain("event: done\n");
    expect(text).toMatch(/\n\nretry: \d+\n\n$/);
    const refresh = await refreshed;
    expect([refresh.status, refresh.headers.connection]).toEqual([202, "close"]);

    // Still there, for the one that is not done.
    expect(run.child.exitCode).toBeNull();
    upload.end(`${chats.slice(1_500).join("\n")}\n`);
    const answer = await uploaded;
    expect(answer.status).toBe(202);
    expect(answer.json()).toMatchObject({ counts: { accepted: 2_500, duplicates: 0, rejected: 0 } });
    expect(await run.ended).toMatchObject({ code: 0, signal: null, stdout: "" });
    expect(await stage.countPending(instanceId)).toBe(2_510);
  });

  test("cuts an upload after the grace period; sent again to the next one it goes on, and a third has no port", async () => {
    const env = { AVATARS_SHUTDOWN_GRACE_MS: "200" };
    const first = await start(["serve"], { env });
    const call = {
      method: "POST",
      key,
      headers: { "content-type": "text/csv", "idempotency-key": '"grace"' },
    };
    const path = `/v1/batches?instanceId=${instanceId}`;
    const before = await countBatches("api");
    const chats = makeChats(1_000, 500_000);
    const upload = new PassThrough();
    const uploaded = callApi(first.url, path, { ...call, body: upload });
    upload.write(`chat_id\n${chats.slice(0, 500).join("\n")}\n`);
    await eventually(async () => expect(await countBatches("api")).toBe(before + 1));
    first.run.child.kill("SIGTERM");
    await expect(uploaded).rejects.toMatchObject({ code: "ECONNRESET" });
    expect(await first.run.ended).toMatchObject({ code: 0, signal: null });

    const second = await start(["serve"]);
    const body = `chat_id\n${chats.join("\n")}\n`;
    const answer = await callApi(second.url, path, { ...call, body });
    expect(answer.status).toBe(202);
    expect(answer.json()).toMatchObject({ resumed: true, counts: { accepted: 1_000, duplicates: 0 } });
    expect(await countBatches("api")).toBe(before + 1);
    const { port } = new URL(second.url);
    const others = ["serve", "up"].map(async (command) => stage.run([command], { env: { PORT: port } }));
    for (const other of await Promise.all(others)) {
      expect(other).toMatchObject({ code: 2, stdout: "" });
      expect(other.stderr).toBe(
        `avatars: PORT: cannot listen on port ${port} of 127.0.0.1 (EADDRINUSE): choose another port, or check HOST\n`,
      );
    }
    second.run.child.kill("SIGINT");
    expect(await second.run.ended).toMatchObject({ code: 130, signal: null });
  });

  test("up stops its API and its worker, with every answer saved and no contact left in flight", async () => {
    const instanceId = "1101000002";
    const chats = makeChats(300);
    const env = {
      GREEN_API_URL: stage.simulator.url,
      GREEN_API_ID_INSTANCE: instanceId,
      GREEN_API_TOKEN: "anything",
      AVATARS_REQUESTS_PER_SECOND: "200",
    };
    const { run, url } = await start(["up"], { env });
    await printedBy(run, "worker started");
    const posted = await callApi(url, "/v1/batches", {
      method: "POST",
      key,
      json: { instanceId, chatIds: chats },
    });
    expect(posted.status).toBe(202);
    await eventually(() => expect(stage.simulator.readLog({ instanceId }).length).toBeGreaterThan(20));
    run.child.kill("SIGTERM");
    expect(await run.ended).toMatchObject({ code: 0, signal: null, stdout: "" });
    const asked = stage.simulator.readLog({ instanceId, method: "getAvatar" }).map(({ chatId }) => chatId);
    const contacts = await stage.readContacts(instanceId);
    const answered = contacts.filter(({ status }) => status !== "unknown");
    expect(contacts.filter(({ inFlight }) => inFlight)).toEqual([]);
    expect(asked.toSorted()).toEqual(answered.map(({ chatId }) => chatId));
    expect(toAnswers(answered)).toEqual(toTruths(stage.simulator, instanceId, asked.toSorted()));
  });
});

function refuses(url: string): Promise<void> {
  return eventually(async () => expect(await callApi(url, "/healthz").catch(toCode)).toBe("ECONNREFUSED"));
}

function toCode(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : error;
}
