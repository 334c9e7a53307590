import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { createServer as createSecureServer } from "node:tls";
import { afterEach, describe, expect, test, vi } from "vitest";
import type { ChatId } from "../../src/domain/chat-id.ts";
import { createGreenApi, type GreenApi, type GreenApiOptions } from "../../src/provider/green-api.ts";
import { eventually } from "../support/eventually.ts";
import { loopbackCertificate, loopbackKey } from "../support/loopback-certificate.ts";

const chatIds = ["79001234561@c.us", "79001234562@c.us", "79001234563@c.us"] as ChatId[];
const [first, second, third] = chatIds as [ChatId, ChatId, ChatId];
const notSent = { kind: "not-sent" };
const answer = JSON.stringify({ urlAvatar: "", available: true });
const reply = `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${answer.length}\r\n\r\n${answer}`;

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  vi.unstubAllEnvs();
  for (const close of closers.splice(0).toReversed()) await close();
});

type OnRequest = (socket: Socket) => void;

/** A provider that keeps each byte it gets. What it does about a whole request is the test's business. */
async function openByteServer(onRequest: OnRequest = (socket) => socket.write(reply), scheme = "http") {
  const sockets: Socket[] = [];
  const received: string[] = [];
  const listen = (socket: Socket) => {
    const index = sockets.push(socket) - 1;
    received[index] = "";
    socket.on("error", () => undefined);
    socket.on("data", (bytes) => {
      received[index] += bytes.toString("latin1");
      // Each body of these tests ends the only object in it.
      if (bytes.includes("}")) onRequest(socket);
    });
  };
  const server =
    scheme === "http"
      ? createServer(listen)
      : createSecureServer({ cert: loopbackCertificate, key: loopbackKey }, listen);
  server.on("tlsClientError", () => undefined);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  closers.push(async () => {
    server.close();
    for (const socket of sockets) socket.destroy();
    await once(server, "close");
  });
  const { port } = server.address() as AddressInfo;
  return {
    instance: {
      instanceId: "1101000001",
      apiUrl: `${scheme}://127.0.0.1:${port}`,
      token: "d75b3a66374942c5",
    },
    port,
    sockets,
    /** The chat ids that were asked for, connection by connection, in their order. */
    asked: () => received.map((bytes) => [...bytes.matchAll(/"chatId":"([^"]+)"/g)].map(([, id]) => id)),
    countBytes: () => received.reduce((sum, bytes) => sum + bytes.length, 0),
  };
}

function openApi(options: Partial<GreenApiOptions> = {}): GreenApi {
  const api = createGreenApi({ callTimeoutMs: 60_000, ...options });
  closers.push(() => api.close());
  return api;
}

/** Says what it was told to, and counts how often it was asked. */
function createLeave(may: boolean) {
  const leave = { asked: 0, mayLeave: () => ((leave.asked += 1), may) };
  return leave;
}

describe("a call that may not leave", () => {
  test("sends no byte on a new connection, which the next call then uses", async () => {
    const server = await openByteServer();
    const api = openApi();
    const [no, yes] = [createLeave(false), createLeave(true)];
    expect((await api.getAvatar(server.instance, first, no)).outcome).toEqual(notSent);
    await eventually(() => expect(server.sockets).toHaveLength(1));
    expect(server.countBytes()).toBe(0);
    expect((await api.getAvatar(server.instance, second, yes)).outcome.kind).toBe("absent");
    expect(server.asked()).toEqual([[second]]);
    expect([no.asked, yes.asked]).toEqual([1, 1]);
  });

  test("sends no byte on a connection that is kept, which the next call then uses", async () => {
    const server = await openByteServer();
    const api = openApi({ maxConnectionsPerOrigin: 1 });
    await api.getAvatar(server.instance, first, createLeave(true));
    const bytes = server.countBytes();
    const no = createLeave(false);
    expect((await api.getAvatar(server.instance, second, no)).outcome).toEqual(notSent);
    expect((await api.getAvatar(server.instance, second, no)).outcome).toEqual(notSent);
    expect(server.countBytes()).toBe(bytes);
    await api.getAvatar(server.instance, third, createLeave(true));
    expect(server.asked()).toEqual([[first, third]]);
    expect(no.asked).toBe(2);
  });

  test("does not keep those that wait for the same connection", async () => {
    const server = await openByteServer();
    const api = openApi({ maxConnectionsPerOrigin: 1 });
    const leaves = [false, false, true, false, true].map(createLeave);
    const calls = leaves.map((leave) => api.getAvatar(server.instance, first, leave));
    const kinds = (await Promise.all(calls)).map(({ outcome }) => outcome.kind);
    expect(kinds).toEqual(["not-sent", "not-sent", "absent", "not-sent", "absent"]);
    expect(leaves.map(({ asked }) => asked)).toEqual([1, 1, 1, 1, 1]);
    expect(server.asked()).toEqual([[first, first]]);
  });
});

describe("a call that may leave", () => {
  test("is asked when it gets its connection, not while it waits for one", async () => {
    const held: Socket[] = [];
    const server = await openByteServer((socket) => void held.push(socket));
    const api = openApi({ maxConnectionsPerOrigin: 1 });
    const [one, two] = [createLeave(true), createLeave(true)];
    const calls = [api.getAvatar(server.instance, first, one), api.getAvatar(server.instance, second, two)];
    await eventually(() => expect(held).toHaveLength(1));
    expect([one.asked, two.asked]).toEqual([1, 0]);
    held[0]?.write(reply);
    await calls[0];
    await eventually(() => expect(held).toHaveLength(2));
    expect(two.asked).toBe(1);
    held[1]?.write(reply);
    await calls[1];
  });

  test("is asked once where the provider closed the connection that was kept, and leaves on a new one", async () => {
    const server = await openByteServer((socket) => socket.end(reply));
    const api = openApi({ maxConnectionsPerOrigin: 1 });
    const leaves = chatIds.map(() => createLeave(true));
    for (const [index, chatId] of chatIds.entries()) {
      const { outcome } = await api.getAvatar(server.instance, chatId, leaves[index]);
      expect(outcome.kind).toBe("absent");
      await eventually(() => expect(server.sockets[index]?.closed).toBe(true));
    }
    expect(leaves.map(({ asked }) => asked)).toEqual([1, 1, 1]);
    expect(server.asked()).toEqual([[first], [second], [third]]);
  });

  test("is not sent again where its connection breaks without an answer", async () => {
    const server = await openByteServer((socket) => socket.resetAndDestroy());
    const leave = createLeave(true);
    const { outcome } = await openApi().getAvatar(server.instance, first, leave);
    expect(outcome).toMatchObject({ kind: "network-error" });
    expect(leave.asked).toBe(1);
    expect(server.asked()).toEqual([[first]]);
  });

  test("is not asked where no connection opens", async () => {
    const leave = createLeave(true);
    const instance = { instanceId: "1", apiUrl: "http://127.0.0.1:1", token: "d75b3a66374942c5" };
    const { outcome } = await openApi().getAvatar(instance, first, leave);
    expect(outcome).toMatchObject({ kind: "network-error", code: "ECONNREFUSED" });
    expect(leave.asked).toBe(0);
  });
});

describe("the caller's signal", () => {
  test("leaves a call unsent that waits for its connection to open", async () => {
    const server = await openByteServer();
    const api = openApi();
    const controller = new AbortController();
    const leave = createLeave(true);
    const call = api.getAvatar(server.instance, first, { ...leave, signal: controller.signal });
    controller.abort();
    expect((await call).outcome).toEqual(notSent);
    await api.getAvatar(server.instance, second);
    expect(server.asked().flat()).toEqual([second]);
    expect(leave.asked).toBe(0);
  });

  test("leaves calls unsent that wait for a free connection, hangs up the others, and no one else's", async () => {
    const held: Socket[] = [];
    const server = await openByteServer((socket) => void held.push(socket));
    const api = openApi({ maxConnectionsPerOrigin: 2 });
    const { signal, abort } = toParts(new AbortController());
    const others = api.getAvatar(server.instance, first, { signal: new AbortController().signal });
    const ours = [second, third].map((chatId) => api.getAvatar(server.instance, chatId, { signal }));
    await eventually(() => expect(held).toHaveLength(2));
    abort();
    const outcomes = (await Promise.all(ours)).map(({ outcome }) => outcome);
    expect(outcomes).toEqual([{ kind: "network-error", scope: "call", code: "ABORTED" }, notSent]);
    held[0]?.write(reply);
    expect((await others).outcome.kind).toBe("absent");
    expect(new Set(server.asked().flat())).toEqual(new Set([first, second]));
  });
});

describe("a connection by TLS", () => {
  test("carries calls one after the other, and in pieces", async () => {
    vi.stubEnv("NODE_TLS_REJECT_UNAUTHORIZED", "0");
    const server = await openByteServer((socket) => {
      socket.write(reply.slice(0, 50));
      setImmediate(() => socket.write(reply.slice(50)));
    }, "https");
    const api = openApi();
    for (const chatId of chatIds)
      expect((await api.getAvatar(server.instance, chatId)).outcome.kind).toBe("absent");
    expect(server.asked()).toEqual([chatIds]);
  });

  test("is not used where its certificate is not trusted", async () => {
    const server = await openByteServer(undefined, "https");
    const leave = createLeave(true);
    const { outcome } = await openApi().getAvatar(server.instance, first, leave);
    expect(outcome).toEqual({ kind: "network-error", scope: "call", code: "DEPTH_ZERO_SELF_SIGNED_CERT" });
    expect(leave.asked).toBe(0);
    expect(server.countBytes()).toBe(0);
  });

  test("is asked for when it is open at last, which may be too late", async () => {
    vi.stubEnv("NODE_TLS_REJECT_UNAUTHORIZED", "0");
    const server = await openByteServer(undefined, "https");
    const held: (() => void)[] = [];
    const gate = createServer((socket) => {
      const inner = connect(server.port, "127.0.0.1");
      for (const one of [socket, inner]) one.on("error", () => undefined);
      inner.pipe(socket);
      held.push(() => socket.pipe(inner));
    });
    gate.listen(0, "127.0.0.1");
    await once(gate, "listening");
    closers.push(async () => void gate.close());
    const apiUrl = `https://127.0.0.1:${(gate.address() as AddressInfo).port}`;
    const api = openApi();
    const leave = createLeave(false);
    const call = api.getAvatar({ ...server.instance, apiUrl }, first, leave);
    await eventually(() => expect(held).toHaveLength(1));
    expect(leave.asked).toBe(0);
    held[0]?.();
    expect((await call).outcome).toEqual(notSent);
    expect(leave.asked).toBe(1);
    await api.getAvatar({ ...server.instance, apiUrl }, second);
    expect(server.asked()).toEqual([[second]]);
    expect(held).toHaveLength(1);
  });
});

test("bytes that no call has asked for are not taken for the next answer", async () => {
  const server = await openByteServer();
  const api = openApi();
  await api.getAvatar(server.instance, first);
  server.sockets[0]?.write(reply.replace("true", "null"));
  await eventually(() => expect(server.sockets[0]?.closed).toBe(true));
  expect((await api.getAvatar(server.instance, second)).outcome.kind).toBe("absent");
  expect(server.asked()).toEqual([[first], [second]]);
});

test("a call whose deadline passes while it waits is not sent later", async () => {
  const held: Socket[] = [];
  const server = await openByteServer((socket) => void held.push(socket));
  const api = openApi({ callTimeoutMs: 100, maxConnectionsPerOrigin: 1 });
  const leave = createLeave(true);
  const calls = [api.getAvatar(server.instance, first), api.getAvatar(server.instance, second, leave)];
  const kinds = (await Promise.all(calls)).map(({ outcome }) => outcome.kind);
  expect(kinds).toEqual(["deadline", "deadline"]);
  const next = api.getAvatar(server.instance, third);
  await eventually(() => expect(server.asked().flat()).toEqual([first, third]));
  held[1]?.write(reply);
  await next;
  expect(leave.asked).toBe(0);
});

function toParts(controller: AbortController) {
  return { signal: controller.signal, abort: () => controller.abort() };
}
