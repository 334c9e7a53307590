/** An HTTP answer. */
export interface Answer {
  readonly kind: "answer";
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** What happens on the wire after a call. */
export type Reply =
  | Answer
  /** The connection is reset before a byte is sent. */
  | { readonly kind: "reset" }
  /** Headers and half of the body, then the connection ends. */
  | { readonly kind: "cut"; readonly answer: Answer }
  /** Nothing at all, until the client gives up or the simulator closes. */
  | { readonly kind: "stall" };

/** An answer in JSON. */
export function toJson(value: unknown, status = 200, headers: Record<string, string> = {}): Answer {
  return {
    kind: "answer",
    status,
    headers: { "content-type": "application/json; charset=utf-8", ...headers },
    body: JSON.stringify(value),
  };
}

/** An answer in plain text; an empty one has no content type. */
export function toText(body: string, status = 200, headers: Record<string, string> = {}): Answer {
  const type = body === "" ? undefined : { "content-type": "text/plain; charset=utf-8" };
  return { kind: "answer", status, headers: { ...type, ...headers }, body };
}

/** A proxy's page. */
export function toHtml(title: string, status = 200): Answer {
  const body = `<html>\r\n<head><title>${title}</title></head>\r\n<body>\r\n<center><h1>${title}</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n`;
  return { kind: "answer", status, headers: { "content-type": "text/html" }, body };
}

/** GREEN-API's own error body. Its `path` echoes the token, as the real one does. */
export function toApiError(
  status: number,
  message: string,
  call: { readonly requestPath: string; readonly nowMs: number },
): Answer {
  const timestamp = new Date(call.nowMs).toISOString();
  return toJson({ statusCode: status, timestamp, path: call.requestPath, message }, status);
}
