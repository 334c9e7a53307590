import { once } from "node:events";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { parseNetworks } from "../../src/lib/addresses/networks.ts";
import type { Resolve } from "../../src/outbound/guarded-lookup.ts";
import { createWebhookSecret } from "../../src/lib/secrets/webhook-secret.ts";
import { createWebhookSender, type SendResult } from "../../src/webhooks/create-sender.ts";
import { judgeWebhookUrl } from "../../src/webhooks/judge-url.ts";
import { hostileAnswers, hostileUrls, privateAddresses } from "../support/hostile-addresses.ts";

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

async function serve(listener: RequestListener): Promise<string> {
  const server: Server = createServer(listener).listen(0, "127.0.0.1");
  await once(server, "listening");
  closers.push(async () => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

function toNetworks(text: string) {
  const parsed = parseNetworks(text);
  if (!parsed.ok) throw new Error(parsed.expected);
  return parsed.value;
}

function resolveTo(address: string): Resolve {
  return (_, __, callback) => callback(null, [{ address, family: 4 }]);
}

const loopback = toNetworks("127.0.0.0/8");

async function send(
  url: string,
  {
    networks = loopback,
    timeoutMs = 5_000,
    resolve,
  }: { networks?: typeof loopback; timeoutMs?: number; resolve?: Resolve } = {},
): Promise<SendResult> {
  const sender = createWebhookSender({
    networks,
    userAgent: "test",
    timeoutMs,
    ...(resolve && { resolve }),
  });
  closers.push(() => sender.close());
  const secrets = [createWebhookSecret()];
  return sender.send({ url, secrets, id: "msg_1", body: "{}", personal: [] });
}

describe("a receiver", () => {
  test("that redirects is not followed", async () => {
    let calls = 0;
    const other = await serve((_, response) => {
      calls += 1;
      response.end();
    });
    const url = await serve((_, response) => response.writeHead(302, { location: other }).end());
    expect(await send(url)).toMatchObject({ status: 302, error: "redirect" });
    expect(calls).toBe(0);
  });

  test("that answers 100 MB is read no further than what is kept", async () => {
    let sent = 0;
    const url = await serve((_, response) => {
      response.on("error", () => undefined);
      response.writeHead(200);
      const piece = Buffer.alloc(64 * 1024, "no ");
      const write = () => {
        while (sent < 100 * 1024 * 1024 && !response.destroyed) {
          sent += piece.length;
          if (!response.write(piece)) return void response.once("drain", write);
        }
        response.end();
      };
      write();
    });
    const result = await send(url);
    expect(result).toMatchObject({ status: 200, error: undefined, answer: "no ".repeat(341).trim() });
    expect(sent).toBeLessThan(20 * 1024 * 1024);
  });

  test("that hangs is given up at the deadline, also in the middle of its answer", async () => {
    const silent = await serve(() => undefined);
    expect(await send(silent, { timeoutMs: 100 })).toMatchObject({ status: undefined, error: "timeout" });
    const halting = await serve((_, response) => response.writeHead(200).write("a"));
    expect(await send(halting, { timeoutMs: 1_000 })).toMatchObject({ status: 200, error: undefined });
  });

  test("may say when it is to be asked again", async () => {
    const url = await serve((_, response) => response.writeHead(429, { "retry-after": "120" }).end());
    expect(await send(url)).toMatchObject({ status: 429, error: "refused", retryAfterMs: 120_000 });
  });

  test("that nothing listens for has the network's code", async () => {
    expect(await send("http://127.0.0.1:1/")).toMatchObject({ status: undefined, error: "ECONNREFUSED" });
  });
});

describe("the guard, by the list of all that sends requests", () => {
  test.each(privateAddresses)("goes to no address that is private: $what", async ({ value }) => {
    const host = value.includes(":") ? `[${value}]` : value;
    for (const url of [`https://${host}/`, `http://${host}/`]) {
      const verdict = judgeWebhookUrl(url, toNetworks("10.255.0.0/16"));
      expect(verdict.kind).toBe("refused");
    }
  });

  test.each(hostileAnswers)("goes to no name that leads to one: $what", async ({ addresses }) => {
    const resolve: Resolve = (_, __, callback) => callback(null, [...addresses]);
    const networks = toNetworks("10.255.0.0/16");
    for (const url of ["https://receiver.example/", "http://receiver.example/"])
      expect(await send(url, { networks, resolve })).toMatchObject({
        status: undefined,
        error: "private-address",
      });
  });

  test("refuses hostile URLs", () => {
    for (const { value, reason } of hostileUrls) {
      const verdict = judgeWebhookUrl(value, undefined);
      // Any host and port of https will do here.
      if (reason === "host-not-allowed" || reason === "port-not-allowed") continue;
      expect({ value, ...verdict }).toEqual({ value, kind: "refused", reason });
    }
  });

  test("reaches named networks by http, and public addresses by https alone", async () => {
    const url = await serve((_, response) => response.end());
    const byName = url.replace("127.0.0.1", "receiver.example");
    expect(await send(byName, { resolve: resolveTo("127.0.0.1") })).toMatchObject({ status: 200 });
    expect(await send(byName, { resolve: resolveTo("8.8.8.8") })).toMatchObject({ error: "private-address" });
    expect(judgeWebhookUrl("http://8.8.8.8/", loopback)).toMatchObject({ reason: "not-https" });
    expect(judgeWebhookUrl("http://receiver.example/", undefined)).toMatchObject({ reason: "not-https" });
    expect(judgeWebhookUrl("https://receiver.example:8443/", undefined)).toMatchObject({ kind: "allowed" });
  });

  test.each(["10.0.0.0", "0.0.0.0/0", "::/0", "10.0.0.0/33", "host/8", "10.0.0.0/8/8", "fe80::1%eth0/64"])(
    "takes %s for no network",
    (text) => expect(parseNetworks(text).ok).toBe(false),
  );
});
