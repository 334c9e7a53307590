import fc from "fast-check";
import { expect, test } from "vitest";
import { z } from "zod";

import { parseChatId } from "../../src/domain/chat-id.ts";
import { classify } from "../../src/provider/classify.ts";
import { judgeReply } from "../../src/provider/judge-reply.ts";

const now = new Date("2026-08-01T00:00:00Z");

const chat = z.literal("chat");
const instance = z.literal("instance");
const call = z.literal("call");
const outcomeSchema = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: z.literal("present"),
    scope: chat,
    url: z
      .string()
      .regex(/^(https?:|data:image\/)/i)
      .optional(),
    base64: z.string().optional(),
    urlExpiresAt: z.date().optional(),
    version: z.string().min(1),
  }),
  z.strictObject({ kind: z.enum(["absent", "invalid", "chat-timeout", "client-closed"]), scope: chat }),
  z.strictObject({ kind: z.literal("hidden"), scope: chat, told: z.boolean() }),
  z.strictObject({
    kind: z.literal("throttled"),
    scope: instance,
    retryAfterMs: z.number().min(0).max(3_600_000).optional(),
    by: z.enum(["provider", "whatsapp"]),
  }),
  z.strictObject({ kind: z.literal("unauthorized"), scope: instance, status: z.number() }),
  z.strictObject({
    kind: z.enum(["not-found", "starting", "not-authorized", "blocked", "expired", "deleted"]),
    scope: instance,
  }),
  z.strictObject({
    kind: z.literal("quota-exhausted"),
    scope: instance,
    quota: z.enum(["method", "correspondents"]),
    allowedChatIds: z.array(z.string().refine((id) => parseChatId(id).ok)).max(100),
  }),
  z.strictObject({ kind: z.literal("server-error"), scope: call, status: z.number().min(500) }),
  z.strictObject({
    kind: z.literal("unclear"),
    scope: call,
    status: z.number(),
    excerpt: z
      .string()
      .max(120)
      .regex(/^(?!.*\d{7})[^\n\r\0]*$/),
  }),
]);

const status = fc.oneof(
  fc.constantFrom(200, 200, 200, 400, 401, 404, 429, 466, 499, 500),
  fc.integer({ min: 100, max: 999 }),
);
const word = fc.constantFrom(
  "",
  "undefined",
  "bad request data",
  "rate-overlimit",
  "Instance is deleted",
  "https://pps.whatsapp.net/v/a.jpg?oe=66041D5F",
  "http://[",
  "https://",
  "data:image/png;base64,AAAA",
  "79001234567@c.us",
  "CORRESPONDENTS_QUOTA_EXCEEDED",
);
const value = fc.oneof(word, fc.jsonValue({ maxDepth: 3 }), fc.constantFrom(401, 400, 466, 503));
const keys = [
  "urlAvatar",
  "available",
  "base64Avatar",
  "reason",
  "message",
  "description",
  "code",
  "statusCode",
  "status",
  "error",
  "__proto__",
  "toString",
];
const part = fc.record({ status: value, description: value }, { requiredKeys: [] });
const likeAnAnswer = fc
  .tuple(
    fc.dictionary(fc.constantFrom(...keys), value),
    fc.record({ invokeStatus: part, correspondentsStatus: part }, { requiredKeys: [] }),
  )
  .map(([fields, quota]) => JSON.stringify({ ...fields, ...quota }));
const body = fc.oneof(likeAnAnswer, word, fc.json(), fc.string({ unit: "binary", maxLength: 300 }));
const headers = fc.record({ "retry-after": fc.oneof(fc.string(), fc.integer().map(String)) });

test("any reply gives a member of the union, and never an exception", () => {
  fc.assert(
    fc.property(status, headers, body, (status, headers, body) => {
      outcomeSchema.parse(classify(status, headers, body, now));
    }),
    { numRuns: 3_000 },
  );
});

test.each([NaN, -1, 0, 1e9])("even a status of %d gives a member of the union", (status) => {
  expect(() => classify(status, {}, "", now)).not.toThrow();
});

