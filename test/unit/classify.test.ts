import { describe, expect, test } from "vitest";

import type { Outcome } from "../../src/domain/outcome.ts";
import { classify } from "../../src/provider/classify.ts";

const now = new Date("2026-08-01T00:00:00Z");
const url =
  "https://pps.whatsapp.net/v/t61.24694-24/328905012_n.jpg?ccb=11-4&oh=01_AdR&oe=66041D5F&_nc_sid=e6";
const present = {
  kind: "present",
  scope: "chat",
  url,
  urlExpiresAt: new Date("2024-03-27T13:21:35Z"),
  version: "/v/t61.24694-24/328905012_n.jpg",
} as const;
const absent = { kind: "absent", scope: "chat" } as const;
const hidden = { kind: "hidden", scope: "chat", told: true } as const;
const notTold = { kind: "hidden", scope: "chat", told: false } as const;
const invalid = { kind: "invalid", scope: "chat" } as const;
const chatTimeout = { kind: "chat-timeout", scope: "chat" } as const;
const byWhatsapp = {
  kind: "throttled",
  scope: "instance",
  retryAfterMs: undefined,
  by: "whatsapp",
} as const;
const byProvider = { ...byWhatsapp, by: "provider" } as const;
const methodQuota = {
  kind: "quota-exhausted",
  scope: "instance",
  quota: "method",
  allowedChatIds: [],
} as const;

function unauthorized(status: number): Outcome {
  return { kind: "unauthorized", scope: "instance", status };
}
function ofInstance(
  kind: "not-found" | "starting" | "not-authorized" | "blocked" | "expired" | "deleted",
): Outcome {
  return { kind, scope: "instance" };
}
function serverError(status: number): Outcome {
  return { kind: "server-error", scope: "call", status };
}
function read(status: number, body: unknown, headers: Record<string, string> = {}): Outcome {
  return classify(status, headers, typeof body === "string" ? body : JSON.stringify(body), now);
}
function oddCapitals(text: string): string {
  return text.replace(/(.)(.?)/g, (_, one: string, next: string) => one.toUpperCase() + next.toLowerCase());
}

describe("a 200 with an answer", () => {
  test.each<[string, unknown, Outcome]>([
    ["the 2020 form with a photo", { existsWhatsapp: false, urlAvatar: url }, present],
    [
      "the 2020 form without: existsWhatsapp is not to be trusted",
      { existsWhatsapp: false, urlAvatar: "" },
      notTold,
    ],
    ["the 2023 form with a photo", { urlAvatar: url, reason: "" }, present],
    ["the 2023 form without", { urlAvatar: "", reason: "" }, notTold],
    ["the 2024 form with a photo", { urlAvatar: url, available: true }, present],
    ["the 2024 form, none set", { urlAvatar: "", available: true }, absent],
    ["the 2024 form, hidden", { urlAvatar: "", available: false }, hidden],
    [
      "the 2026 form with a photo",
      { urlAvatar: url, available: true, base64Avatar: "/9j/4AAQSkZJRg" },
      { ...present, base64: "/9j/4AAQSkZJRg" },
    ],
    [
      "a photo beside what is no image",
      { urlAvatar: url, available: true, base64Avatar: "PHN2ZyB4bWxucz0i" },
      present,
    ],
    ["the 2026 form, none set", { urlAvatar: "", available: true, base64Avatar: "" }, absent],
    ["the 2026 form, hidden", { urlAvatar: "", available: false, base64Avatar: null }, hidden],
    ["a photo, whatever available says", { urlAvatar: url, available: false }, present],
    [
      "a photo, whatever else is said",
      { urlAvatar: url, status: false, reason: "bad request data" },
      present,
    ],
    ["a photo with blanks around", { urlAvatar: `  ${url}\n` }, present],
    ["null", { urlAvatar: null, available: false }, hidden],
    ["blanks", { urlAvatar: " \t ", available: true }, absent],
    ["the word undefined", { urlAvatar: "undefined", available: true }, absent],
    ["the word UNDEFINED, untold", { urlAvatar: "UNDEFINED" }, notTold],
    ["the word null", { urlAvatar: "null" }, notTold],
    ["no urlAvatar, none set", { available: true }, absent],
    ["no urlAvatar, hidden", { available: false }, hidden],
    ["available as text", { urlAvatar: "", available: "true" }, absent],
    ["available as text in capitals", { urlAvatar: "", available: "FALSE" }, hidden],
    ["available null", { urlAvatar: "", available: null }, notTold],
    ["words in the place of both", { urlAvatar: "undefined", available: true, base64Avatar: "null" }, absent],
    ["unknown keys along", { urlAvatar: "", available: true, extra: { deep: [1] } }, absent],
    ["a harmless status along", { urlAvatar: "", available: true, status: true, code: 200 }, absent],
    ["a byte order mark", `\uFEFF{"urlAvatar":"","available":true}`, absent],
  ])("%s", (_, body, outcome) => {
    expect(read(200, body)).toEqual(outcome);
  });

  test("a data URI of a compatible server is present, its version a hash of the data", () => {
    const outcome = read(200, { urlAvatar: "data:image/jpeg;base64,/9j/4AAQ" });
    expect(outcome).toMatchObject({ kind: "present", urlExpiresAt: undefined });
    expect(outcome).toHaveProperty("version", expect.stringMatching(/^sha256:[0-9a-f]{64}$/));
  });
});

