/** What a `text/event-stream` says. */
export type StreamEvent =
  | { readonly kind: "event"; readonly event: string; readonly data: string; readonly id: string }
  /** How long to wait before coming again, ms. */
  | { readonly kind: "retry"; readonly retryMs: number }
  /** A comment: the other side is still there. */
  | { readonly kind: "comment" };

/** Reads server-sent events as the HTML standard says. An event that the stream's end cuts off is dropped. */
export async function* parseEvents(
  chunks: AsyncIterable<string>,
): AsyncGenerator<StreamEvent, void, undefined> {
  let id = "";
  let event = "";
  let data: string[] = [];
  for await (const line of splitLines(chunks)) {
    if (line === "") {
      if (data.length > 0) yield { kind: "event", event: event || "message", data: data.join("\n"), id };
      event = "";
      data = [];
      continue;
    }
    const colon = line.indexOf(":");
    if (colon === 0) {
      yield { kind: "comment" };
      continue;
    }
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "data") data.push(value);
    else if (field === "event") event = value;
    else if (field === "id" && !value.includes("\0")) id = value;
    else if (field === "retry" && /^\d{1,9}$/.test(value)) yield { kind: "retry", retryMs: Number(value) };
  }
}

/** Lines end with LF, CR, or both, also where a chunk ends between the two. */
async function* splitLines(chunks: AsyncIterable<string>): AsyncGenerator<string, void, undefined> {
  /** A line so far, in pieces: each is searched for line ends once, however many make up the line. */
  let pieces: string[] = [];
  let heldBack = "";
  let isFirst = true;
  for await (const chunk of chunks) {
    let text = heldBack + (isFirst ? chunk.replace(/^\ufeff/, "") : chunk);
    isFirst = false;
    // A CR at the end may be the first half of a CRLF.
    heldBack = text.endsWith("\r") ? "\r" : "";
    text = text.slice(0, text.length - heldBack.length);
    const [first = "", ...others] = text.split(/\r\n|\n|\r/);
    pieces.push(first);
    for (const line of others) {
      yield pieces.join("");
      pieces = [line];
    }
  }
  if (heldBack !== "") yield pieces.join("");
}
