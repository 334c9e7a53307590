import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isAmong, parseHostPorts, toHostPort, type HostPort } from "../../src/domain/host-port.ts";

function readPairs(text: string): readonly HostPort[] {
  const parsed = parseHostPorts(text);
  if (!parsed.ok) throw new Error(parsed.expected);
  return parsed.value;
}

const examples =
  "Storage.example.com:443, 10.0.0.7:8080, 0x7f.1:9, [::1]:9000,[0:0::FFFF:127.0.0.1]:80, bücher.example:80";

describe(`with ${examples}`, () => {
  const pairs = readPairs(examples);

  test.each([
    ["https://storage.example.com/a", true],
    ["https://STORAGE.example.com:443/a?b", true],
    ["http://storage.example.com:443/", true],
    ["http://storage.example.com/", false],
    ["https://storage.example.com:8443/", false],
    ["https://storage.example.com./", false],
    ["https://a.storage.example.com/", false],
    ["https://example.com/", false],
    ["http://10.0.0.7:8080/", true],
    ["http://10.0.0.7/", false],
    ["http://127.0.0.1:9/", true],
    ["http://[::1]:9000/", true],
    ["https://[0:0:0:0:0:0:0:1]:9000/", true],
    ["http://[::ffff:7f00:1]/", true],
    ["http://xn--bcher-kva.example/", true],
  ])("%s is named: %s", (url, isNamed) => {
    expect(isAmong(pairs, toHostPort(new URL(url)))).toBe(isNamed);
  });
});

test.each([
  "example.com",
  "example.com:*",
  "*.example.com:443",
  "example.com:0",
  "example.com:65536",
  "example.com:-1",
  "example.com:443/path",
  "https://example.com:443",
  "user@example.com:443",
  "example.com.:443",
  "::1:443",
  "[::1]",
  "[fe80::1%1]:443",
  "256.256.256.256:1",
  "a b:1",
  ":443",
  Array.from({ length: 101 }, (_, index) => `a${index}:1`).join(),
])("%j is no list of pairs", (text) => {
  expect(parseHostPorts(text)).toEqual({
    ok: false,
    expected: expect.stringContaining("host:port") as string,
  });
});

test("any text is read or refused, without an error", () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      expect(typeof parseHostPorts(text).ok).toBe("boolean");
    }),
  );
});
