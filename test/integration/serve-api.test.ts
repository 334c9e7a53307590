import fastify, { type FastifyInstance } from "fastify";
import { once } from "node:events";
import { Agent, request, type IncomingMessage } from "node:http";
import { connect, type Socket } from "node:net";
import { PassThrough } from "node:stream";
import { buffer, text } from "node:stream/consumers";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { serveApi, type ApiServer } from "../../src/http/serve-api.ts";
import { UserError } from "../../src/lib/errors.ts";
import { createGate, type Gate } from "../support/gate.ts";
import { eventually } from "../support/eventually.ts";

const host = "127.0.0.1";
/** More than the buffers of a connection hold. */
const largeBytes = 30_000_000;
/** Longer than a test may take: nothing is closed by the end of it. */
const graceMs = 3_600_000;

let api: FastifyInstance;
let server: ApiServer;
let arrived: Gate;
let answer: Gate;
let isClosing: boolean;
let stream: PassThrough;
const errors: Error[] = [];

beforeEach(async () => {
  errors.length = 0;
  arrived = createGate();
  answer = createGate();
  isClosing = false;
  api = fastify({ requestTimeout: 0, return503OnClosing: false, http: { headersTimeout: 10_000 } });
  api.get("/", async () => ({ ok: true }));
  api.get("/slow", async () => {
    arrived.open();
    await answer.opened;
    return { ok: true };
  });
  stream = new PassThrough();
  api.get("/stream", (_request, reply) => {
    reply.raw.flushHeaders();
    void reply.hijack();
    stream.pipe(reply.raw);
  });
  api.get("/large", async () => Buffer.alloc(largeBytes, "x"));
  api.post("/", async () => ({ ok: true }));
  api.addHook("preClose", async () => {
    isClosing = true;
  });
  await api.ready();
  server = await serveApi({ api, host, port: 0, onError: (error) => errors.push(error) });
});

afterEach(() => server.stop(0));

async function get(path: string, agent?: Agent): Promise<IncomingMessage> {
  const sent = request({ host, port: server.port, path, agent }).end();
  const [response] = (await once(sent, "response")) as [IncomingMessage];
  return response;
}

async function open(): Promise<Socket> {
  const socket = connect(server.port, host);
  await once(socket, "connect");
  return socket;
}

async function countConnections(): Promise<number> {
  return promisify(api.server.getConnections.bind(api.server))();
}

/** Sends it, and reads what comes until the end. */
async function sendRaw(raw: string): Promise<{ head: string; body: string }> {
  const socket = await open();
  socket.write(raw);
  const [head = "", body = ""] = (await text(socket)).split("\r\n\r\n");
  return { head, body };
}

test("it says where it is reached", async () => {
  expect(server.url).toBe(`http://127.0.0.1:${server.port}`);
  expect(await (await fetch(`${server.url}/`)).json()).toEqual({ ok: true });
  const everywhere = await serveApi({ api: fastify(), host: "0.0.0.0", port: 0, onError: () => undefined });
  expect(everywhere.url).toBe(`http://127.0.0.1:${everywhere.port}`);
  await everywhere.stop(0);
});

test.each([
  ["a port that is taken", () => ({ host, port: server.port }), "(EADDRINUSE)"],
  ["an address that is not here", () => ({ host: "192.0.2.1", port: 0 }), "of 192.0.2.1 (EADDRNOTAVAIL)"],
])("%s is told in words", async (_what, where, words) => {
  const second = serveApi({ api: fastify(), ...where(), onError: () => undefined });
  await expect(second).rejects.toThrow(UserError);
  await expect(second).rejects.toMatchObject({
    code: "api-unavailable",
    message: expect.stringMatching(/^PORT: cannot listen on port \d+ of .*or check HOST$/) as string,
  });
  await expect(second).rejects.toThrow(words);
});