// Built to last: each of these took minutes with a careless pattern.
test.each([
  ["blanks", `{"urlAvatar":"${" ".repeat(1_000_000)}x"}`],
  ["backslashes", "\\".repeat(1_000_000)],
  ["percents", `%${"25".repeat(500_000)}`],
  ["brackets", "[".repeat(1_000_000)],
  ["open tags", "<".repeat(1_000_000)],
  ["digits", "1".repeat(1_000_000)],
  [
    "validations",
    JSON.stringify({ message: Array.from({ length: 20_000 }, () => "validation failed chatid") }),
  ],
  ["deep messages", `{"message":${"[".repeat(100_000)}${"]".repeat(100_000)}}`],
  ["depth", `{"correspondentsStatus":{"description":${"[".repeat(100_000)}${"]".repeat(100_000)}}}`],
])("a long body of %s comes to an end", (_, body) => {
  for (const status of [200, 400, 466]) {
    outcomeSchema.parse(judgeReply({ status, headers: {}, body }, "d75b3a66\\374942", now));
  }
});

const token = fc.oneof(
  fc.string({ unit: fc.constantFrom(..."0123456789abcdef".split("")), minLength: 10, maxLength: 50 }),
  fc.string({
    unit: fc.constantFrom(..."abcXYZ019%+/=_-.\"'\\ <>:?#".split("")),
    minLength: 10,
    maxLength: 40,
  }),
  fc.string({ unit: "grapheme", minLength: 10, maxLength: 30 }),
);
const encoders: readonly ((text: string) => string)[] = [
  (text) => text,
  (text) => text.toUpperCase(),
  (text) => text.toLowerCase(),
  (text) => encodeURIComponent(text),
  (text) => encodeURIComponent(encodeURIComponent(text)),
  (text) => encodeURIComponent(text).toLowerCase(),
  (text) => JSON.stringify(text).slice(1, -1),
  (text) => JSON.stringify(JSON.stringify(text)).slice(3, -3),
  (text) => text.replaceAll("/", "\\/"),
  (text) =>
    Array.from(
      { length: text.length },
      (_, at) => `\\u${text.charCodeAt(at).toString(16).padStart(4, "0")}`,
    ).join(""),
];
const wrappers: readonly ((token: string) => string)[] = [
  (token) => token,
  (token) => JSON.stringify({ message: token }),
  (token) => `{"statusCode":400,"path":"/waInstance3100000001/getAvatar/${token}","message":"oops"}`,
  (token) => JSON.stringify({ urlAvatar: `https://cdn.test/${token}/a.jpg?oe=66041D5F` }),
  (token) => `{"urlAvatar":"https://cdn.test/a.jpg?t=${token}"}`,
  (token) => `{"urlAvatar":"data:image/png;base64,${token}"}`,
  (token) => `<html><a href="/waInstance1/getAvatar/${token}">${token}</a></html>`,
  (token) => `{"correspondentsStatus":{"status":"QUOTA_EXCEEDED","description":"${token}@c.us"}}`,
  (token) => token.split("").join("<b></b>"),
  (token) => token.replaceAll(" ", " \n "),
];

test("whatever the token and however the body holds it, no outcome does", () => {
  fc.assert(
    fc.property(
      token,
      fc.constantFrom(...encoders),
      fc.constantFrom(...wrappers),
      fc.string({ maxLength: 10 }),
      status,
      (token, encode, wrap, around, status) => {
        const body = wrap(`${around}${encode(token)}${around}`);
        const outcome = judgeReply({ status, headers: {}, body }, token, now);
        outcomeSchema.parse(outcome);
        // Its own text, and what a log line or a job would hold of it.
        const texts = [...Object.values(outcome).map(String), JSON.stringify(outcome)];
        for (const text of texts) expect(text).not.toContain(token);
      },
    ),
    { numRuns: 2_000 },
  );
});

test("a token that a URL only forms when it is resolved leaves no URL", () => {
  const body = JSON.stringify({ urlAvatar: "https://cdn.test/v/./secret/x/../avatar.jpg" });
  const outcome = judgeReply({ status: 200, headers: {}, body }, "v/secret/avatar.jpg", now);
  expect(outcome).toEqual({ kind: "unclear", scope: "call", status: 200, excerpt: "" });
});

test("a token that looks like a chat id is not one of the chats that still work", () => {
  const description = "only these numbers: 12345678901@c.us, 12345678902@c.us";
  const body = JSON.stringify({ correspondentsStatus: { status: "QUOTA_EXCEEDED", description } });
  const outcome = judgeReply({ status: 466, headers: {}, body }, "12345678901", now);
  expect(outcome).toMatchObject({ quota: "correspondents", allowedChatIds: ["12345678902@c.us"] });
});
