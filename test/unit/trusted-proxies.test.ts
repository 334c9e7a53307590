import { describe, expect, test } from "vitest";
import { readConfig } from "../../src/config.ts";
import { toCallerAddress } from "../../src/http/requests/caller-address.ts";
import { parseTrustedProxies } from "../../src/lib/addresses/trusted-proxies.ts";

describe("trusted proxies", () => {
  test.each([
    ["192.0.2.7", ["192.0.2.7"]],
    [" 10.0.0.0/8 , FD00::/8,::1", ["10.0.0.0/8", "fd00::/8", "::1"]],
    ["loopback,uniquelocal,linklocal", ["loopback", "uniquelocal", "linklocal"]],
    ["172.16.0.1/32,2001:db8::1/128", ["172.16.0.1/32", "2001:db8::1/128"]],
  ])("may be %s", (text, value) => {
    expect(parseTrustedProxies(text)).toEqual({ ok: true, value });
  });

  test.each([
    ["1", /count of hops/],
    ["true", /item 1 would believe every caller/],
    ["*", /item 1 would believe every caller/],
    ["0.0.0.0/0", /item 1 would believe every caller/],
    ["::/0", /item 1 would believe every caller/],
    ["10.0.0.0/33", /item 1 is none of these$/],
    ["10.0.0.0/08", /item 1 is none of these$/],
    ["10.0.0.0/255.0.0.0", /item 1 is none of these$/],
    ["10.0.0/8", /item 1 is none of these$/],
    ["010.0.0.1", /item 1 is none of these$/],
    ["fe80::1%eth0", /item 1 is none of these$/],
    ["proxy.example.com", /item 1 is none of these$/],
    ["10.0.0.1,,10.0.0.2", /item 2 is none of these$/],
    ["10.0.0.1 10.0.0.2", /item 1 is none of these$/],
    ["x".repeat(1_000), /item 1 is none of these$/],
  ])("may not be %s", (text, expected) => {
    const parsed = parseTrustedProxies(text);
    expect(parsed).toEqual({ ok: false, expected: expect.stringMatching(expected) as string });
  });

  test("are a setting, and none unless it is set", () => {
    expect(readConfig({}).api.trustedProxies).toEqual([]);
    expect(readConfig({ AVATARS_TRUSTED_PROXIES: "10.0.0.1" }).api.trustedProxies).toEqual(["10.0.0.1"]);
    expect(() => readConfig({ AVATARS_TRUSTED_PROXIES: "2" })).toThrow(
      /AVATARS_TRUSTED_PROXIES must be addresses of proxies, .*count of hops/,
    );
  });
});

describe("a caller is counted by", () => {
  const proxy = { remoteAddress: "198.51.100.1" };
  test.each([
    ["192.0.2.7", "192.0.2.7"],
    ["192.0.2.7:4711", "192.0.2.7"],
    ["::ffff:192.0.2.7", "192.0.2.7"],
    ["2001:DB8:0:1:2:3:4:5", "2001:db8:0:1::"],
    ["2001:db8:0:1::", "2001:db8:0:1::"],
    ["[2001:db8:0:1::9]:443", "2001:db8:0:1::"],
    ["2001:db8:0:2::1", "2001:db8:0:2::"],
    // What a proxy says that is no address is no way to be counted anew each time.
    ["unknown", "198.51.100.1"],
    ["_hidden", "198.51.100.1"],
    ["x".repeat(10_000), "198.51.100.1"],
    ["", "198.51.100.1"],
  ])("%s as %s", (ip, address) => {
    expect(toCallerAddress({ ip, socket: proxy })).toBe(address);
  });

  test("nothing, where its connection is gone already", () => {
    expect(toCallerAddress({ ip: undefined, socket: {} })).toBe("unknown");
  });
});