describe("an image without a URL is present, its version a hash of it", () => {
  const image = "/9j/4AAQSkZJRg==";
  test.each<[string, unknown, string]>([
    ["beside an empty URL", { urlAvatar: "", available: false, base64Avatar: image }, image],
    ["beside no URL at all", { available: true, base64Avatar: image }, image],
    [
      "beside the word undefined",
      { urlAvatar: "undefined", base64Avatar: `data:image/jpeg;base64,${image}` },
      `data:image/jpeg;base64,${image}`,
    ],
    ["in place of the URL", { urlAvatar: image, available: true }, image],
    ["a PNG", { urlAvatar: null, base64Avatar: "iVBORw0KGgo=" }, "iVBORw0KGgo="],
    ["a WebP", { urlAvatar: "", base64Avatar: "UklGRiQAAABXRUJQ" }, "UklGRiQAAABXRUJQ"],
  ])("%s", (_, body, base64) => {
    const outcome = read(200, body);
    expect(outcome).toMatchObject({ kind: "present", base64, urlExpiresAt: undefined });
    expect(outcome).toHaveProperty("url", undefined);
    expect(outcome).toHaveProperty("version", expect.stringMatching(/^sha256:[0-9a-f]{64}$/));
  });

  test("is the same image in all its spellings", () => {
    const versions = [image, `data:image/jpeg;base64,${image}`, "/9j/4AAQ\nSkZJRg=="].map(
      (base64Avatar) => (read(200, { urlAvatar: "", base64Avatar }) as { version?: string }).version,
    );
    expect(new Set(versions).size).toBe(1);
  });
});

describe("a 200 that is not an answer is unclear", () => {
  test.each<[string, unknown]>([
    ["empty", ""],
    ["blanks", " \n"],
    ["HTML", "<html><body>502 Bad Gateway</body></html>"],
    ["HTML that talks like the provider", "<!DOCTYPE html><p>bad request data, instance is expired</p>"],
    ["HTML inside JSON", { message: "<html><body>Instance is blocked</body></html>" }],
    ["truncated JSON", '{"urlAvatar":"https://pps.whatsapp.net/v/t61'],
    ["truncated JSON with a known text", '{"reason":"bad request data","urlAv'],
    ["no key at all", {}],
    ["only existsWhatsapp", { existsWhatsapp: false }],
    ["only an empty reason", { reason: "" }],
    ["a number", "42"],
    ["null", "null"],
    ["a JSON string", '"hello"'],
    ["an empty list", "[]"],
    ["an answer in a list", [{ urlAvatar: url }]],
    ["another text as URL", { urlAvatar: "not available" }],
    ["another scheme", { urlAvatar: "file:///etc/passwd" }],
    ["an SVG as a data URI", { urlAvatar: "data:image/svg+xml;base64,PHN2ZyB4bWxucz0i" }],
    ["an SVG that says it is a PNG", { urlAvatar: "data:image/png;base64,PHN2ZyB4bWxucz0i" }],
    ["data that is no image", { urlAvatar: "data:text/html;base64,PGI+" }],
    ["an image without data", { urlAvatar: "data:image/png;base64," }],
    ["a number as URL", { urlAvatar: 5, available: true }],
    ["a list as URL", { urlAvatar: [url] }],
    ["a URL with something taken out", { urlAvatar: "https://cdn.test/***/a.jpg" }],
    ["an available of another kind", { urlAvatar: "", available: "perhaps" }],
    ["an available of another type", { urlAvatar: "", available: 1 }],
    ["an SVG beside an empty URL", { urlAvatar: "", available: true, base64Avatar: "PHN2ZyB4bWxucz0i" }],
    ["no image beside an empty URL", { urlAvatar: "", available: true, base64Avatar: "aGVsbG8gd29ybGQ=" }],
    ["an SVG as URL", { urlAvatar: "PHN2ZyB4bWxucz0i", available: true }],
    ["an unknown reason", { urlAvatar: "", available: false, reason: "the moon is full" }],
    ["a failure without a reason", { status: false }],
    ["a failure beside an empty URL", { urlAvatar: "", available: true, status: "error" }],
    ["an unknown code", { urlAvatar: "", code: 1007 }],
    ["a code that cannot be one", { urlAvatar: "", code: { valueOf: 1, toString: 1 } }],
  ])("%s", (_, body) => {
    expect(read(200, body)).toMatchObject({ kind: "unclear", scope: "call", status: 200 });
  });
});

