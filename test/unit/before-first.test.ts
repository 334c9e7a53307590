import { expect, test } from "vitest";
import { beforeFirst } from "../../src/app/subjects/before-first.ts";

/** Gives the items, and notes all that happens. */
function createSource(items: readonly number[], error?: Error) {
  const noted: string[] = [];
  async function* give() {
    try {
      for (const item of items) {
        noted.push(`give ${item}`);
        yield item;
      }
      if (error) throw error;
    } finally {
      noted.push("closed");
    }
  }
  return { items: give(), noted };
}

async function take(source: ReturnType<typeof createSource>, act = async () => {}): Promise<void> {
  const acting = async () => {
    source.noted.push("act");
    await act();
  };
  for await (const item of beforeFirst(source.items, acting)) source.noted.push(`take ${item}`);
}

test.each([
  ["the first item", [1, 2], ["give 1", "act", "take 1", "give 2", "take 2", "closed"]],
  ["the end where there is none", [], ["closed", "act"]],
])("acts once, before %s", async (_what, items, expected) => {
  const source = createSource(items);
  await take(source);
  expect(source.noted).toEqual(expected);
});

test("does not act for a source that fails before its first item", async () => {
  const source = createSource([], new Error("no password"));
  await expect(take(source)).rejects.toThrow("no password");
  expect(source.noted).toEqual(["closed"]);
});

test("closes the source when the act fails", async () => {
  const source = createSource([1, 2]);
  await expect(take(source, () => Promise.reject(new Error("no table")))).rejects.toThrow("no table");
  expect(source.noted).toEqual(["give 1", "act", "closed"]);
});
