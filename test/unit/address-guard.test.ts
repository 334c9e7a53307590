import { once } from "node:events";
import { createServer, connect, type AddressInfo, type LookupFunction } from "node:net";
import fc from "fast-check";
import { describe, expect, onTestFinished, test } from "vitest";
import { isPublicAddress } from "../../src/outbound/address-guard.ts";
import { createGuardedConnector } from "../../src/outbound/guarded-connector.ts";
import { createGuardedLookup, type Resolve } from "../../src/outbound/guarded-lookup.ts";
import { judgeTarget } from "../../src/outbound/judge-target.ts";
import {
  hostileAnswers,
  hostileUrls,
  notAddresses,
  privateAddresses,
  publicAddresses,
} from "../support/hostile-addresses.ts";

const anywhere = { named: [], mayReach: () => true };

describe("an address", () => {
  test.each(privateAddresses)("of $what is not public: $value", ({ value }) => {
    expect(isPublicAddress(value)).toBe(false);
  });

  test.each(notAddresses)("that is none is not public: %j", (text) => {
    expect(isPublicAddress(text)).toBe(false);
  });

  test.each(publicAddresses)("of the internet is public: %s", (address) => {
    expect(isPublicAddress(address)).toBe(true);
  });

  test("of IPv4 is never public in the clothes of IPv6", () => {
    fc.assert(
      fc.property(fc.ipV4(), (address) => {
        for (const prefix of ["::ffff:", "::", "64:ff9b::", "::ffff:0:"])
          expect(isPublicAddress(prefix + address)).toBe(false);
      }),
    );
  });

  test("is judged without an error whatever it is", () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV6(), fc.ipV4Extended(), fc.string()), (text) => {
        expect(typeof isPublicAddress(text)).toBe("boolean");
      }),
    );
  });
});

describe("a URL", () => {
  test.each(hostileUrls)("with $what is refused as $reason: $value", ({ value, reason }) => {
    expect(judgeTarget(value, anywhere)).toEqual({ kind: "refused", reason });
  });

  test.each([
    "https://example.com/",
    "HTTPS://EXAMPLE.com:443/a?b#c",
    "https://bücher.example",
    "https://8.8.8.8/",
    "https://[2606:4700:4700::1111]/",
  ])("of a public host is allowed: %s", (text) => {
    expect(judgeTarget(text, anywhere)).toMatchObject({ kind: "allowed" });
  });

  test("of a host that is not on the list is refused", () => {
    const rules = { named: [], mayReach: (hostname: string) => hostname === "example.com" };
    expect(judgeTarget("https://example.com/", rules)).toMatchObject({ kind: "allowed" });
    expect(judgeTarget("https://example.com./", rules)).toEqual({
      kind: "refused",
      reason: "host-not-allowed",
    });
    expect(judgeTarget("https://8.8.8.8/", rules)).toEqual({ kind: "refused", reason: "host-not-allowed" });
  });

  test("of a pair that is named is free of all rules but that of credentials", () => {
    const named = [
      { host: "127.0.0.1", port: 8080 },
      { host: "::1", port: 80 },
    ];
    const rules = { named, mayReach: () => false };
    for (const url of ["http://127.0.0.1:8080/a", "https://0x7f.1:8080/", "http://[::1]/"])
      expect(judgeTarget(url, rules), url).toMatchObject({ kind: "allowed" });
    for (const url of [
      "http://127.0.0.1/",
      "http://127.0.0.1:8081/",
      "https://[::1]/",
      "http://localhost:8080/",
    ])
      expect(judgeTarget(url, rules), url).toMatchObject({ kind: "refused" });
    expect(judgeTarget("http://a@127.0.0.1:8080/", rules)).toEqual({
      kind: "refused",
      reason: "has-credentials",
    });
  });

  test("is never allowed with a host that is a private address, however it is written", () => {
    fc.assert(
      fc.property(
        fc.webAuthority({ withIPv4: true, withIPv6: true, withIPv4Extended: true }),
        (authority) => {
          const verdict = judgeTarget(`https://${authority}/`, anywhere);
          if (verdict.kind === "refused") return;
          const host = verdict.url.hostname.replace(/^\[|\]$/g, "");
          expect(/^[\d.]+$|:/.test(host) ? isPublicAddress(host) : true).toBe(true);
        },
      ),
    );
  });
});