describe("texts, in 200 and 400", () => {
  const rows: readonly (readonly [string, Outcome])[] = [
    ["get avatar timeout limit exceeded", chatTimeout],
    ["bad request data", invalid],
    [
      "Validation failed. Details: 'chatId' must be one of the following formats: 'phone_number@c.us' or 'group_id@g.us'",
      invalid,
    ],
    ['Validation failed. Details: "chatId" length must be less than 30', invalid],
    ["rate-overlimit", byWhatsapp],
    ["instance in starting process try later", ofInstance("starting")],
    ["instance is starting or not authorized", ofInstance("not-authorized")],
    ["instance account not authorized", ofInstance("not-authorized")],
    ["Instance account is expired", ofInstance("expired")],
    ["Instance is deleted", ofInstance("deleted")],
    ["Instance is blocked", ofInstance("blocked")],
    ["Unauthorized", unauthorized(401)],
  ];
  const forms: readonly (readonly [string, (text: string) => unknown])[] = [
    ["plain text", (text) => text],
    ["plain text with more around", (text) => `Error:  ${text}. Please see the documentation.`],
    ["odd capitals", oddCapitals],
    ["a JSON string", (text) => JSON.stringify(text)],
    ["message", (message) => ({ message })],
    [
      "message of a 400 body",
      (message) => ({
        statusCode: 400,
        timestamp: "2026-01-01T00:00:00Z",
        path: "/waInstance3100000001/getAvatar/***",
        message,
      }),
    ],
    ["reason", (reason) => ({ reason, urlAvatar: "" })],
    ["reason of a failure", (reason) => ({ status: false, reason })],
    ["description with more around", (text) => ({ description: `oops -  ${oddCapitals(text)} (see docs)` })],
    ["a list of messages", (text) => ({ message: ["sorry", text], error: "Bad Request" })],
    ["a nested message", (text) => ({ error: { message: text } })],
    ["a list of nested messages", (text) => ({ errors: [{ description: text }] })],
  ];
  const cases = [200, 400].flatMap((status) =>
    rows.flatMap(([text, outcome]) =>
      forms.map(([form, toBody]) => ({ status, text, form, outcome, body: toBody(text) })),
    ),
  );

  test.each(cases)("$status, $form: $text", ({ status, body, outcome }) => {
    expect(read(status, body)).toEqual(outcome);
  });

  test("a message and its details may come apart", () => {
    const body = { message: "Validation failed", details: ["'chatId' must be one of the formats"] };
    expect(read(400, body)).toEqual(invalid);
  });

  test("a bare state is blocked", () => {
    expect(read(400, { reason: "blocked" })).toEqual(ofInstance("blocked"));
  });

  test.each([
    "Validation failed. Details: 'idInstance' must be a number",
    "Validation failed. Details: 'chatId' is required",
    "Validation failed",
    "400 Bad Request",
    "Bad Request. Data: none",
    "Your address was blocked",
    "instance is not blocked",
    "token expired",
    "instance will be deleted tomorrow",
    "",
  ])("a 400 is not the chat's fault until proven: %s", (text) => {
    expect(read(400, text)).toMatchObject({ kind: "unclear", status: 400 });
    expect(read(400, { message: text })).toMatchObject({ kind: "unclear", status: 400 });
  });

  test("two texts do not make up a third", () => {
    expect(read(400, { message: ["bad request", "data"] })).toMatchObject({ kind: "unclear" });
  });
});

describe("an error inside a 200", () => {
  test.each<[unknown, Outcome]>([
    [{ code: 401, description: "Unauthorized" }, unauthorized(401)],
    [{ code: "401" }, unauthorized(401)],
    [{ statusCode: 403, message: "Forbidden" }, unauthorized(403)],
    [{ statusCode: 400, message: "bad request data" }, invalid],
    [{ status: 404, error: "Not Found" }, ofInstance("not-found")],
    [{ statusCode: 429, message: "Too Many Requests" }, byProvider],
    [{ statusCode: 466, invokeStatus: { status: "QUOTE_EXCEEDED" } }, methodQuota],
    [{ statusCode: 502, message: "Bad Gateway", urlAvatar: "" }, serverError(502)],
    [{ status: false, reason: "rate-overlimit" }, byWhatsapp],
  ])("%j", (body, outcome) => {
    expect(read(200, body)).toEqual(outcome);
  });

  test("an unknown one keeps the status of the wire", () => {
    expect(read(200, { statusCode: 418, message: "teapot" })).toMatchObject({ kind: "unclear", status: 200 });
  });
});

