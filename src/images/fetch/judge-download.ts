import { toNetworkErrorCode } from "../../outbound/network-error-code.ts";
import { RefusedAddressError } from "../../outbound/refused-address-error.ts";
import { parseRetryAfter } from "../../lib/retry-after.ts";
import { inspectImage } from "../inspect-image.ts";
import { maxImageBytes } from "../image.ts";
import type { DownloadEnd, ResponseHead } from "./download.ts";
import type { FailedFetch, FailureReason, FetchOutcome } from "./fetch-outcome.ts";

/** WhatsApp's own words have 21 bytes; more than this is a page. */
const maxRefusalBytes = 4_096;
const expiredPattern = /url signature expired/i;

/** How many bytes of a body are worth reading: none where the head tells all. */
export function toBodyLimit(head: ResponseHead): number {
  if (head.status === 403) return maxRefusalBytes;
  return judgeHead(head, new Date(0)) === undefined ? maxImageBytes : 0;
}

/** What a download means. Pure and total. */
export function judgeDownload(end: DownloadEnd, now: Date): FetchOutcome {
  switch (end.kind) {
    case "deadline":
      return fail("deadline", "DEADLINE");
    case "aborted":
      return fail("aborted", "ABORTED");
    case "no-room":
      return { kind: "postponed" };
    case "broken":
      if (end.error instanceof RefusedAddressError) return { kind: "refused", reason: "private-address" };
      return fail("connection", toNetworkErrorCode(end.error));
    case "whole":
    case "cut":
      return judgeHead(end.head, now) ?? judgeBody(end);
  }
}

/** Undefined: it depends on the body. */
function judgeHead(head: ResponseHead, now: Date): FetchOutcome | undefined {
  const { status, headers } = head;
  if (status === 200) return judgeImageHead(headers);
  if (status === 403) return undefined;
  if (status === 401 || status === 451) return { kind: "forbidden", status };
  if (status === 404 || status === 410) return { kind: "gone", status };
  if (status >= 300 && status < 400) return { kind: "refused", reason: "redirect" };
  const retryAfterMs = parseRetryAfter(headers["retry-after"], now);
  if (status === 429) return fail("throttled", "HTTP_429", retryAfterMs);
  if (status >= 500) return fail("server-error", `HTTP_${status}`, retryAfterMs);
  return fail("unexpected-status", `HTTP_${status}`);
}

function judgeImageHead(headers: ResponseHead["headers"]): FetchOutcome | undefined {
  const encoding = String(headers["content-encoding"] ?? "identity");
  if (!/^(?:identity)?$/i.test(encoding)) return { kind: "refused", reason: "encoding" };
  // What is announced in another way than by a number is counted as it comes.
  const isTooLarge = Number(headers["content-length"] ?? 0) > maxImageBytes;
  return isTooLarge ? { kind: "refused", reason: "too-large" } : undefined;
}

function judgeBody({ kind, head, body }: Extract<DownloadEnd, { kind: "whole" | "cut" }>): FetchOutcome {
  if (head.status === 403)
    return expiredPattern.test(body.toString("latin1"))
      ? { kind: "expired" }
      : { kind: "forbidden", status: 403 };
  return kind === "cut" ? { kind: "refused", reason: "too-large" } : inspectImage(body);
}

function fail(reason: FailureReason, code: string, retryAfterMs?: number): FailedFetch {
  return { kind: "failed", reason, code, retryAfterMs };
}
