import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import type { ContactListReport } from "../../src/domain/lookup/contact-list-report.ts";
import { judgeContactsReply } from "../../src/provider/judge-contacts-reply.ts";
import { instanceOutcomes } from "../support/outcomes.ts";

const now = new Date("2026-08-01T00:00:00Z");
const token = "d75b3a66374942c5b3c019c698abc2067e151558acbd412345";

function read(status: number, body: unknown, headers: Record<string, string> = {}): ContactListReport {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  return judgeContactsReply({ status, headers, body: text }, token, now);
}

function refused(kind: "not-found" | "starting" | "not-authorized" | "blocked" | "expired" | "deleted") {
  return { kind: "refused", outcome: { kind, scope: "instance" } } as const;
}
const unauthorized = (status: number) =>
  ({ kind: "refused", outcome: { kind: "unauthorized", scope: "instance", status } }) as const;
const unanswered = (code: string) => ({ kind: "unanswered", code }) as const;
const contacts = (...ids: string[]) => ({ kind: "contacts", ids }) as const;

describe("a 200 with a list", () => {
  test.each<[unknown, ContactListReport]>([
    [[], contacts()],
    ["\uFEFF [ ]\n", contacts()],
    [
      [
        { id: "79001234567@c.us", name: "Ann", contactName: "Ann at work", type: "user" },
        { id: "79001234567-1581234048@g.us", name: "Choir", type: "group" },
        { id: "120363000012345678@newsletter", name: "News" },
      ],
      contacts("79001234567@c.us", "79001234567-1581234048@g.us", "120363000012345678@newsletter"),
    ],
    // An entry keeps its place whatever it is.
    [
      [null, { id: "79001234567@c.us" }, {}, { id: 7 }, "79001234568@c.us", []],
      contacts("", "79001234567@c.us", "", "", "", ""),
    ],
    [[{ id: "" }], contacts("")],
    [[{ id: `7${token}@c.us` }], contacts("7***@c.us")],
    // What is somebody's name is no sign of trouble.
    [[{ id: "79001234567@c.us", name: "Unauthorized", code: 401 }], contacts("79001234567@c.us")],
  ])("%j", (body, report) => {
    expect(read(200, body)).toEqual(report);
  });
});

describe("a 200 without one is no empty list", () => {
  test.each<[unknown, ContactListReport]>([
    [{ code: 401, description: "Unauthorized" }, unauthorized(401)],
    [[{ code: 401, description: "Unauthorized" }], unauthorized(401)],
    [{ statusCode: 403 }, unauthorized(403)],
    [{ status: false, reason: "Instance is deleted" }, refused("deleted")],
    [{ status: false, reason: "something went wrong" }, unanswered("NOT_UNDERSTOOD")],
    [
      { status: false, reason: "rate-overlimit" },
      { kind: "throttled", retryAfterMs: undefined },
    ],
    ["instance account not authorized", refused("not-authorized")],
    ["instance in starting process try later", refused("starting")],
    [{ code: 429 }, { kind: "throttled", retryAfterMs: undefined }],
    [[[]], unanswered("NOT_UNDERSTOOD")],
    [[{}], unanswered("NOT_UNDERSTOOD")],
    [["79001234567@c.us"], unanswered("NOT_UNDERSTOOD")],
    [{}, unanswered("NOT_UNDERSTOOD")],
    [{ contacts: [] }, unanswered("NOT_UNDERSTOOD")],
    ["", unanswered("NOT_UNDERSTOOD")],
    ["null", unanswered("NOT_UNDERSTOOD")],
    ['[{"id":"79001234567@c.us"},{"id"', unanswered("NOT_UNDERSTOOD")],
    ["<html><title>blocked</title></html>", unanswered("NOT_UNDERSTOOD")],
    // Answers of getAvatar are none to this question.
    [{ urlAvatar: "", available: true }, unanswered("NOT_UNDERSTOOD")],
    [{ reason: "bad request data" }, unanswered("NOT_UNDERSTOOD")],
  ])("%j", (body, report) => {
    expect(read(200, body)).toEqual(report);
  });
});

describe("an error", () => {
  test.each<[number, unknown, ContactListReport]>([
    [401, "", unauthorized(401)],
    [403, "<html>Forbidden</html>", unauthorized(403)],
    [404, "", refused("not-found")],
    // What it says under an error is not the list.
    [404, [], refused("not-found")],
    [500, [{ id: "79001234567@c.us" }], unanswered("HTTP_500")],
    [400, { message: "Instance account is expired, please pay" }, refused("expired")],
    [400, "instance is starting or not authorized", refused("not-authorized")],
    [400, "instance in starting process try later", refused("starting")],
    [
      466,
      { invokeStatus: { method: "getContacts", status: "QUOTE_EXCEEDED" } },
      {
        kind: "refused",
        outcome: { kind: "quota-exhausted", scope: "instance", quota: "method", allowedChatIds: [] },
      },
    ],
    [429, "", { kind: "throttled", retryAfterMs: undefined }],
    [400, { message: "bad request data" }, unanswered("HTTP_400")],
    [302, "", unanswered("HTTP_302")],
  ])("%i %j", (status, body, report) => {
    expect(read(status, body)).toEqual(report);
  });

  test("429 with Retry-After tells how long to wait", () => {
    expect(read(429, "", { "retry-after": "2" })).toEqual({ kind: "throttled", retryAfterMs: 2_000 });
  });
});

