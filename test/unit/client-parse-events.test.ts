import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseEvents, type StreamEvent } from "../../src/client/http/parse-events.ts";
import { collect } from "../support/collect.ts";

async function parse(...chunks: readonly string[]): Promise<StreamEvent[]> {
  async function* give() {
    yield* chunks;
  }
  return collect(parseEvents(give()));
}

const event = (data: string, more: Partial<Extract<StreamEvent, { kind: "event" }>> = {}) =>
  ({ kind: "event", event: "message", data, id: "", ...more }) as const;

describe("parseEvents", () => {
  test.each<[string, StreamEvent[]]>([
    ["data: a\n\n", [event("a")]],
    ["\ufeffdata: a\n\n", [event("a")]],
    ["id: 7\nevent: done\ndata: {}\n\n", [event("{}", { id: "7", event: "done" })]],
    ["data:a\ndata:  b\n\n", [event("a\n b")]],
    ["data\n\n", [event("")]],
    ["event: x\n\ndata: a\n\n", [event("a")]],
    ["id: 1\ndata: a\n\ndata: b\n\n", [event("a", { id: "1" }), event("b", { id: "1" })]],
    ["id: 1\ndata: a\n\nid\ndata: b\n\n", [event("a", { id: "1" }), event("b")]],
    ["id: a\0b\ndata: a\n\n", [event("a")]],
    ["retry: 2000\n\n", [{ kind: "retry", retryMs: 2000 }]],
    ["retry: soon\n\nretry: -1\n\nretry:\n\n", []],
    [": still here\n\n", [{ kind: "comment" }]],
    ["other: x\ndata: a\n\n", [event("a")]],
    ["data: cut off\n", []],
    ["data: cut off", []],
    ["", []],
  ])("reads %j", async (text, events) => {
    expect(await parse(text)).toEqual(events);
  });

  test("reads the same whatever ends the lines, and wherever the chunks are cut", async () => {
    const lines = [
      "retry: 5",
      "",
      "id: 1",
      "event: progress",
      'data: {"a": 1}',
      "data: ü",
      "",
      ": x",
      "",
      "",
    ];
    const expected = await parse(lines.join("\n"));
    expect(expected).toHaveLength(3);
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom("\n", "\r", "\r\n"),
        fc.array(fc.nat(80), { maxLength: 12 }),
        async (end, cuts) => {
          const text = lines.join(end);
          const places = [0, ...cuts.toSorted((a, b) => a - b), text.length];
          const chunks = places.slice(1).map((to, index) => text.slice(places[index], to));
          expect(await parse(...chunks)).toEqual(expected);
        },
      ),
    );
  });
});