/** A server on this machine that counts who came, and the lookup of a name server that sends all names there. */
async function openTrap() {
  let connections = 0;
  const server = createServer((socket) => {
    connections += 1;
    socket.destroy();
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  return { port: (server.address() as AddressInfo).port, count: () => connections };
}

const answering =
  (addresses: readonly { address: string; family: number }[]): Resolve =>
  (_hostname, _options, callback) =>
    callback(null, [...addresses]);

/** What `net.connect` says of a name with this lookup. */
async function connectBy(lookup: LookupFunction, port: number): Promise<string> {
  const socket = connect({ host: "pictures.example", port, lookup });
  onTestFinished(() => void socket.destroy());
  const [error] = (await Promise.race([once(socket, "connect"), once(socket, "error")]).catch(
    (failure: unknown) => [failure],
  )) as [(Error & { code?: string }) | undefined];
  return error?.code ?? "connected";
}

describe("a name", () => {
  test.each(hostileAnswers)("that a name server says is $what is not connected to", async ({ addresses }) => {
    const trap = await openTrap();
    expect(await connectBy(createGuardedLookup(answering(addresses)), trap.port)).toBe("ADDRESS_REFUSED");
    expect(trap.count()).toBe(0);
  });

  test("is looked up once for a connection, which goes to the very address that was checked", async () => {
    const asked: string[] = [];
    const lookup = createGuardedLookup((hostname, _options, callback) => {
      asked.push(hostname);
      // The second answer would lead to this machine.
      callback(null, [{ address: asked.length === 1 ? "8.8.8.8" : "127.0.0.1", family: 4 }]);
    });
    const given = await new Promise((resolve) =>
      lookup("pictures.example", { all: false }, (error, address, family) =>
        resolve({ error, address, family }),
      ),
    );
    expect(given).toEqual({ error: null, address: "8.8.8.8", family: 4 });
    expect(asked).toEqual(["pictures.example"]);
  });

  test("keeps the error of its name server", async () => {
    const lookup = createGuardedLookup((_hostname, _options, callback) =>
      callback(Object.assign(new Error("no such name"), { code: "ENOTFOUND" }), []),
    );
    expect(await connectBy(lookup, 9)).toBe("ENOTFOUND");
  });

  test("of this machine is refused by the system's own resolver", async () => {
    const trap = await openTrap();
    const socket = connect({ host: "localhost", port: trap.port, lookup: createGuardedLookup() });
    await expect(once(socket, "connect")).rejects.toMatchObject({ code: "ADDRESS_REFUSED" });
    expect(trap.count()).toBe(0);
  });
});

/** How it ends for a host, as undici asks for it. */
function connectTo(hostname: string, port: number, named: readonly { host: string; port: number }[] = []) {
  const connector = createGuardedConnector({ named, timeoutMs: 5_000 });
  const options = { hostname, host: `${hostname}:${port}`, protocol: "http:", port: String(port) };
  return new Promise<string>((resolve) => {
    connector(options, (error, socket) => {
      socket?.destroy();
      resolve(error === null ? "connected" : String((error as { code?: unknown }).code));
    });
  });
}

describe("a connection", () => {
  test.each(privateAddresses)(
    "to $what is refused where its address is not looked up: $value",
    async ({ value }) => {
      expect(await connectTo(value, 9)).toBe("ADDRESS_REFUSED");
    },
  );

  test("to a pair that is named is made, and to another port of it is not", async () => {
    const trap = await openTrap();
    const named = [{ host: "127.0.0.1", port: trap.port }];
    expect(await connectTo("127.0.0.1", trap.port, named)).toBe("connected");
    expect(await connectTo("127.0.0.1", trap.port + 1, named)).toBe("ADDRESS_REFUSED");
    expect(await connectTo("localhost", trap.port, named)).toBe("ADDRESS_REFUSED");
  });
});
