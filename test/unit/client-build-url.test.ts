import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { buildUrl, parseBaseUrl } from "../../src/client/http/build-url.ts";

describe("buildUrl", () => {
  test("fills the path, and leaves out of the query what is not given", () => {
    const query = { limit: 5, state: ["done", "cancelled"], refreshes: false, cursor: undefined };
    expect(buildUrl("http://x/api", "listBatches", {}, query)).toBe(
      "http://x/api/v1/batches?limit=5&state=done%2Ccancelled&refreshes=false",
    );
    expect(buildUrl("http://x", "getContact", { id: "1", chatId: "+7 900@c.us/?#%2e" })).toBe(
      "http://x/v1/instances/1/contacts/%2B7%20900%40c.us%2F%3F%23%252e",
    );
  });

  test("no value makes the path another one", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: "binary-ascii", maxLength: 10 }),
        fc.constantFrom("", ".", "ü", "\ud800"),
        (some, more) => {
          const chatId = `${more}${some}`;
          let url: URL;
          try {
            url = new URL(buildUrl("http://x", "eraseContact", { id: "1", chatId }));
          } catch (error) {
            expect(error).toBeInstanceOf(TypeError);
            expect(["", ".", ".."]).toContain(chatId);
            return;
          }
          expect(url.search + url.hash).toBe("");
          const segments = url.pathname.split("/");
          expect(segments.slice(0, -1)).toEqual(["", "v1", "instances", "1", "contacts"]);
          expect(decodeURIComponent(segments.at(-1) ?? "")).toBe(chatId.toWellFormed());
        },
      ),
    );
    for (const chatId of ["", ".", ".."]) {
      expect(() => buildUrl("http://x", "eraseContact", { id: "1", chatId })).toThrow(TypeError);
    }
    expect(() => buildUrl("http://x", "eraseContact", { id: "1" })).toThrow("chatId cannot be undefined");
  });
});

describe("parseBaseUrl", () => {
  test.each([
    ["https://avatars.example.com", "https://avatars.example.com"],
    ["http://127.0.0.1:3000/", "http://127.0.0.1:3000"],
    ["https://example.com/avatars//", "https://example.com/avatars"],
  ])("takes %s", (text, base) => {
    expect(parseBaseUrl(text)).toBe(base);
    expect(parseBaseUrl(new URL(text))).toBe(base);
  });

  test.each(["", "example.com", "ftp://x", "https://x?key=secret", "https://x#secret", "https://a:secret@x"])(
    "refuses %j, and does not repeat it",
    (text) => {
      expect(() => parseBaseUrl(text)).toThrow(TypeError);
      expect(() => parseBaseUrl(text)).not.toThrow(/secret/);
    },
  );
});
