import { describe, expect, test } from "vitest";
import type { ContactListReport } from "../../src/domain/lookup/contact-list-report.ts";
import { explainHold, holdReasons } from "../../src/domain/trouble/hold.ts";
import type { InstanceId } from "../../src/domain/instance-id.ts";
import { createReading } from "../../src/domain/requests/reading.ts";
import { importRecords } from "../../src/intake/import-records.ts";
import { decideListing, listContacts } from "../../src/intake/list-contacts.ts";
import { readContactList } from "../../src/intake/read-contact-list.ts";
import { instanceOutcomes } from "../support/outcomes.ts";
import { collect } from "../support/collect.ts";

const id = "1101000001" as InstanceId;
const now = new Date("2026-08-15T12:00:00Z");
const none = { empty: 0, throttled: 0 };

const list = (...ids: string[]): ContactListReport => ({ kind: "contacts", ids });
const throttled = (retryAfterMs?: number): ContactListReport => ({ kind: "throttled", retryAfterMs });

describe("a report", () => {
  test("with contacts is the end", () => {
    const step = decideListing(id, list("79001234567@c.us"), { empty: 1, throttled: 3 }, now);
    expect(step).toEqual({ kind: "done", ids: ["79001234567@c.us"] });
  });

  test("without any is doubted once", () => {
    const again = { kind: "again", waitMs: 0, tally: { empty: 1, throttled: 2 } };
    expect(decideListing(id, list(), { empty: 0, throttled: 2 }, now)).toEqual(again);
    expect(decideListing(id, list(), { empty: 1, throttled: 0 }, now)).toMatchObject({
      kind: "failed",
      error: { code: "no-contacts", retryable: true },
    });
  });

  test.each([
    [0, 30_000, 30_000],
    [2, undefined, 2_000],
    [2, 0, 0],
  ])("that asks to wait for the %i+1st time waits", (before, retryAfterMs, waitMs) => {
    const tally = { empty: 1, throttled: before };
    expect(decideListing(id, throttled(retryAfterMs), tally, now)).toEqual({
      kind: "again",
      waitMs,
      tally: { empty: 1, throttled: before + 1 },
    });
  });

  test("that asks to wait for the fourth time is the end", () => {
    const step = decideListing(id, throttled(0), { empty: 0, throttled: 3 }, now);
    expect(step).toMatchObject({ kind: "failed", error: { code: "instance-throttled" } });
  });

  test.each(instanceOutcomes.filter(({ kind }) => kind !== "throttled"))(
    "that the instance is refused ($kind) says so in the words of the hold",
    (outcome) => {
      if (outcome.kind === "throttled") return;
      const step = decideListing(id, { kind: "refused", outcome }, none, now);
      if (step.kind !== "failed") return expect.unreachable();
      const reason = holdReasons.find((known) => step.error.code === `instance-${known}`);
      const { text, advice } = explainHold(reason ?? "");
      expect(reason).toBeDefined();
      expect(step.error.message).toContain(`instance ${id}: ${text}`);
      expect(step.error.message).toContain(advice ?? "try again in a few minutes");
    },
  );

  test.each(["DEADLINE", "ECONNREFUSED", "HTTP_503", "NOT_UNDERSTOOD"])(
    "that there is no answer (%s) is not believed to be no contacts",
    (code) => {
      const step = decideListing(id, { kind: "unanswered", code }, none, now);
      expect(step).toMatchObject({ kind: "failed", error: { code: "contacts-unanswered", retryable: true } });
    },
  );
});

/** Answers with the reports in turn. */
function ask(reports: readonly ContactListReport[], signal = new AbortController().signal) {
  const told = [...reports];
  const waits: number[] = [];
  const ports = { ask: async () => told.shift()!, waiting: (waitMs: number) => void waits.push(waitMs) };
  return { waits, left: told, listed: listContacts(id, ports, signal) };
}

test("an empty list and a refusal are got over, and the wait for the refusal is told", async () => {
  const { waits, listed } = ask([list(), throttled(1), list("1@lid")]);
  expect(await listed).toEqual(["1@lid"]);
  expect(waits).toEqual([1]);
});

test("a stop ends a wait", async () => {
  const stopping = new AbortController();
  const { listed, left } = ask([throttled(3_600_000), list("1@lid")], stopping.signal);
  stopping.abort();
  await expect(listed).rejects.toThrow("aborted");
  expect(left).toHaveLength(1);
});

test("the records of a list are its chats, numbered by its entries", async () => {
  const ids = [
    "79001234567@c.us",
    "",
    "status@broadcast",
    "79001234567",
    "120363000012345678@g.us",
    "1@newsletter",
  ];
  const records = (await collect(readContactList(ids))).flat();
  expect(records).toEqual([
    { kind: "contact", position: 1, chatId: "79001234567@c.us", externalRef: undefined },
    { kind: "reject", position: 2, text: "", reason: "empty" },
    expect.objectContaining({ kind: "reject", position: 3, text: "status@broadcast" }),
    // Elsewhere a phone number: what else than WhatsApp's has no @.
    expect.objectContaining({ kind: "reject", position: 4 }),
    { kind: "contact", position: 5, chatId: "120363000012345678@g.us", externalRef: undefined },
    expect.objectContaining({ kind: "reject", position: 6, text: "1@newsletter" }),
  ]);
});

test("a long list comes in chunks, and its numbers go on", async () => {
  const ids = Array.from({ length: 2_500 }, (_, index) => `79${String(index).padStart(9, "0")}@c.us`);
  const chunks = await collect(readContactList(ids));
  expect(Math.max(...chunks.map(({ length }) => length))).toBeLessThanOrEqual(1_000);
  expect(chunks.flat().map(({ position }) => position)).toEqual(ids.map((_, index) => index + 1));
});

test("with strict the first entry that is no chat ends the import, by its number", async () => {
  const accepted: string[] = [];
  const imported = importRecords(
    readContactList(["79001234567@c.us", "status@broadcast", "79001234568@c.us"]),
    { strict: true, reading: createReading("row") },
    {
      acceptChunk: async (chunk) => void accepted.push(...chunk.map(({ chatId }) => chatId)),
      reject: () => undefined,
    },
  );
  await expect(imported).rejects.toThrow(
    /^row 2: unknown kind of chat .* With --strict the first bad row ends/,
  );
  expect(accepted).toEqual(["79001234567@c.us"]);
});
