import type { IncomingMessage } from "node:http";

export type BodyRead =
  | { readonly kind: "complete"; readonly text: string }
  /** More than `maxBytes`; the rest was read and thrown away, so that the answer reaches the client. */
  | { readonly kind: "too-large" }
  /** The client went away. */
  | { readonly kind: "aborted" };

/** Reads a request's body as UTF-8 text. Never rejects. */
export function readBody(request: IncomingMessage, maxBytes: number): Promise<BodyRead> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    request.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= maxBytes) chunks.push(chunk);
      else chunks.length = 0;
    });
    request.on("end", () => {
      if (bytes > maxBytes) resolve({ kind: "too-large" });
      else resolve({ kind: "complete", text: Buffer.concat(chunks).toString("utf8") });
    });
    request.on("error", () => resolve({ kind: "aborted" }));
    request.on("close", () => resolve({ kind: "aborted" }));
  });
}

/** The JSON value in `text`; undefined where it is not JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
