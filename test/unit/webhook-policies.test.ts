import fc from "fast-check";
import { Webhook } from "standardwebhooks";
import { describe, expect, test } from "vitest";
import { listPersonal, type AvatarItem, type FeedItem } from "../../src/domain/webhooks/feed-item.ts";
import type { InstanceId } from "../../src/domain/instance-id.ts";
import { retryWaitsMs, toRetryWaitMs } from "../../src/domain/webhooks/retry-schedule.ts";
import { selectItems } from "../../src/domain/webhooks/select-items.ts";
import { toPayload } from "../../src/domain/webhooks/to-payload.ts";
import { webhookTypes } from "../../src/domain/webhooks/webhook-type.ts";
import {
  createWebhookSecret,
  deriveCallbackSecret,
  signWebhook,
} from "../../src/lib/secrets/webhook-secret.ts";
import { redactAnswer } from "../../src/webhooks/redact-answer.ts";

const instanceId = "1101000001" as InstanceId;
const all = { types: webhookTypes, instanceIds: undefined, includesFirstSeen: false };

function toItem(id: number, contactId: number, fields: Partial<AvatarItem> = {}): AvatarItem {
  return {
    id,
    type: "avatar.changed",
    at: new Date(1_790_000_000_000 + id),
    instanceId,
    contactId,
    chatId: `7900000${String(contactId).padStart(4, "0")}@c.us`,
    externalRef: undefined,
    status: "present",
    version: `v${id}`,
    previousVersion: `v${id - 1}`,
    imageUrl: "https://avatars.example/i/token",
    imageSha256: "0123456789abcdef0123",
    isFirst: false,
    ...fields,
  };
}

/** Parts of a feed: ids ascend, contacts are few, so that they meet. */
const feeds = fc
  .array(
    fc.record({ contactId: fc.integer({ min: 1, max: 4 }), isFirst: fc.boolean(), isRemoval: fc.boolean() }),
    {
      maxLength: 30,
    },
  )
  .map((changes) =>
    changes.map(({ contactId, isFirst, isRemoval }, index) =>
      toItem(index + 1, contactId, {
        isFirst: isFirst && !isRemoval,
        ...(isRemoval && { type: "avatar.removed" as const, version: undefined }),
      }),
    ),
  );

/** The last item of each contact. */
function lastOf(told: readonly FeedItem[]): Map<number, number> {
  return new Map((told as AvatarItem[]).map((item) => [item.contactId, item.id]));
}

describe("what an endpoint is told of", () => {
  test("is of each contact its last change, in the order of the feed", () => {
    fc.assert(
      fc.property(feeds, (items) => {
        const told = selectItems(items, all, "me") as AvatarItem[];
        const wanted = items.filter((item) => !item.isFirst);
        const lastIds = [...new Map(wanted.map((item) => [item.contactId, item.id])).values()];
        expect(told.map(({ id }) => id)).toEqual(lastIds.toSorted((a, b) => a - b));
        for (const item of told) {
          const first = wanted.find(({ contactId }) => contactId === item.contactId);
          expect(item.previousVersion).toBe(first?.previousVersion);
        }
      }),
    );
  });

  test("does not depend on where the feed is cut, but for changes that one part holds together", () => {
    fc.assert(
      fc.property(feeds, fc.nat(30), (items, at) => {
        const parts = [items.slice(0, at), items.slice(at)].flatMap((part) => selectItems(part, all, "me"));
        expect(lastOf(parts)).toEqual(lastOf(selectItems(items, all, "me")));
      }),
    );
  });

  test("is nothing where the last change of a contact is of a type that is not wanted", () => {
    const items = [toItem(1, 1), toItem(2, 1, { type: "avatar.removed", version: undefined })];
    expect(selectItems(items, { ...all, types: ["avatar.changed"] }, "me")).toEqual([]);
  });

  test("is only of its instances, and not of itself", () => {
    const place = { id: 9, at: new Date(0), instanceId: undefined, reason: "gone" };
    const disabled = { ...place, type: "endpoint.disabled" as const };
    const items: FeedItem[] = [
      toItem(1, 1),
      { ...disabled, endpointId: "me" },
      { ...disabled, endpointId: "other" },
    ];
    expect(selectItems(items, all, "me")).toEqual([items[0], items[2]]);
    expect(selectItems(items, { ...all, instanceIds: ["1101000777" as InstanceId] }, "me")).toEqual([]);
    expect(selectItems(items, { ...all, instanceIds: [instanceId] }, "me")).toEqual([items[0]]);
  });

  test("holds the chat id unless it shall not, and the version in the address of the picture", () => {
    const { data } = toPayload(toItem(7, 1), { omitsChatId: false });
    expect(data).toMatchObject({
      changeId: 7,
      contactId: "1",
      chatId: "79000000001@c.us",
      imageUrl: "https://avatars.example/i/token?v=0123456789abcdef",
    });
    expect(JSON.stringify(toPayload(toItem(7, 1), { omitsChatId: true }))).not.toContain("7900");
  });
});

