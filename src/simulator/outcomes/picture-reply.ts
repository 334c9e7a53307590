import type { Picture } from "../pictures/painter.ts";

/** An answer whose body is bytes. */
export interface PictureAnswer {
  readonly kind: "answer";
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

/** What happens on the wire after a picture was asked for. */
export type PictureReply =
  | PictureAnswer
  /** The body in so many pieces, with a pause before each but the first. */
  | {
      readonly kind: "drip";
      readonly answer: PictureAnswer;
      readonly pieces: number;
      readonly pauseMs: number;
    }
  /** The headers and half of the body, then the connection ends. */
  | { readonly kind: "cut"; readonly answer: PictureAnswer }
  /** `head` and zeros after it, `bytes` in all. */
  | {
      readonly kind: "flood";
      readonly status: number;
      readonly headers: Readonly<Record<string, string>>;
      readonly head: Uint8Array;
      readonly bytes: number;
    }
  /** The connection is reset before a byte is sent. */
  | { readonly kind: "reset" }
  /** Nothing at all, until the client gives up or the simulator closes. */
  | { readonly kind: "stall" };

/** A picture with the headers of WhatsApp's CDN. */
export function toPictureAnswer({ type, bytes }: Picture): PictureAnswer {
  return toBytes(type, bytes, {
    "cache-control": "max-age=1209600, no-transform",
    "cross-origin-resource-policy": "cross-origin",
  });
}

/** A body under a type, right or wrong. */
export function toBytes(
  type: string,
  body: Uint8Array | string,
  headers: Record<string, string> = {},
): PictureAnswer {
  return toAnswer(200, { "content-type": type, ...headers }, body);
}

/** What the CDN says in words. */
export function toPlain(status: number, text: string, headers: Record<string, string> = {}): PictureAnswer {
  return toAnswer(status, { "content-type": "text/plain", ...headers }, text);
}

/** An answer with the length of its body, where `headers` do not claim another. */
export function toAnswer(
  status: number,
  headers: Readonly<Record<string, string>>,
  body: Uint8Array | string,
): PictureAnswer {
  const bytes = typeof body === "string" ? Buffer.from(body) : body;
  return {
    kind: "answer",
    status,
    headers: { "content-length": String(bytes.length), ...headers },
    body: bytes,
  };
}
