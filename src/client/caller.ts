import type { ClientOptions, Timing } from "./call-options.ts";
import type { PageOptions } from "./call-options.ts";
import type { OperationId } from "./http/operations.ts";
import { readJson } from "./read-answer.ts";
import { createSend, type Call, type Send } from "./send.ts";

/** What the methods of a client are made of. */
export interface Caller {
  readonly send: Send;
  /** Sends, and reads JSON of the shape that the operation answers with. */
  readonly ask: <Shape>(
    operation: OperationId,
    call: Omit<Call<Shape>, "operation" | "read">,
  ) => Promise<Shape>;
  readonly timing: Timing;
  /** Of the whole client. */
  readonly signal: AbortSignal | undefined;
}

/** @throws TypeError for options that cannot be used */
export function createCaller(options: ClientOptions, timing: Timing): Caller {
  const send = createSend(options, timing);
  return {
    send,
    ask: async <Shape>(operation: OperationId, call: Omit<Call<Shape>, "operation" | "read">) =>
      send({ operation, ...call, read: readJson<Shape> }),
    timing,
    signal: options.signal,
  };
}

export function toJsonBody(value: unknown): Pick<Call<unknown>, "body"> {
  const content = JSON.stringify(value);
  return { body: () => ({ content, type: "application/json" }) };
}

/** All items, page by page, from the cursor on. */
export async function* iteratePages<Item>(
  from: PageOptions | undefined,
  readPage: (page: PageOptions) => Promise<{ readonly items: readonly Item[]; readonly next: string | null }>,
): AsyncGenerator<Item, void, undefined> {
  let cursor = from?.cursor;
  for (;;) {
    const { items, next } = await readPage({ cursor });
    yield* items;
    if (next === null) return;
    cursor = next;
  }
}
