import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { mayPointTo, parseApiHosts, type ApiHost } from "../../src/domain/api-host.ts";

function readHosts(text: string): readonly ApiHost[] {
  const parsed = parseApiHosts(text);
  if (!parsed.ok) throw new Error(parsed.expected);
  return parsed.value;
}

describe("without a setting", () => {
  test.each([
    "https://api.greenapi.com",
    "https://api.green-api.com",
    "https://7103.api.greenapi.com",
    "https://greenapi.com",
    "https://green-api.com/some/path",
    "https://7103.API.GreenAPI.com",
    "https://7103.api.greenapi.com:443",
  ])("an apiUrl may be %s", (apiUrl) => {
    expect(mayPointTo(apiUrl, [])).toBe(true);
  });

  test.each([
    ["plain http", "http://7103.api.greenapi.com"],
    ["another port", "https://7103.api.greenapi.com:8443"],
    ["a longer name", "https://evilgreenapi.com"],
    ["a name that goes on", "https://api.greenapi.com.example.com"],
    ["a dot at the end", "https://api.greenapi.com."],
    ["a name in place of a user", "https://api.greenapi.com@example.com"],
    ["a fragment", "https://example.com#.greenapi.com"],
    ["a query", "https://example.com?.greenapi.com"],
    ["a path", "https://example.com/.greenapi.com"],
    ["a backslash", "https://example.com\\.greenapi.com"],
    ["letters that look alike", "https://api.greenаpi.com"],
    ["this machine", "http://localhost:6379"],
    ["this machine's address", "http://127.0.0.1"],
    ["this machine's address by IPv6", "https://[::1]"],
    ["this machine's address as one number", "https://2130706433"],
    ["this machine's address in hex", "https://0x7f.1"],
    ["IPv4 in IPv6", "https://[::ffff:127.0.0.1]"],
    ["a cloud's metadata", "http://169.254.169.254/latest/meta-data"],
    ["a private network", "https://10.0.0.7"],
    ["nowhere", "https://0"],
  ])("an apiUrl may not have %s: %s", (_, apiUrl) => {
    expect(mayPointTo(apiUrl, [])).toBe(false);
  });
});

const examples = "gateway.example.com, 10.0.0.7:8080, localhost:*, *.green.example, [::1]:9, bücher.example";

describe(`with ${examples}`, () => {
  const hosts = readHosts(examples);

  test.each([
    ["https://gateway.example.com", true],
    ["http://gateway.example.com", true],
    ["http://GATEWAY.example.com:80", true],
    ["https://gateway.example.com:443/v3", true],
    ["https://gateway.example.com:8443", false],
    ["http://gateway.example.com:443", false],
    ["https://sub.gateway.example.com", false],
    ["http://10.0.0.7:8080", true],
    ["http://0xa.7:8080", true],
    ["http://10.0.0.7", false],
    ["http://10.0.0.7:80", false],
    ["http://10.0.0.70:8080", false],
    ["http://localhost", true],
    ["http://localhost:54321", true],
    ["http://127.0.0.1:54321", false],
    ["https://a.green.example", true],
    ["https://a.b.green.example", true],
    ["https://green.example", false],
    ["https://agreen.example", false],
    ["https://a.green.example:8443", false],
    ["http://[0:0::1]:9", true],
    ["http://[::1]", false],
    ["https://bücher.example", true],
    ["https://xn--bcher-kva.example", true],
    ["https://7103.api.greenapi.com", true],
    ["http://7103.api.greenapi.com", false],
  ])("an apiUrl of %s: %s", (apiUrl, isTaken) => {
    expect(mayPointTo(apiUrl, hosts)).toBe(isTaken);
  });
});

test.each([
  "https://gateway.example.com",
  "gateway.example.com/path",
  "user@gateway.example.com",
  "*",
  "*.",
  "a.*.example",
  "gateway.*",
  "*.10.0.0.7",
  "*.[::1]",
  "gateway.example.com.",
  "gateway.example.com:0",
  "gateway.example.com:65536",
  "gateway.example.com:http",
  "two words",
  "a..b:x",
  "::1",
  "[::1",
  "a?b",
  "a\\b",
  "gateway.example.com; other.example.com",
  Array.from({ length: 101 }, (_, at) => `h${at}`).join(),
])("%j is no list of hosts", (text) => {
  expect(parseApiHosts(text)).toEqual({
    ok: false,
    expected:
      "hosts with commas between them, such as gateway.example.com, 10.0.0.7:8080, localhost:* or *.example.com",
  });
});

test("blanks and commas too many are left out", () => {
  expect(readHosts(" a.example ,, b.example,").map(({ name }) => name)).toEqual(["a.example", "b.example"]);
});

test("a host that is added opens itself and nothing else", () => {
  fc.assert(
    fc.property(fc.domain(), fc.domain(), fc.integer({ min: 1, max: 65_535 }), (name, other, port) => {
      const { hostname } = new URL(`http://${name}`);
      fc.pre(hostname !== new URL(`http://${other}`).hostname && !/greenapi|green-api/.test(name + other));
      const hosts = readHosts(`${name}:${port}`);
      expect(mayPointTo(`http://${name}:${port}`, hosts)).toBe(true);
      expect(mayPointTo(`http://${other}:${port}`, hosts)).toBe(false);
      expect(mayPointTo(`http://${name}:${(port % 65_535) + 1}`, hosts)).toBe(false);
    }),
  );
});
