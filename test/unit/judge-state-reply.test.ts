import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import type { StateReport } from "../../src/domain/lookup/state-report.ts";
import { judgeStateReply } from "../../src/provider/judge-state-reply.ts";
import { instanceOutcomes } from "../support/outcomes.ts";

const now = new Date("2026-08-01T00:00:00Z");
const token = "d75b3a66374942c5b3c019c698abc2067e151558acbd412345";

function read(status: number, body: unknown, headers: Record<string, string> = {}): StateReport {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  return judgeStateReply({ status, headers, body: text }, token, now);
}

function refused(kind: "not-found" | "starting" | "not-authorized" | "blocked" | "expired" | "deleted") {
  return { kind: "refused", outcome: { kind, scope: "instance" } } as const;
}
const unauthorized = (status: number) =>
  ({ kind: "refused", outcome: { kind: "unauthorized", scope: "instance", status } }) as const;
const unanswered = (code: string) => ({ kind: "unanswered", code }) as const;

describe("a 200 with a state", () => {
  test.each<[unknown, string, string]>([
    [{ stateInstance: "authorized" }, "authorized", "works"],
    [{ stateInstance: "notAuthorized" }, "notAuthorized", "needs-person"],
    [{ stateInstance: "starting", more: 1 }, "starting", "waits"],
    [{ stateInstance: " sleepMode\n" }, "sleepMode", "waits"],
    ['\uFEFF{"stateInstance":"blocked"}\n', "blocked", "needs-person"],
    [{ stateInstance: "somethingNew" }, "somethingNew", "unknown"],
    [{ stateInstance: "x".repeat(40) }, "x".repeat(40), "unknown"],
    [{ stateInstance: "authorized", code: 401, description: "Unauthorized" }, "authorized", "works"],
  ])("%j", (body, state, verdict) => {
    expect(read(200, body)).toEqual({ kind: "state", state, verdict });
  });
});

describe("a 200 without one", () => {
  test.each<[unknown, StateReport]>([
    [{ code: 401, description: "Unauthorized" }, unauthorized(401)],
    [{ stateInstance: null, statusCode: 403 }, unauthorized(403)],
    [{ status: false, reason: "Instance is deleted" }, refused("deleted")],
    ["instance account not authorized", refused("not-authorized")],
    [
      { status: false, reason: "rate-overlimit" },
      { kind: "throttled", retryAfterMs: undefined },
    ],
    [{ stateInstance: "x".repeat(41) }, unanswered("NOT_UNDERSTOOD")],
    [{ stateInstance: "not authorized" }, unanswered("NOT_UNDERSTOOD")],
    [{ stateInstance: "state1" }, unanswered("NOT_UNDERSTOOD")],
    [{ stateInstance: "авторизован" }, unanswered("NOT_UNDERSTOOD")],
    [{ stateInstance: "" }, unanswered("NOT_UNDERSTOOD")],
    [{ stateInstance: ["authorized"] }, unanswered("NOT_UNDERSTOOD")],
    [{}, unanswered("NOT_UNDERSTOOD")],
    ["", unanswered("NOT_UNDERSTOOD")],
    ["authorized", unanswered("NOT_UNDERSTOOD")],
    ['{"stateInstance":"author', unanswered("NOT_UNDERSTOOD")],
    ["<html><title>blocked</title></html>", unanswered("NOT_UNDERSTOOD")],
    // Answers of getAvatar are none to this question.
    [{ urlAvatar: "https://pps.whatsapp.net/v/a.jpg", available: true }, unanswered("NOT_UNDERSTOOD")],
    [{ reason: "bad request data" }, unanswered("NOT_UNDERSTOOD")],
  ])("%j", (body, report) => {
    expect(read(200, body)).toEqual(report);
  });
});

