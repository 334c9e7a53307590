import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { findHookSecret, createHookSecret } from "../../src/lib/secrets/hook-secret.ts";
import { readSignal } from "../../src/provider/read-signal.ts";
import { toIncomingCall, toMessage, toStateChange } from "../support/notifications.ts";

const instanceId = "1101000001";

describe("readSignal", () => {
  test.each([
    ["a user", "79001234568@c.us", "79001234568@c.us"],
    ["a user with a device", "79001234568:12@s.whatsapp.net", "79001234568@c.us"],
    ["a group, and not its member who wrote", "120363043968066561@g.us", "120363043968066561@g.us"],
    ["a privacy id", "120363043968066@lid", "120363043968066@lid"],
  ])("finds the chat of a message: %s", (_what, chatId, expected) => {
    expect(readSignal(toMessage(instanceId, chatId))).toEqual({ instanceId, kind: "chat", chatId: expected });
  });

  test("finds the other side of a call", () => {
    expect(readSignal(toIncomingCall(instanceId, "79001234568@c.us"))).toEqual({
      instanceId,
      kind: "chat",
      chatId: "79001234568@c.us",
    });
    const outgoing = { ...toIncomingCall(instanceId, "79001234568@c.us"), typeWebhook: "outgoingCall" };
    expect(readSignal(outgoing)).toMatchObject({ kind: "chat", chatId: "79001234568@c.us" });
  });

  test("knows that an account has logged in, and leaves all other states to those who look", () => {
    expect(readSignal(toStateChange(instanceId, "authorized"))).toEqual({ instanceId, kind: "authorized" });
    for (const state of ["notAuthorized", "blocked", "sleepMode", "starting", "suspended", ""])
      expect(readSignal(toStateChange(instanceId, state))).toEqual({ instanceId, kind: "nothing" });
  });

  test("takes an instance's id as a number or as a text, of up to twelve digits", () => {
    for (const idInstance of [781234567890, "781234567890"])
      expect(readSignal({ typeWebhook: "x", instanceData: { idInstance } })).toEqual({
        instanceId: "781234567890",
        kind: "nothing",
      });
  });

  test.each([
    ["a channel", toMessage(instanceId, "120363043968066561@newsletter")],
    ["a status", toMessage(instanceId, "status@broadcast")],
    [
      "a status of a message, which was told of before",
      toMessage(instanceId, "79001234568@c.us", "outgoingMessageStatus"),
    ],
    ["a kind of notification to come", toMessage(instanceId, "79001234568@c.us", "somethingNew")],
    ["a message without a sender", { ...toMessage(instanceId, "x"), senderData: undefined }],
    [
      "a message with another shape of sender",
      { ...toMessage(instanceId, "x"), senderData: ["79001234568@c.us"] },
    ],
  ])("makes nothing of %s", (_what, body) => {
    expect(readSignal(body)).toEqual({ instanceId, kind: "nothing" });
  });

  test("is total, and gives a canonical chat id or none", () => {
    const text = fc.oneof(
      fc.string(),
      fc.constantFrom("incomingMessageReceived", "incomingCall", "79001234568@c.us"),
    );
    const body = fc.oneof(
      fc.jsonValue(),
      fc.record(
        {
          typeWebhook: fc.oneof(text, fc.jsonValue()),
          instanceData: fc.oneof(
            fc.record({ idInstance: fc.oneof(fc.integer(), fc.jsonValue()) }),
            fc.jsonValue(),
          ),
          senderData: fc.oneof(fc.record({ chatId: fc.oneof(text, fc.jsonValue()) }), fc.jsonValue()),
          from: fc.oneof(text, fc.jsonValue()),
          stateInstance: fc.jsonValue(),
        },
        { requiredKeys: [] },
      ),
    );
    fc.assert(
      fc.property(body, (given) => {
        const signal = readSignal(given);
        if (signal.kind === "chat") expect(signal.chatId).toMatch(/^[\d-]{5,46}@(?:c\.us|g\.us|lid)$/);
      }),
    );
  });
});

describe("findHookSecret", () => {
  test("finds the secret behind any scheme and in any credentials, and nothing else", () => {
    const secret = createHookSecret();
    expect(secret).toMatch(/^avh_[\w-]{43}$/);
    fc.assert(
      fc.property(
        fc.constantFrom("", "Bearer ", "bearer ", "Token ", "Basic "),
        fc.constantFrom(
          secret,
          ...[secret, `user:${secret}`, `${secret}:`].map((text) => Buffer.from(text).toString("base64")),
        ),
        (scheme, value) => {
          expect(findHookSecret(`${scheme}${value}`)).toBe(secret);
        },
      ),
    );
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(findHookSecret(text)).toBeUndefined();
      }),
    );
    for (const header of [undefined, "", "Bearer", `${secret}x`, `x${secret}`, `${" ".repeat(500)}${secret}`])
      expect(findHookSecret(header)).toBeUndefined();
  });
});