describe("the wait before another try", () => {
  test("follows the schedule with a jitter of a tenth, and ends after ten tries", () => {
    const [second, minute, hour] = [1_000, 60_000, 3_600_000];
    const schedule = [
      5 * second,
      5 * minute,
      30 * minute,
      ...[2, 5, 10, 14, 20, 24].map((hours) => hours * hour),
    ];
    expect(retryWaitsMs).toEqual(schedule);
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 9 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (tries, chance) => {
          const wait = toRetryWaitMs(tries, undefined, () => chance) ?? 0;
          const planned = schedule[tries - 1] ?? 0;
          expect(wait).toBeGreaterThanOrEqual(planned * 0.9 - 1);
          expect(wait).toBeLessThanOrEqual(planned * 1.1 + 1);
        },
      ),
    );
    expect(toRetryWaitMs(10, undefined, () => 0)).toBeUndefined();
  });

  test("is not shorter than what the receiver asked for", () => {
    expect(toRetryWaitMs(1, 60_000, () => 0)).toBe(60_000);
    expect(toRetryWaitMs(2, 1_000, () => 0.5)).toBe(300_000);
  });
});

describe("a signature", () => {
  test("is one of Standard Webhooks, by each secret", () => {
    fc.assert(
      fc.property(fc.string(), fc.stringMatching(/^[\w-]{1,40}$/), (text, id) => {
        const secrets = [createWebhookSecret(), deriveCallbackSecret(Buffer.alloc(32, 1), "key")];
        const body = JSON.stringify({ text });
        const sentAtS = Math.floor(Date.now() / 1000);
        const headers = {
          "webhook-id": id,
          "webhook-timestamp": String(sentAtS),
          "webhook-signature": signWebhook(secrets, id, sentAtS, body),
        };
        for (const secret of secrets) expect(new Webhook(secret).verify(body, headers)).toEqual({ text });
        expect(() => new Webhook(createWebhookSecret()).verify(body, headers)).toThrow();
      }),
      { numRuns: 20 },
    );
  });

  test("is made with 32 bytes, of which no two are the same", () => {
    const secrets = Array.from({ length: 50 }, createWebhookSecret);
    expect(new Set(secrets).size).toBe(50);
    for (const secret of secrets) expect(Buffer.from(secret.slice(6), "base64")).toHaveLength(32);
  });
});