const reportSchema = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("contacts"), ids: z.array(z.string()) }),
  z.strictObject({
    kind: z.literal("refused"),
    outcome: z.looseObject({
      scope: z.literal("instance"),
      kind: z.enum(instanceOutcomes.map(({ kind }) => kind)).exclude(["throttled"]),
    }),
  }),
  z.strictObject({
    kind: z.literal("throttled"),
    retryAfterMs: z.number().min(0).max(3_600_000).optional(),
  }),
  z.strictObject({ kind: z.literal("unanswered"), code: z.string().regex(/^[A-Z_]{1,20}(-?\d+)?$/) }),
]);

const status = fc.oneof(
  fc.constantFrom(200, 200, 200, 400, 401, 404, 429, 466, 500),
  fc.integer({ min: 100, max: 999 }),
);
const value = fc.oneof(
  fc.constantFrom("79001234567@c.us", "Instance is deleted", "rate-overlimit", "status@broadcast", 401),
  fc.jsonValue({ maxDepth: 3 }),
);
const key = fc.constantFrom("id", "name", "message", "reason", "code", "status", "__proto__", "toString");
const entry = fc.oneof(fc.dictionary(key, value), fc.jsonValue({ maxDepth: 2 }));
const body = fc.oneof(
  fc.array(entry, { maxLength: 5 }).map((list) => JSON.stringify(list)),
  entry.map((fields) => JSON.stringify(fields)),
  fc.json(),
  fc.string({ unit: "binary", maxLength: 300 }),
);
const headers = fc.record({ "retry-after": fc.oneof(fc.string(), fc.integer().map(String)) });

test("any reply gives a member of the union, and never an exception", () => {
  fc.assert(
    fc.property(status, headers, body, (status, headers, body) => {
      reportSchema.parse(judgeContactsReply({ status, headers, body }, token, now));
    }),
    { numRuns: 3_000 },
  );
});

test("an empty list comes from an empty list alone", () => {
  fc.assert(
    fc.property(status, headers, body, (status, headers, body) => {
      const report = judgeContactsReply({ status, headers, body }, token, now);
      const isEmpty = report.kind === "contacts" && report.ids.length === 0;
      expect(isEmpty).toBe(status === 200 && /^\uFEFF?\s*\[\s*\]\s*$/.test(body));
    }),
    { numRuns: 3_000 },
  );
});

const secret = fc.oneof(
  fc.string({ unit: fc.constantFrom(..."0123456789abcdefXYZ".split("")), minLength: 10, maxLength: 50 }),
  fc.string({
    unit: fc.constantFrom(..."abcXYZ019%+/=_-.\"'\\<>:?#".split("")),
    minLength: 10,
    maxLength: 40,
  }),
);
const encoders: readonly ((text: string) => string)[] = [
  (text) => text,
  (text) => text.toUpperCase(),
  (text) => encodeURIComponent(text),
  (text) => encodeURIComponent(encodeURIComponent(text)),
];
const wrappers: readonly ((token: string) => string)[] = [
  (token) => JSON.stringify([{ id: token }]),
  (token) => JSON.stringify([{ id: `7${token}@c.us`, name: token }, { id: token }]),
  (token) => `[{"id":"${Array.from(token, (letter) => `\\u${toHex(letter)}`).join("")}"}]`,
  (token) => JSON.stringify({ message: `no /waInstance1/getContacts/${token}`, path: token }),
  (token) =>
    JSON.stringify({ correspondentsStatus: { status: "QUOTA_EXCEEDED", description: `${token}@c.us` } }),
  (token) => `<html>${token}</html>`,
  (token) => token,
];

function toHex(letter: string): string {
  return letter.charCodeAt(0).toString(16).padStart(4, "0");
}

test("whatever the token and however the body holds it, no report does", () => {
  fc.assert(
    fc.property(
      secret,
      fc.constantFrom(...encoders),
      fc.constantFrom(...wrappers),
      status,
      (token, encode, wrap, status) => {
        const reply = { status, headers: {}, body: wrap(encode(token)) };
        const report = judgeContactsReply(reply, token, now);
        const texts = report.kind === "contacts" ? [...report.ids] : [];
        for (const text of [...texts, JSON.stringify(report)])
          expect(text.toLowerCase()).not.toContain(token.toLowerCase());
      },
    ),
    { numRuns: 2_000 },
  );
});

test.each([
  ["brackets", "[".repeat(1_000_000)],
  ["closed brackets", `${"[".repeat(100_000)}${"]".repeat(100_000)}`],
  ["blanks", " ".repeat(1_000_000)],
  ["backslashes", "\\".repeat(1_000_000)],
  ["percents", `%${"25".repeat(500_000)}`],
])("a long body of %s comes to an end", (_, body) => {
  for (const status of [200, 400, 466]) reportSchema.parse(read(status, body));
});

test("a list of 100,000 contacts is read to its end", () => {
  const list = Array.from({ length: 100_000 }, (_, index) => ({
    id: `79${String(index).padStart(9, "0")}@c.us`,
    name: "\\".repeat(20),
    type: "user",
  }));
  expect(read(200, list)).toEqual(contacts(...list.map(({ id }) => id)));
});
