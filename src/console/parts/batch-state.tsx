import type { BatchState } from "../../client/wire.ts";
import { texts } from "../words/texts.ts";

const tones: Readonly<Record<BatchState, string>> = {
  incomplete: "warn",
  working: "accent",
  done: "good",
  cancelled: "",
};

export function BatchBadge({ state }: { readonly state: BatchState }) {
  return <span class={`badge ${tones[state]}`}>{texts.batches.states[state]}</span>;
}
