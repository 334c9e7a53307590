import type { Webhook } from "../../client/wire.ts";
import { texts } from "../words/texts.ts";

const tones = { active: "good", failing: "warn", disabled: "bad" } as const;

/** Where a webhook stands: one that is not taken now is failing, before it is disabled. */
export function WebhookState({ webhook }: { readonly webhook: Webhook }) {
  const isFailing = webhook.state === "active" && webhook.failingSince !== null;
  const state = isFailing ? "failing" : webhook.state;
  return <span class={`badge ${tones[state]}`}>{texts.webhooks.states[state]}</span>;
}
