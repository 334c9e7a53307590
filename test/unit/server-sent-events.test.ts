import { expect, test } from "vitest";
import { streamEvents, type ServerSentEvent } from "../../src/http/answers/server-sent-events.ts";

const hint = "retry: 2000\n\n";

async function* toEvents(...ids: string[]): AsyncGenerator<ServerSentEvent> {
  for (const id of ids) yield { id, event: "progress", data: `{"id":"${id}"}` };
}

async function read(events: AsyncIterable<ServerSentEvent>, isAllowed = async () => true): Promise<string[]> {
  const texts: string[] = [];
  for await (const text of streamEvents(events, isAllowed)) texts.push(text);
  return texts;
}

async function* failing(): AsyncGenerator<ServerSentEvent> {
  yield* toEvents("1");
  throw new Error("away");
}

test("events are told in their order, between hints when to come again", async () => {
  expect(await read(toEvents("1", "2"))).toEqual([
    hint,
    'id: 1\nevent: progress\ndata: {"id":"1"}\n\n',
    'id: 2\nevent: progress\ndata: {"id":"2"}\n\n',
    hint,
  ]);
});

test("who may not read any more is told nothing more, and the events are let go", async () => {
  let left = false;
  async function* endless(): AsyncGenerator<ServerSentEvent> {
    try {
      for (let id = 1; ; id += 1) yield { id: String(id), event: "progress", data: "{}" };
    } finally {
      left = true;
    }
  }
  let reads = 0;
  const texts = await read(endless(), async () => (reads += 1) <= 2);
  expect(texts.slice(1, -1).map((text) => text.split("\n")[0])).toEqual(["id: 1", "id: 2"]);
  expect(left).toBe(true);
});

test("what the events fail with, the stream fails with", async () => {
  await expect(read(failing())).rejects.toThrow("away");
});
