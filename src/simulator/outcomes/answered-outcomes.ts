import type { Call, OutcomeSpec } from "./outcome-spec.ts";
import { toHtml, toJson, toText } from "./reply.ts";

const hourMs = 3_600_000;
const svgBase64 = Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>').toString("base64");

/** Everything the API says with HTTP 200. */
export const answeredOutcomes = {
  present: {
    digits: "990001",
    means: "a picture",
    clear: "present",
    respond: (call) => toJson({ urlAvatar: toFreshUrl(call), available: true }),
  },
  absent: {
    digits: "990002",
    means: "not set, or no WhatsApp account",
    clear: "absent",
    respond: () => toJson({ urlAvatar: "", available: true }),
  },
  hidden: {
    digits: "990003",
    means: "hidden by privacy",
    clear: "hidden",
    respond: () => toJson({ urlAvatar: "", available: false }),
  },
  untold: {
    digits: "990004",
    means: "empty without `available`: none or hidden, not told apart",
    clear: "hidden",
    respond: () => toJson({ urlAvatar: "" }),
  },
  "chat-timeout": {
    digits: "990005",
    means: "WhatsApp did not answer in time",
    respond: () => toReason("get avatar timeout limit exceeded"),
  },
  "bad-request-200": {
    digits: "990006",
    means: "not a valid chat, told in a 200",
    clear: "invalid",
    respond: () => toReason("bad request data"),
  },
  "rate-overlimit": {
    digits: "990007",
    means: "WhatsApp throttles the account",
    respond: () => toReason("rate-overlimit"),
  },
  "disguised-401": {
    digits: "990008",
    means: "a 401 in a 200",
    respond: () => toJson({ code: 401, description: "Unauthorized" }),
  },
  "status-false-timeout": {
    digits: "990009",
    means: "`status: false`, and the reason is a timeout",
    respond: () => toJson({ status: false, reason: "get avatar timeout limit exceeded" }),
  },
  "status-false-invalid": {
    digits: "990010",
    means: "`status: false`, and the reason is a bad chat",
    clear: "invalid",
    respond: () => toJson({ status: false, reason: "bad request data" }),
  },
  "status-false-unknown": {
    digits: "990011",
    means: "`status: false`, and a reason nobody knows",
    respond: () => toJson({ status: false, reason: "something went wrong" }),
  },
  "url-null": {
    digits: "990020",
    means: "no picture, as `null`",
    clear: "absent",
    respond: () => toJson({ urlAvatar: null, available: true }),
  },
  "url-blank": {
    digits: "990021",
    means: "no picture, as blanks",
    clear: "absent",
    respond: () => toJson({ urlAvatar: "   ", available: true }),
  },
  "url-undefined": {
    digits: "990022",
    means: "hidden, with the word `undefined` as URL",
    clear: "hidden",
    respond: () => toJson({ urlAvatar: "undefined", available: false }),
  },
  "url-missing": {
    digits: "990023",
    means: "hidden, without `urlAvatar`",
    clear: "hidden",
    respond: () => toJson({ available: false }),
  },
  "base64-null": {
    digits: "990024",
    means: "no picture, with words in the place of both",
    clear: "absent",
    respond: () => toJson({ urlAvatar: "undefined", base64Avatar: "null", available: true }),
  },
  "present-2020": {
    digits: "990030",
    means: "a picture, in the shape of 2020",
    clear: "present",
    respond: (call) => toJson({ existsWhatsapp: true, urlAvatar: toFreshUrl(call) }),
  },
  "untold-2020": {
    digits: "990031",
    means: "empty, in the shape of 2020",
    clear: "hidden",
    respond: () => toJson({ existsWhatsapp: false, urlAvatar: "" }),
  },
  "present-2026": {
    digits: "990032",
    means: "a picture, in the shape of 2026 with `base64Avatar`",
    clear: "present",
    respond: (call) =>
      toJson({ urlAvatar: toFreshUrl(call), base64Avatar: call.avatar.draw().base64, available: true }),
  },
  "present-data-uri": {
    digits: "990033",
    means: "a picture as a `data:` URI",
    clear: "present",
    inline: true,
    respond: (call) => {
      const { type, base64 } = call.avatar.draw();
      return toJson({ urlAvatar: `data:${type};base64,${base64}`, available: true });
    },
  },
  "present-expired": {
    digits: "990034",
    means: "a picture whose URL ran out an hour ago",
    clear: "present",
    respond: (call) => toJson({ urlAvatar: call.avatar.toUrl(call.nowMs - hourMs), available: true }),
  },
  "present-without-expiry": {
    digits: "990035",
    means: "a picture whose URL has no `oe`",
    clear: "present",
    respond: (call) => toJson({ urlAvatar: call.avatar.toUrl(undefined), available: true }),
  },
  "present-base64": {
    digits: "990036",
    means: "a picture in `base64Avatar`, with an empty URL",
    clear: "present",
    inline: true,
    respond: (call) => toJson({ urlAvatar: "", base64Avatar: call.avatar.draw().base64, available: true }),
  },
  "present-raw-base64": {
    digits: "990037",
    means: "a picture as base64 in the place of the URL",
    clear: "present",
    inline: true,
    respond: (call) => toJson({ urlAvatar: call.avatar.draw().base64, available: true }),
  },
  "svg-base64": {
    digits: "990038",
    means: "an SVG in `base64Avatar`, with an empty URL",
    respond: () => toJson({ urlAvatar: "", base64Avatar: svgBase64, available: true }),
  },
  "svg-data-uri": {
    digits: "990039",
    means: "an SVG as a `data:` URI",
    respond: () => toJson({ urlAvatar: `data:image/svg+xml;base64,${svgBase64}`, available: true }),
  },
  "html-200": {
    digits: "990040",
    means: "a proxy's page instead of an answer",
    respond: () => toHtml("Service is under maintenance"),
  },
  "truncated-200": {
    digits: "990041",
    means: "JSON that ends in the middle",
    respond: (call) => {
      const whole = toJson({ urlAvatar: toFreshUrl(call), available: true });
      return { ...whole, body: whole.body.slice(0, 60) };
    },
  },
  "empty-200": { digits: "990042", means: "an empty body", respond: () => toText("") },
} satisfies Record<string, OutcomeSpec>;

function toFreshUrl(call: Call): string {
  return call.avatar.toUrl(call.nowMs + call.avatar.lifetimeMs());
}

function toReason(reason: string) {
  return toJson({ urlAvatar: "", available: false, reason });
}
