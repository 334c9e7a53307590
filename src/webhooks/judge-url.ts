import type { NetworkList } from "../lib/addresses/networks.ts";
import { judgeTarget, type TargetRefusal, type TargetVerdict } from "../outbound/judge-target.ts";

/** May an event be sent to this URL? By https to any public host and port; by http, or to private addresses, only in `networks`. */
export function judgeWebhookUrl(text: string, networks: NetworkList | undefined): TargetVerdict {
  return judgeTarget(text, {
    named: [],
    mayReach: () => true,
    anyPort: true,
    ...(networks && { networks }),
  });
}

const words: Readonly<Record<TargetRefusal, string>> = {
  "not-a-url": "it is no URL of https: write it as in https://crm.example/hooks/avatars",
  "has-credentials":
    "it has a user name or a password in it: requests are signed instead, see docs/webhooks.md",
  "not-https":
    "it is not https: plain http goes only to networks that the operator names with AVATARS_WEBHOOK_NETWORKS",
  "port-not-allowed": "its port is not allowed",
  "private-address":
    "its address is not a public one: the operator may name its network with AVATARS_WEBHOOK_NETWORKS",
  "host-not-allowed": "its host is not allowed",
};

/** Why a URL was refused, and what to do. */
export function explainRefusal(reason: TargetRefusal): string {
  return words[reason];
}
