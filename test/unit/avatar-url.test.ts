import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isUnknown } from "../../src/domain/avatar-version.ts";
import { parseHttpUrl } from "../../src/outbound/http-url.ts";
import { parseAvatarUrl } from "../../src/provider/avatar-url.ts";

const path = "/v/t61.24694-24/328905012_7301_n.jpg";

test("a WhatsApp URL tells its expiry and, by its path, its picture", () => {
  const url = `https://pps.whatsapp.net${path}?ccb=11-4&oh=01_AdR&oe=66041D5F&_nc_sid=e6ed6c`;
  expect(parseAvatarUrl(url)).toEqual({
    url,
    urlExpiresAt: new Date("2024-03-27T13:21:35Z"),
    version: path,
  });
});

test("a WhatsApp URL of the usual form is told as a parser reads it", () => {
  const sign = fc.constantFrom(..."aZ0_.-/%~:@?&=#+".split(""));
  const some = fc.string({ unit: sign, maxLength: 6 });
  const host = fc.constantFrom(
    "pps.whatsapp.net",
    "a.b-1.fbcdn.net",
    "xn--a.whatsapp.net",
    "PPS.whatsapp.net",
    "whatsapp.net",
  );
  fc.assert(
    fc.property(host, some, some, some, (name, start, file, query) => {
      const url = `https://${name}/v/t61.24694-24/${start}x${file}.jpg?oe=66041D5F${query}`;
      const parsed = parseHttpUrl(url);
      const told = parseAvatarUrl(url);
      expect(told === undefined).toBe(parsed === undefined);
      if (told === undefined || parsed === undefined || !parsed.pathname.startsWith("/v/t61")) return;
      expect(told.version).toBe(parsed.pathname);
      const seconds = Number.parseInt(parsed.searchParams.get("oe") ?? "", 16);
      if (/^[\da-f]{8}$/i.test(parsed.searchParams.get("oe") ?? ""))
        expect(told.urlExpiresAt?.getTime()).toBe(seconds * 1000);
    }),
    { numRuns: 500 },
  );
});

test("two URLs of one picture have one version", () => {
  const urls = [
    `https://pps.whatsapp.net${path}?ccb=11-4&oh=a&oe=66041D5F&_nc_sid=1`,
    `https://media-fra5-1.cdn.whatsapp.net${path}?ccb=11-4&oh=b&oe=66041D60&_nc_sid=2&_nc_cat=100`,
  ];
  expect(new Set(urls.map((url) => parseAvatarUrl(url)?.version))).toEqual(new Set([path]));
});

test.each([
  ["66041d5f", "2024-03-27T13:21:35.000Z"],
  ["", undefined],
  ["0", undefined],
  ["1", undefined],
  ["-1", undefined],
  ["xyz", undefined],
  ["66041D5F0", undefined],
  ["FFFFFFFFFFFFFFFFFFFF", undefined],
])("oe=%s expires at %s", (oe, expiresAt) => {
  expect(parseAvatarUrl(`https://cdn.test/a.jpg?oe=${oe}`)?.urlExpiresAt?.toISOString()).toBe(expiresAt);
});

test("without oe there is no expiry", () => {
  expect(parseAvatarUrl("http://pps.whatsapp.net/a.jpg")).toEqual({
    url: "http://pps.whatsapp.net/a.jpg",
    urlExpiresAt: undefined,
    version: "/a.jpg",
  });
});

const toVersion = (url: string) => parseAvatarUrl(url)?.version;

describe("the version of a URL", () => {
  test.each([
    ["of WhatsApp", `https://mmg.whatsapp.net${path}?oh=1`],
    ["of a proxy before its CDN", `http://127.0.0.1:40123${path}?oh=1`],
  ])("%s is its path", (_, url) => {
    expect(toVersion(url)).toBe(path);
  });

  test("of MAX is its r, whatever else is asked for", () => {
    const versions = ["r=BTGBPUwt&fn=w_320", "fn=w_640&r=BTGBPUwt", "r=other", ""].map((query) =>
      toVersion(`https://i.oneme.ru/i?${query}`),
    );
    expect(versions.slice(0, 3)).toEqual(["/i?r=BTGBPUwt", "/i?r=BTGBPUwt", "/i?r=other"]);
    expect(isUnknown(versions[3] ?? "")).toBe(true);
  });

  test.each([
    "https://cdn.test/a.jpg",
    "https://cdn.test/i?r=BTGBPUwt",
    "https://whatsapp.net.cdn.test/a.jpg",
    "https://notwhatsapp.net/a.jpg",
    `https://cdn.test/?u=https://pps.whatsapp.net${path}`,
  ])("%s says nothing of the picture", (url) => {
    expect(isUnknown(toVersion(url) ?? "")).toBe(true);
    expect(toVersion(`${url}#other`)).not.toBe(toVersion(url));
  });
});

test("a data URI is its payload, whichever type and line breaks it came with", () => {
  const one = parseAvatarUrl("data:image/jpeg;base64,/9j/4AAQSkZJRg==");
  const same = parseAvatarUrl("data:image/jpg;charset=utf-8;base64,/9j/4AAQ\nSkZJRg==");
  const other = parseAvatarUrl("data:image/jpeg;base64,/9j/4AAQSkZJRh==");
  expect(one?.version).toMatch(/^sha256:[0-9a-f]{64}$/);
  expect(same?.version).toBe(one?.version);
  expect(other?.version).not.toBe(one?.version);
});

test.each([
  "",
  "n/a",
  "//cdn.test/a.jpg",
  "ftp://cdn.test/a.jpg",
  "javascript:alert(1)",
  "http://",
  "https://[",
  "https://cdn.test/a b.jpg",
  "https://cdn.test/a\n.jpg",
  `https://cdn.test/${"a".repeat(9_000)}`,
  "data:image/png;base64,",
  "data:image/png;base64, \n",
  "data:image/png,abc",
  "data:text/plain;base64,YWJj",
  "data:image/png;base64,<script>",
])("%j is not an avatar", (text) => {
  expect(parseAvatarUrl(text)).toBeUndefined();
});

test("a URL whose host is longer than any name is none, and is not read", () => {
  expect(parseAvatarUrl(`https://${"七".repeat(301)}/a.jpg`)).toBeUndefined();
  expect(parseAvatarUrl(`https:///${"七".repeat(301)}/a.jpg`)).toBeUndefined();
  expect(parseAvatarUrl(`https://${"a".repeat(301)}.whatsapp.net/v/t61.24694-24/a.jpg`)).toBeUndefined();
  expect(parseAvatarUrl(`https://pps.whatsapp.net/${"七".repeat(301)}.jpg`)).toHaveProperty(
    "version",
    `/${encodeURIComponent("七".repeat(301))}.jpg`,
  );
});
