import type { CallOutcome, InstanceOutcome, Outcome } from "../domain/outcome.ts";
import { parseAvatarUrl, parseBase64Avatar, type ToldAvatar } from "./avatar-url.ts";
import { toQuotaOutcome } from "./quota.ts";
import { isMasked, redact } from "./redact.ts";
import { parseReplyBody, type ReplyBody, type ReplyFields } from "./reply-body.ts";
import { parseRetryAfter } from "../lib/retry-after.ts";
import { findTextSign, type TextSign } from "./text-sign.ts";

/** Header names in lower case, as undici gives them. */
export type ReplyHeaders = Readonly<Partial<Record<string, string | readonly string[]>>>;

interface Reply {
  /** The status on the wire, also where the body names another. */
  readonly status: number;
  readonly body: ReplyBody;
  readonly sign: TextSign | undefined;
  readonly retryAfter: string | readonly string[] | undefined;
  readonly now: Date;
}

/**
 * What a reply to getAvatar means. Pure and total: whatever does not fit is `unclear`. The statuses are
 * those of GREEN-API's common-errors and GetAvatar pages; the token is to be taken out of `bodyText` before.
 */
export function classify(status: number, headers: ReplyHeaders, bodyText: string, now: Date): Outcome {
  const body = parseReplyBody(bodyText);
  const sign = findTextSign(body.texts);
  const reply = { status, body, sign, retryAfter: headers["retry-after"], now };
  return status === 200 ? judgeAnswer(reply) : judgeError(status, reply);
}

/** An error by `status`: of the wire, or named by the body of a 200. */
function judgeError(status: number, reply: Reply): Outcome {
  if (status === 401 || status === 403) return { kind: "unauthorized", scope: "instance", status };
  if (status === 466) return toQuotaOutcome(reply.body.object, reply.body.raw);
  if (reply.sign === "throttled") return toThrottled("whatsapp", reply);
  switch (status) {
    case 400:
      return judgeTexts(reply);
    case 404:
      return { kind: "not-found", scope: "instance" };
    case 429:
      return toThrottled("provider", reply);
    case 499:
      return { kind: "client-closed", scope: "chat" };
    default:
      // Elsewhere no text is trusted: a gateway's 502 may quote whatever stood before it.
      return status >= 500 ? { kind: "server-error", scope: "call", status } : toUnclear(reply);
  }
}

/** A 200: an avatar first, then an error in disguise, then the ways to have none. */
function judgeAnswer(reply: Reply): Outcome {
  const { fields } = reply.body;
  if (fields === undefined) return judgeTexts(reply);
  if (typeof fields.urlAvatar === "string") return judgeUrl(fields.urlAvatar, reply);
  const image = parseImage(fields);
  if (image !== undefined) return { kind: "present", scope: "chat", ...image };
  const codes = [fields.statusCode, fields.code, fields.status];
  const status = codes.map(Number).find((code) => Number.isInteger(code) && code >= 400 && code <= 599);
  if (status !== undefined) return judgeError(status, reply);
  if (reply.sign !== undefined || reply.body.texts.length > 0) return judgeTexts(reply);
  return codes.every(isHarmless) ? judgeEmpty(fields, reply) : toUnclear(reply);
}

/** What else than a failure stands under `statusCode`, `code` or `status`. */
function isHarmless(code: ReplyFields["code"]): boolean {
  if (code === undefined || code === null) return true;
  return /^(?:0|2\d\d|ok|success|true)?$/i.test(String(code));
}

function judgeUrl(text: string, reply: Reply): Outcome {
  const avatar = isMasked(text) ? undefined : parseAvatarUrl(text);
  if (avatar === undefined) return toUnclear(reply);
  // Beside a URL the image saves the download, and is no more than that: what is no image there is passed over.
  const base64 = avatar.base64 ?? (reply.body.fields && parseImage(reply.body.fields)?.base64);
  return { kind: "present", scope: "chat", ...avatar, base64 };
}

function parseImage({ base64Avatar }: ReplyFields): ToldAvatar | undefined {
  if (typeof base64Avatar !== "string" || isMasked(base64Avatar)) return undefined;
  return parseBase64Avatar(base64Avatar);
}

/** No URL and no error. `existsWhatsapp` says nothing: in 2020 it was wrong for users without a photo. */
function judgeEmpty(fields: ReplyFields, reply: Reply): Outcome {
  // An image was sent, and none that is known: the answer tells no absence.
  if ((fields.base64Avatar ?? null) !== null || fields.available === "garbled") return toUnclear(reply);
  if (fields.available === true) return { kind: "absent", scope: "chat" };
  if (fields.available === false) return { kind: "hidden", scope: "chat", told: true };
  // `{}` is not an answer to the question; an empty `urlAvatar` is.
  return fields.urlAvatar === null ? { kind: "hidden", scope: "chat", told: false } : toUnclear(reply);
}

function judgeTexts(reply: Reply): Outcome {
  switch (reply.sign) {
    case undefined:
      return toUnclear(reply);
    case "throttled":
      return toThrottled("whatsapp", reply);
    case "unauthorized":
      return { kind: "unauthorized", scope: "instance", status: 401 };
    case "invalid":
    case "chat-timeout":
      return { kind: reply.sign, scope: "chat" };
    case "not-authorized":
    case "starting":
    case "expired":
    case "deleted":
    case "blocked":
      return { kind: reply.sign, scope: "instance" };
  }
}

function toThrottled(by: "provider" | "whatsapp", { retryAfter, now }: Reply): InstanceOutcome {
  return { kind: "throttled", scope: "instance", retryAfterMs: parseRetryAfter(retryAfter, now), by };
}

function toUnclear({ status, body }: Reply): CallOutcome {
  return { kind: "unclear", scope: "call", status, excerpt: redact(body.raw) };
}
