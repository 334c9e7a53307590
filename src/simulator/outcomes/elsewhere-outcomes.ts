import type { Call, OutcomeSpec } from "./outcome-spec.ts";
import { toJson } from "./reply.ts";

/** Pictures whose URLs are not of WhatsApp's CDN: other messengers', and those of servers that keep pictures themselves. */
export const elsewhereOutcomes = {
  "present-max": {
    digits: "990050",
    means: "a picture of MAX: one path for all, its identity in `r`",
    clear: "present",
    inline: true,
    respond: (call) => toAlone(toMaxUrl(call)),
  },
  "present-elsewhere": {
    digits: "990051",
    means: "a picture at a host that nobody knows, with another URL in each answer",
    clear: "present",
    inline: true,
    respond: (call) => toAlone(call.avatar.toUrlElsewhere(call.random)),
  },
  "present-elsewhere-fixed": {
    digits: "990052",
    means: "a picture at such a host, with one URL for all pictures of the chat",
    clear: "present",
    inline: true,
    respond: (call) => toAlone(call.avatar.toUrlElsewhere(() => 0)),
  },
} satisfies Record<string, OutcomeSpec>;

/** As MAX and Telegram answer: with `urlAvatar` and nothing else. */
function toAlone(urlAvatar: string) {
  return toJson({ urlAvatar });
}

function toMaxUrl({ avatar, random }: Call): string {
  const r = Buffer.from(avatar.path).toString("base64url");
  return `https://i.oneme.ru/i?fn=w_${160 + Math.floor(random() * 800)}&r=${r}`;
}
