import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { createAnswerPoller } from "../../src/http/answers/answer-poller.ts";
import type { RefreshTicket } from "../../src/domain/requests/refresh-ticket.ts";
import { createGate } from "../support/gate.ts";

const intervalMs = 50;
const never = new AbortController().signal;

const toTicket = (batchId: string): RefreshTicket => ({ batchId, contactId: 1, requestedAt: new Date(0) });

/** A store that remembers what it was asked, and answers for what is in `answered`. */
function createSource() {
  const source = {
    questions: [] as string[][],
    answered: new Set<string>(),
    isAway: false,
    findAnswered: async (tickets: readonly RefreshTicket[]) => {
      const batchIds = tickets.map(({ batchId }) => batchId);
      source.questions.push(batchIds);
      if (source.isAway) throw new Error("away");
      return batchIds.filter((batchId) => source.answered.has(batchId));
    },
  };
  return source;
}

const tick = async () => vi.advanceTimersByTimeAsync(intervalMs);

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe("waiting for an answer", () => {
  test("takes one question at a time for all who wait, and ends for each with its own answer", async () => {
    const source = createSource();
    const { whenAnswered } = createAnswerPoller({ findAnswered: source.findAnswered });
    const waiting = ["a", "b", "c"].map(async (batchId) => whenAnswered(toTicket(batchId), never));
    await tick();
    source.answered.add("b");
    await tick();
    expect(await waiting[1]).toBe(true);
    source.answered.add("a").add("c");
    await tick();
    expect(await Promise.all(waiting)).toEqual([true, true, true]);
    expect(source.questions).toEqual([
      ["a", "b", "c"],
      ["a", "b", "c"],
      ["a", "c"],
    ]);
  });

  test("asks nothing while nobody waits, and begins again with the next", async () => {
    const source = createSource();
    const { whenAnswered } = createAnswerPoller({ findAnswered: source.findAnswered });
    expect(vi.getTimerCount()).toBe(0);
    source.answered.add("a").add("b");
    for (const batchId of ["a", "b"]) {
      const waiting = whenAnswered(toTicket(batchId), never);
      await tick();
      expect(await waiting).toBe(true);
      expect(vi.getTimerCount()).toBe(0);
    }
    expect(source.questions).toEqual([["a"], ["b"]]);
  });

  test("ends at once, without an answer, with its own signal only", async () => {
    const source = createSource();
    const { whenAnswered } = createAnswerPoller({ findAnswered: source.findAnswered });
    const controller = new AbortController();
    const [leaving, staying] = [
      whenAnswered(toTicket("a"), controller.signal),
      whenAnswered(toTicket("b"), never),
    ];
    controller.abort();
    expect(await leaving).toBe(false);
    expect(await whenAnswered(toTicket("c"), controller.signal)).toBe(false);
    source.answered.add("b");
    await tick();
    expect(await staying).toBe(true);
    expect(source.questions).toEqual([["b"]]);
  });

  test("asks nothing when all have left before the first question", async () => {
    const source = createSource();
    const { whenAnswered } = createAnswerPoller({ findAnswered: source.findAnswered });
    const controller = new AbortController();
    const leaving = whenAnswered(toTicket("a"), controller.signal);
    controller.abort();
    expect(await leaving).toBe(false);
    await tick();
    expect(source.questions).toEqual([]);
    expect(vi.getTimerCount()).toBe(0);
  });

  test("goes on when a question fails", async () => {
    const source = createSource();
    const { whenAnswered } = createAnswerPoller({ findAnswered: source.findAnswered });
    source.isAway = true;
    source.answered.add("a");
    const waiting = whenAnswered(toTicket("a"), never);
    await tick();
    await tick();
    source.isAway = false;
    await tick();
    expect(await waiting).toBe(true);
    expect(source.questions).toHaveLength(3);
  });

  test("never asks twice at once, however long an answer takes", async () => {
    const gate = createGate<string[]>();
    let questions = 0;
    const { whenAnswered } = createAnswerPoller({
      async findAnswered() {
        questions += 1;
        return gate.opened;
      },
    });
    const early = whenAnswered(toTicket("a"), never);
    await tick();
    const late = whenAnswered(toTicket("b"), never);
    await tick();
    await tick();
    expect(questions).toBe(1);
    gate.open(["a", "b"]);
    expect(await early).toBe(true);
    await tick();
    expect(await late).toBe(true);
    expect(questions).toBe(2);
  });
});