describe("an error", () => {
  test.each<[number, unknown, StateReport]>([
    [401, "", unauthorized(401)],
    [403, "<html>Forbidden</html>", unauthorized(403)],
    [404, "", refused("not-found")],
    // What it says under an error is not the state.
    [404, { stateInstance: "authorized" }, refused("not-found")],
    [400, { message: "Instance account is expired, please pay" }, refused("expired")],
    [400, "Instance is deleted", refused("deleted")],
    [400, { message: "Instance account is blocked" }, refused("blocked")],
    [400, "instance is starting or not authorized", refused("not-authorized")],
    [400, "instance in starting process try later", refused("starting")],
    [
      466,
      { invokeStatus: { method: "getStateInstance", status: "QUOTE_EXCEEDED" } },
      {
        kind: "refused",
        outcome: { kind: "quota-exhausted", scope: "instance", quota: "method", allowedChatIds: [] },
      },
    ],
    [429, "", { kind: "throttled", retryAfterMs: undefined }],
    [499, "", unanswered("HTTP_499")],
    [500, { message: "Instance is deleted" }, unanswered("HTTP_500")],
    [503, "", unanswered("HTTP_503")],
    [400, { message: "something else" }, unanswered("HTTP_400")],
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
  z.strictObject({
    kind: z.literal("state"),
    state: z.string().regex(/^[A-Za-z]{1,40}$/),
    verdict: z.enum(["works", "waits", "needs-person", "unknown"]),
  }),
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
  fc.constantFrom(
    "authorized",
    "Instance is deleted",
    "rate-overlimit",
    "CORRESPONDENTS_QUOTA_EXCEEDED",
    401,
  ),
  fc.jsonValue({ maxDepth: 3 }),
);
const key = fc.constantFrom(
  "stateInstance",
  "message",
  "reason",
  "code",
  "statusCode",
  "__proto__",
  "toString",
);
const body = fc.oneof(
  fc.dictionary(key, value).map((fields) => JSON.stringify(fields)),
  fc.json(),
  fc.string({ unit: "binary", maxLength: 300 }),
);
const headers = fc.record({ "retry-after": fc.oneof(fc.string(), fc.integer().map(String)) });

test("any reply gives a member of the union, and never an exception", () => {
  fc.assert(
    fc.property(status, headers, body, (status, headers, body) => {
      reportSchema.parse(judgeStateReply({ status, headers, body }, token, now));
    }),
    { numRuns: 3_000 },
  );
});

const letters = fc.string({
  unit: fc.constantFrom(..."abcdefghijklmnopqrstuvwxyzABCXYZ".split("")),
  minLength: 16,
  maxLength: 40,
});
const wrappers: readonly ((token: string) => string)[] = [
  (token) => JSON.stringify({ stateInstance: token }),
  (token) => JSON.stringify({ stateInstance: token.toUpperCase() }),
  (token) =>
    `{"stateInstance":"${token
      .split("")
      .map((letter) => `\\u${toHex(letter)}`)
      .join("")}"}`,
  (token) => JSON.stringify({ message: `no /waInstance1/getStateInstance/${token}`, path: token }),
  (token) => token,
];

function toHex(letter: string): string {
  return letter.charCodeAt(0).toString(16).padStart(4, "0");
}

test("whatever the token and however the body holds it, no report does", () => {
  fc.assert(
    fc.property(letters, fc.constantFrom(...wrappers), status, (token, wrap, status) => {
      const report = judgeStateReply({ status, headers: {}, body: wrap(token) }, token, now);
      expect(JSON.stringify(report).toLowerCase()).not.toContain(token.toLowerCase());
    }),
    { numRuns: 1_000 },
  );
});

test.each([
  ["brackets", "[".repeat(1_000_000)],
  ["blanks", `{"stateInstance":"${" ".repeat(1_000_000)}x"}`],
  ["letters", `{"stateInstance":"${"x".repeat(1_000_000)}"}`],
])("a long body of %s comes to an end", (_, body) => {
  expect(read(200, body)).toEqual(
    body.startsWith('{"stateInstance":" ')
      ? { kind: "state", state: "x", verdict: "unknown" }
      : unanswered("NOT_UNDERSTOOD"),
  );
});
