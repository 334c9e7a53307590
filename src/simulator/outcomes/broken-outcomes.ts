import type { OutcomeSpec } from "./outcome-spec.ts";
import { toJson } from "./reply.ts";

/** What happens without a whole answer. */
export const brokenOutcomes = {
  "connection-reset": {
    digits: "990090",
    means: "the connection is reset",
    respond: () => ({ kind: "reset" }),
  },
  "connection-cut": {
    digits: "990091",
    means: "the connection ends in the middle of the body",
    respond: () => ({ kind: "cut", answer: toJson({ urlAvatar: "", available: true }) }),
  },
  stall: {
    digits: "990092",
    means: "no answer, the connection stays open",
    respond: () => ({ kind: "stall" }),
  },
} satisfies Record<string, OutcomeSpec>;
