import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createClient } from "../../src/client/create-client.ts";
import { collect } from "../support/collect.ts";
import { createFakeTiming } from "../support/fake-timing.ts";
import {
  cutOff,
  openFlawedServer,
  sendJson,
  sendProblem,
  type FlawedServer,
  type Reply,
} from "../support/flawed-server.ts";

let server: FlawedServer;
beforeAll(async () => {
  server = await openFlawedServer();
});
afterAll(async () => server.close());

function openClient(timing = createFakeTiming()) {
  return { timing, client: createClient({ baseUrl: server.url, apiKey: "avk_x.y" }, timing) };
}

/** A stream of events with this text, which ends or breaks. */
function sendEvents(text: string, end: "end" | "break" = "end"): Reply {
  return (response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    if (end === "end") response.end(text);
    else response.write(text, () => response.destroy());
  };
}

const toEvent = (id: number, event: "progress" | "done" = "progress") =>
  `id: v${id}\nevent: ${event}\ndata: ${JSON.stringify({ pending: id })}\n\n`;

const toPage = (next: string, more: boolean, ...ids: number[]) =>
  sendJson(200, { items: ids.map((id) => ({ id })), next, more });
const toList = (next: string | null, ...items: unknown[]) => sendJson(200, { items, next });

describe("watchBatch", () => {
  test("goes on after each break with the last id, as long as the server says between them", async () => {
    const { client, timing } = openClient();
    server.script(
      sendEvents(`retry: 700\n\n${toEvent(3)}${toEvent(2)}id: v1\ndata: cut`, "break"),
      sendEvents("retry: 900\n\n"),
      sendProblem(503, "unavailable", { retryAfter: "5" }),
      cutOff,
      sendEvents(toEvent(0, "done")),
    );
    expect(await collect(client.watchBatch("b"))).toEqual([{ pending: 3 }, { pending: 2 }, { pending: 0 }]);
    expect(timing.waits).toEqual([700, 900, 5_900, 900]);
    expect(server.requests.map(({ headers }) => headers["last-event-id"])).toEqual([
      undefined,
      ...Array.from({ length: 4 }, () => "v2"),
    ]);
  });

  test("ends with a batch whose end was told", async () => {
    server.script(sendEvents(toEvent(1), "break"), (response) => void response.writeHead(204).end());
    expect(await collect(openClient().client.watchBatch("b"))).toEqual([{ pending: 1 }]);
  });

  test("fails at once where waiting is no use, and else when its patience is at an end", async () => {
    const { client, timing } = openClient();
    server.script(sendProblem(404, "not-found"));
    await expect(collect(client.watchBatch("b"))).rejects.toMatchObject({ code: "not-found" });
    expect(timing.waits).toEqual([]);

    // Each connection tells nothing.
    server.script(sendEvents("retry: 4000\n\n"), ...Array.from({ length: 9 }, () => sendEvents("")));
    await expect(collect(client.watchBatch("b", { patienceMs: 10_000 }))).rejects.toMatchObject({
      code: "no-answer",
    });
    expect(timing.waits).toEqual([4_000, 4_000]);
  });

  test("a heartbeat is a sign of life", async () => {
    const { client } = openClient();
    const beating = Array.from({ length: 9 }, () => sendEvents("retry: 4000\n\n: still here\n\n"));
    server.script(...beating, sendEvents(toEvent(0, "done")));
    expect(await collect(client.watchBatch("b", { patienceMs: 5_000 }))).toEqual([{ pending: 0 }]);
  });

  test("closes its connection when its reader leaves, or its signal is aborted", async () => {
    const { client } = openClient();
    const reason = new Error("enough");
    for (const way of ["leave", "abort"] as const) {
      const stop = new AbortController();
      const closed = new Promise((resolve) => {
        server.script((response) => {
          response.once("close", resolve);
          response.writeHead(200).write(toEvent(1));
        });
      });
      const follow = async () => {
        for await (const seen of client.watchBatch("b", { signal: stop.signal })) {
          expect(seen).toEqual({ pending: 1 });
          if (way === "leave") return;
          stop.abort(reason);
        }
      };
      if (way === "leave") await follow();
      else await expect(follow()).rejects.toBe(reason);
      await closed;
    }
  });
});

describe("changes", () => {
  test("reads on and on, asks at once while there is more, and waits out what fails for a while", async () => {
    const { client, timing } = openClient();
    server.script(
      toPage("c1", true, 1, 2),
      toPage("c2", true),
      toPage("c2", false),
      cutOff,
      sendProblem(503, "unavailable", { retryAfter: "7" }),
      toPage("c3", false, 3),
      sendProblem(400, "invalid-cursor"),
    );
    const pages: unknown[] = [];
    const read = async () => {
      for await (const { items, next } of client.changes({ cursor: "c0", limit: 2, pollMs: 3_000 })) {
        pages.push([next, ...items.map(({ id }) => id)]);
      }
    };
    await expect(read()).rejects.toMatchObject({ code: "invalid-cursor" });
    expect(pages).toEqual([["c1", 1, 2], ["c2"], ["c3", 3]]);
    expect(timing.waits).toEqual([3_000, 7_000, 3_000]);
    expect(server.requests.map(({ url }) => url.replace("/v1/changes?", ""))).toEqual(
      ["c0", "c1", "c2", "c2", "c2", "c2", "c3"].map((cursor) => `cursor=${cursor}&limit=2`),
    );
  });

  test("fails when its patience is at an end, which begins anew with each success", async () => {
    const { client, timing } = openClient();
    const busy = sendProblem(503, "unavailable", { retryAfter: "20" });
    server.script(busy, toPage("c1", false), busy, busy, busy);
    const read = collect(client.changes({ patienceMs: 50_000, pollMs: 60_000 }));
    await expect(read).rejects.toMatchObject({ code: "unavailable" });
    expect(timing.waits).toEqual([20_000, 60_000, 20_000, 20_000]);
  });

  test("ends with its signal", async () => {
    const stop = new AbortController();
    server.script(toPage("c1", true, 1));
    const reason = new Error("enough");
    const read = async () => {
      for await (const page of openClient().client.changes({ signal: stop.signal })) {
        expect(page.next).toBe("c1");
        stop.abort(reason);
      }
    };
    await expect(read()).rejects.toBe(reason);
  });
});

test("pages are read one by one, to the last", async () => {
  const { client } = openClient();
  server.script(toList("p2", 1, 2), toList("p3"), toList(null, 3));
  expect(await collect(client.iterateBatchItems("b", { status: ["pending", "absent"], limit: 2 }))).toEqual([
    1, 2, 3,
  ]);
  const query = "status=pending%2Cabsent&limit=2";
  expect(server.requests.map(({ url }) => url)).toEqual([
    `/v1/batches/b/items?${query}`,
    `/v1/batches/b/items?${query}&cursor=p2`,
    `/v1/batches/b/items?${query}&cursor=p3`,
  ]);
});