describe("by status", () => {
  const bodies = [
    "",
    "<html>Forbidden</html>",
    "bad request data",
    { message: "Bad Request Data" },
    { urlAvatar: url },
    { urlAvatar: "", available: true },
  ];
  const statuses: readonly (readonly [number, Outcome])[] = [
    [401, unauthorized(401)],
    [403, unauthorized(403)],
    [404, ofInstance("not-found")],
    [429, byProvider],
    [466, methodQuota],
    [499, { kind: "client-closed", scope: "chat" }],
    [500, serverError(500)],
    [502, serverError(502)],
    [503, serverError(503)],
    [504, serverError(504)],
    [520, serverError(520)],
  ];
  test.each(statuses)("%i, whatever the body", (status, outcome) => {
    for (const body of bodies) expect(read(status, body)).toEqual(outcome);
  });

  test.each([100, 201, 204, 206, 301, 302, 304, 307, 402, 405, 408, 413, 418, 422])(
    "%i is unclear, whatever the body",
    (status) => {
      for (const body of bodies) expect(read(status, body)).toMatchObject({ kind: "unclear", status });
    },
  );

  test.each([200, 400, 404, 429, 499, 500, 503, 418])(
    "%i: WhatsApp's throttling is told by its text",
    (status) => {
      expect(read(status, { reason: "Rate-OverLimit" })).toEqual(byWhatsapp);
    },
  );

  test("429 waits as long as Retry-After says", () => {
    expect(read(429, "", { "retry-after": "7" })).toEqual({ ...byProvider, retryAfterMs: 7_000 });
    expect(read(429, "", { "retry-after": "soon" })).toEqual(byProvider);
  });
});

describe("466", () => {
  const listed =
    "Monthly quota has been exceeded. You can only send or receive messages from these numbers: 12345678901@c.us,12345678910@C.US, 120363043968066561@g.us. Please go to your personal account";
  const allowedChatIds = ["12345678901@c.us", "12345678910@c.us", "120363043968066561@g.us"];
  const correspondents = {
    kind: "quota-exhausted",
    scope: "instance",
    quota: "correspondents",
    allowedChatIds,
  };

  test.each(["QUOTE_EXCEEDED", "QUOTA_EXCEEDED", "quota_exceeded"])("%s of the method", (status) => {
    expect(read(466, { invokeStatus: { method: "getavatar", used: 100, total: 100, status } })).toEqual(
      methodQuota,
    );
    expect(read(466, `${status}: change the tariff`)).toEqual(methodQuota);
  });

  test.each(["CORRESPONDENTS_QUOTE_EXCEEDED", "CORRESPONDENTS_QUOTA_EXCEEDED", "Quote_Exceeded"])(
    "%s of the correspondents, with the chats that still work",
    (status) => {
      const body = {
        invokeStatus: { method: "getavatar", status: "QUOTE_ALLOWED", description: "" },
        correspondentsStatus: { method: "correspondents", used: 3, total: 3, status, description: listed },
      };
      expect(read(466, body)).toEqual(correspondents);
    },
  );

  test("correspondents in a plain text", () => {
    expect(read(466, `correspondents_quota_exceeded. ${listed}`)).toEqual(correspondents);
  });

  test("correspondents without a list allow none", () => {
    const body = { correspondentsStatus: { status: "CORRESPONDENTS_QUOTE_EXCEEDED" } };
    expect(read(466, body)).toEqual({ ...correspondents, allowedChatIds: [] });
  });

  test("both spent: nothing works, also not for the chats listed", () => {
    const body = {
      invokeStatus: { status: "QUOTE_EXCEEDED" },
      correspondentsStatus: { status: "CORRESPONDENTS_QUOTE_EXCEEDED", description: listed },
    };
    expect(read(466, body)).toEqual(methodQuota);
  });

  test.each<[unknown]>([[""], ["<html></html>"], [{}], [{ invokeStatus: 5 }], ["[1]"], ['{"invokeStatus":']])(
    "unknown, taken as the method's: %j",
    (body) => {
      expect(read(466, body)).toEqual(methodQuota);
    },
  );
});
