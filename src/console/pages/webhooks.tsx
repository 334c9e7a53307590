import { useState } from "preact/hooks";
import type { AddedWebhook, Webhook, WebhookList } from "../../client/wire.ts";
import { call } from "../data/api.ts";
import { toHash } from "../data/hash-route.ts";
import { useLoaded } from "../data/use-data.ts";
import { PageHead, Panel } from "../parts/page.tsx";
import { Loading, Problem } from "../parts/problem.tsx";
import { Secret } from "../parts/secret.tsx";
import { WebhookState } from "../parts/webhook-state.tsx";
import { formatDuration, formatRelative } from "../words/format.ts";
import { texts } from "../words/texts.ts";
import { NewWebhook } from "./new-webhook.tsx";

const words = texts.webhooks;

/** All webhooks: who is told of what, and how far. */
export function Webhooks() {
  const [isAdding, setIsAdding] = useState(false);
  const [added, setAdded] = useState<AddedWebhook>();
  const list = useLoaded("webhooks", (signal) => call<WebhookList>("GET", "v1/webhooks", { signal }));
  return (
    <>
      <PageHead title={texts.pages.webhooks}>
        <button type="button" class="primary" onClick={() => setIsAdding(true)}>
          {words.add}
        </button>
      </PageHead>
      {isAdding && (
        <NewWebhook
          onClose={() => setIsAdding(false)}
          onAdded={(webhook) => {
            setIsAdding(false);
            setAdded(webhook);
            list.reload();
          }}
        />
      )}
      {added && <Secret title={words.made} secret={added.secret} onStored={() => setAdded(undefined)} />}
      <Panel title={words.list}>
        <Problem error={list.error} />
        {!list.value && !list.error && <Loading />}
        {list.value?.items.length === 0 && (
          <p class="empty">
            <strong>{words.empty}</strong>
            {words.emptyHint}
          </p>
        )}
        {list.value && list.value.items.length > 0 && <WebhookTable webhooks={list.value.items} />}
      </Panel>
    </>
  );
}

function WebhookTable({ webhooks }: { readonly webhooks: readonly Webhook[] }) {
  const { columns } = words;
  return (
    <div class="table-wrap">
      <table class="cards">
        <thead>
          <tr>
            <th scope="col">{columns.webhook}</th>
            <th scope="col">{columns.types}</th>
            <th scope="col">{columns.state}</th>
            <th scope="col" class="right">
              {columns.lag}
            </th>
          </tr>
        </thead>
        <tbody>
          {webhooks.map((webhook) => (
            <tr key={webhook.id}>
              <td class="whole">
                <div class="name">
                  <a href={toHash(["webhooks", webhook.id])}>{webhook.label ?? webhook.id}</a>
                  <span class="id url">{webhook.url}</span>
                </div>
              </td>
              <td data-label={columns.types}>
                <span class="scopes">
                  {webhook.types.map((type) => (
                    <span key={type} class="badge">
                      {type}
                    </span>
                  ))}
                </span>
              </td>
              <td data-label={columns.state}>
                <div class="name">
                  <span>
                    <WebhookState webhook={webhook} />
                  </span>
                  <span class="id">{toWhy(webhook)}</span>
                </div>
              </td>
              <td class="right number" data-label={columns.lag}>
                {webhook.lagSeconds < 1 ? words.lagNone : words.lag(formatDuration(webhook.lagSeconds))}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** Why it is told nothing, and since when; empty: it is. */
export function toWhy({ disabledReason, disabledAt, failingSince }: Webhook): string {
  if (disabledReason !== null && disabledAt !== null)
    return words.disabled(words.reasons[disabledReason], formatRelative(disabledAt));
  return failingSince === null ? "" : words.failing(formatRelative(failingSince));
}