/** How a receiver may write what it got. */
const spellings: Readonly<Record<string, (text: string) => string>> = {
  plain: (text) => text,
  capitals: (text) => text.toUpperCase(),
  "escapes of JSON": (text) => escapeAll(text, (code) => `\\u${code.toString(16).padStart(4, "0")}`),
  "some escapes of JSON": (text) =>
    escapeAll(text, (code) => (code % 2 ? `\\u00${code.toString(16)}` : String.fromCharCode(code))),
  "escapes of C": (text) => escapeAll(text, (code) => `\\x${code.toString(16)}`),
  "escapes of URLs": (text) => escapeAll(text, (code) => `%${code.toString(16)}`),
  "escapes of HTML": (text) => escapeAll(text, (code) => `&#${code};`),
  "hexadecimal escapes of HTML": (text) => escapeAll(text, (code) => `&#x${code.toString(16)};`),
  "quoted printable": (text) => escapeAll(text, (code) => `=${code.toString(16)}`),
  codes: (text) => JSON.stringify(Array.from(text).map((one) => one.codePointAt(0))),
  base64: (text) => Buffer.from(text).toString("base64"),
  base64url: (text) => Buffer.from(text).toString("base64url"),
  hexadecimal: (text) => Buffer.from(text).toString("hex"),
  "JSON in JSON": (text) => JSON.stringify(JSON.stringify({ text })),
  "with blanks": (text) => Array.from(text).join(" "),
  "in groups": (text) => text.replace(/...(?=.)/g, "$&-"),
};

function escapeAll(text: string, escape: (code: number) => string): string {
  return Array.from(text)
    .map((one) => escape(one.codePointAt(0)!))
    .join("");
}

const toLetters = (text: string) => text.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "");

describe("an answer that is kept", () => {
  test.each([
    ["a secret of ours", `x ${createWebhookSecret()} y`, "x ••• y"],
    ["a signature", "sent v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=", "sent •••"],
    ["a token", "Authorization: Bearer abc.def", "Authorization: •••"],
    ["a JSON web token", "eyJhbGciOiJI.eyJzdWIi.SflKx", "•••"],
    ["a key of ours", "avk_0a1b2c3d4e5f.secret", "•••"],
    ["the chat", "unknown 79001234567@c.us (79001234567)", "unknown ••• (•••)"],
    [
      "another chat",
      "queued behind +7 (900) 765-43-21, 79007654321, bob@crm.example",
      "queued behind ••• (900) •••, •••, •••.example",
    ],
    ["the number without its country", "no 9001 2345 67 here", "no ••• here"],
    ["control characters", "a\u0000b\r\n\u001b[31mc", "a b [•••"],
  ])("shows nothing of %s", (_, text, shown) => {
    expect(redactAnswer(text, ["79001234567@c.us", "79001234567"])).toBe(shown);
  });

  test("shows nothing of whom and what an event is about, however it is spelled", () => {
    const texts = fc.record({
      number: fc.stringMatching(/^[1-9][0-9]{10}$/),
      externalRef: fc.stringMatching(/^[A-Za-z0-9]{4}[A-Za-z0-9 _.#-]{0,26}$/),
      token: fc.stringMatching(/^[A-Za-z0-9_-]{26}$/),
    });
    fc.assert(
      fc.property(
        texts,
        fc.constantFrom(...Object.keys(spellings)),
        ({ number, externalRef, token }, name) => {
          const item = toItem(1, 1, {
            chatId: `${number}@c.us`,
            externalRef,
            imageUrl: `https://avatars.example/i/${token}`,
          });
          for (const text of [
            number,
            externalRef,
            token,
            JSON.stringify(toPayload(item, { omitsChatId: false })),
          ]) {
            const spelled = spellings[name]!(text);
            const shown = redactAnswer(`refused: ${spelled} is unknown`, listPersonal(item)) ?? "";
            expect(shown).not.toContain(spelled);
            for (const one of [number, externalRef, token])
              expect(toLetters(shown)).not.toContain(toLetters(one));
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  test("tells what a receiver says in words", () => {
    for (const text of [
      '{"error":"contact not found","code":404,"requestId":null}',
      "<html><head><title>502 Bad Gateway</title></head><center>nginx/1.24.0</center></html>",
      "HTTP/1.1 500: can't connect to ERR_UPSTREAM, сервер недоступен",
    ])
      expect(redactAnswer(text, ["79001234567@c.us", "79001234567", "crm-77"])).toBe(text);
  });

  test("is one kilobyte at most, and none where nothing was said", () => {
    expect(redactAnswer("no ".repeat(5_000), [])).toHaveLength(1_024);
    expect(redactAnswer(" \r\n", [])).toBeUndefined();
  });
});
