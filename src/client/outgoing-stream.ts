import type { OutgoingBody } from "./send.ts";
import type { NewContact } from "./wire.ts";

type Chunk = string | Uint8Array;

/** Bytes or text that come piece by piece, such as a file's stream; or all of it at once. */
export type StreamSource = Chunk | AsyncIterable<Chunk> | Iterable<Chunk> | ReadableStream<Uint8Array>;

/** Contacts one by one: chat ids or phone numbers, or with ids of your own. */
export type ContactSource = AsyncIterable<string | NewContact> | Iterable<string | NewContact>;

export interface RepeatableBody {
  readonly create: () => OutgoingBody;
  /** It can be made a second time. */
  readonly isRepeatable: boolean;
}

const linesPerChunk = 500;

/** @param source can be sent again when it is a text, bytes, or a function that makes it anew */
export function toStreamBody(source: StreamSource | (() => StreamSource), type: string): RepeatableBody {
  const make = typeof source === "function" ? source : () => source;
  const isRepeatable = typeof source !== "object" || source instanceof Uint8Array || Array.isArray(source);
  return {
    isRepeatable,
    create() {
      const made = make();
      return toOutgoing(
        typeof made === "string" || made instanceof Uint8Array ? [made] : toChunks(made),
        type,
      );
    },
  };
}

/** @param contacts can be sent again when they are an array, or a function that makes them anew */
export function toContactBody(contacts: ContactSource | (() => ContactSource)): RepeatableBody {
  const make = typeof contacts === "function" ? contacts : () => contacts;
  return {
    isRepeatable: typeof contacts === "function" || Array.isArray(contacts),
    create: () => toOutgoing(toNdjson(make()), "application/x-ndjson"),
  };
}

/** A stream of the web is not iterable in every browser. */
function toChunks(source: Exclude<StreamSource, Chunk>): AsyncIterable<Chunk> | Iterable<Chunk> {
  if (Symbol.asyncIterator in source || Symbol.iterator in source) return source;
  const reader = (source as ReadableStream<Uint8Array>).getReader();
  return {
    [Symbol.asyncIterator]: () => ({
      async next() {
        const { done, value } = await reader.read();
        return done ? { done, value: undefined } : { done, value };
      },
      async return() {
        await reader.cancel();
        return { done: true, value: undefined };
      },
    }),
  };
}

async function* toNdjson(contacts: ContactSource): AsyncGenerator<string> {
  let lines: string[] = [];
  for await (const contact of contacts) {
    const { chatId, phone, externalRef } =
      typeof contact === "string" ? { chatId: contact, phone: undefined, externalRef: undefined } : contact;
    lines.push(`${JSON.stringify({ chatId: chatId ?? phone, externalRef })}\n`);
    if (lines.length < linesPerChunk) continue;
    yield lines.join("");
    lines = [];
  }
  if (lines.length > 0) yield lines.join("");
}

function toOutgoing(chunks: AsyncIterable<Chunk> | Iterable<Chunk>, type: string): OutgoingBody {
  const encoder = new TextEncoder();
  let failure: { readonly error: unknown } | undefined;
  let iterator: AsyncIterator<Chunk> | Iterator<Chunk> | undefined;
  const content = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          iterator ??=
            Symbol.asyncIterator in chunks ? chunks[Symbol.asyncIterator]() : chunks[Symbol.iterator]();
          const { done, value } = await iterator.next();
          if (done === true) controller.close();
          else controller.enqueue(typeof value === "string" ? encoder.encode(value) : value);
        } catch (error) {
          failure = { error };
          controller.error(error);
        }
      },
      cancel: close,
    },
    { highWaterMark: 0 },
  );

  function close(): void {
    const closing = iterator?.return?.();
    if (closing instanceof Promise) closing.catch(() => undefined);
  }
  return { content, type, findFailure: () => failure, close };
}