describe("what is no HTTP", () => {
  test.each([
    ["garbage", "\u0016\u0003\u0001 hello\r\n\r\n", "this is not a correct HTTP/1.1 request"],
    ["a header without a colon", "GET / HTTP/1.1\r\nHost\r\n\r\n", "this is not a correct HTTP/1.1 request"],
    [
      "headers without end",
      `GET / HTTP/1.1\r\nHost: x\r\nX: ${"a".repeat(20_000)}`,
      "the headers are too large",
    ],
    [
      "a broken chunk",
      "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
      "this is not a correct HTTP/1.1 request",
    ],
  ])("is answered with a problem: %s", async (_what, raw, detail) => {
    const { head, body } = await sendRaw(raw);
    expect(head).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n/);
    expect(head).toContain("content-type: application/problem+json");
    const [, requestId] = /x-request-id: (\S+)/.exec(head) ?? [];
    expect(JSON.parse(body)).toEqual({
      type: "urn:contact-avatars:problem:invalid-request",
      title: "The request is not valid",
      status: 400,
      code: "invalid-request",
      detail,
      requestId,
    });
    expect(errors).toEqual([]);
    expect((await fetch(`${server.url}/`)).status).toBe(200);
  });

  test("is not what expects more than HTTP knows: it is served all the same", async () => {
    const raw = "GET / HTTP/1.1\r\nHost: x\r\nExpect: miracles\r\nConnection: close\r\n\r\n";
    const { head, body } = await sendRaw(raw);
    expect(head).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(JSON.parse(body)).toEqual({ ok: true });
  });

  test("gets no answer that could be taken for another request's", async () => {
    const socket = await open();
    socket.write("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n");
    await arrived.opened;
    socket.write("no HTTP\r\n\r\n");
    expect(await text(socket)).toBe("");
    answer.open();
  });
});

describe("stopping", () => {
  test("lets a request finish, tells its client to come on another connection, and refuses new ones", async () => {
    const agent = new Agent({ keepAlive: true });
    const pending = get("/slow", agent);
    await arrived.opened;
    const stopped = server.stop(graceMs);
    await eventually(() => expect(api.server.listening).toBe(false));
    await expect(open()).rejects.toMatchObject({ code: "ECONNREFUSED" });
    answer.open();
    const response = await pending;
    expect(response.statusCode).toBe(200);
    expect(response.headers.connection).toBe("close");
    expect(await text(response)).toBe('{"ok":true}');
    await stopped;
    agent.destroy();
  });

  test("closes idle connections, and those on which nothing ever came", async () => {
    const agent = new Agent({ keepAlive: true });
    await text(await get("/", agent));
    const silent = await open();
    const idle = Object.values(agent.freeSockets).flat()[0]!;
    const closed = Promise.all([once(idle, "close"), once(silent, "close")]);
    await server.stop(graceMs);
    await closed;
    expect(isClosing).toBe(true);
  });

  test("closes a connection whose answer had begun before, as soon as it ends", async () => {
    const agent = new Agent({ keepAlive: true });
    const response = await get("/stream", agent);
    expect(response.headers.connection).toBe("keep-alive");
    const stopped = server.stop(graceMs);
    await eventually(() => expect(api.server.listening).toBe(false));
    stream.end("the end");
    expect(await text(response)).toBe("the end");
    await stopped;
    agent.destroy();
  });

  test("does not cut an answer that its reader has not fetched yet", async () => {
    const response = await get("/large");
    const stopped = server.stop(graceMs);
    await eventually(() => expect(api.server.listening).toBe(false));
    expect((await buffer(response)).length).toBe(largeBytes);
    await stopped;
  });

  test("closes an idle connection also where an answer beside it was not fetched when the stop began", async () => {
    const agent = new Agent({ keepAlive: true });
    await text(await get("/", agent));
    const idle = Object.values(agent.freeSockets).flat()[0]!;
    const response = await get("/large");
    const closed = once(idle, "close");
    const stopped = server.stop(graceMs);
    await eventually(() => expect(api.server.listening).toBe(false));
    expect((await buffer(response)).length).toBe(largeBytes);
    await Promise.all([closed, stopped]);
  });

  test("serves a request that comes on an open connection, as the last one there", async () => {
    const pending = get("/slow");
    await arrived.opened;
    const socket = await open();
    const answered = text(socket);
    // Half of a request: the connection is neither silent nor idle.
    socket.write("GET / HTTP/1.1\r\nHost: x\r\n");
    await eventually(async () => expect(await countConnections()).toBe(2));
    const stopped = server.stop(graceMs);
    await eventually(() => expect(api.server.listening).toBe(false));
    socket.write("\r\n");
    expect(await answered).toMatch(/^HTTP\/1\.1 200 OK\r\n[^]*connection: close/i);
    answer.open();
    await text(await pending);
    await stopped;
  });

  test("cuts what is left after the grace period; the first of two calls counts", async () => {
    const pending = get("/slow");
    await arrived.opened;
    const stopped = server.stop(100);
    expect(server.stop(graceMs)).toBe(stopped);
    await expect(pending).rejects.toMatchObject({ code: "ECONNRESET" });
    await stopped;
    answer.open();
  });
});

test("an error of the server is told, and ends nothing", async () => {
  api.server.emit("error", Object.assign(new Error("accept"), { code: "EMFILE" }));
  expect(errors).toMatchObject([{ code: "EMFILE" }]);
  expect((await fetch(`${server.url}/`)).status).toBe(200);
});
