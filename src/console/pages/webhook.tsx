import { useState } from "preact/hooks";
import type { RotatedWebhook, Webhook as Endpoint, WebhookDelivery } from "../../client/wire.ts";
import { call } from "../data/api.ts";
import { goTo, toHash } from "../data/hash-route.ts";
import { useLoaded } from "../data/use-data.ts";
import { usePages, type Page, type Pages } from "../data/use-pages.ts";
import { Facts } from "../parts/facts.tsx";
import { MoreButton } from "../parts/more.tsx";
import { PageHead, Panel } from "../parts/page.tsx";
import { Loading, Problem } from "../parts/problem.tsx";
import { Secret } from "../parts/secret.tsx";
import { WebhookState } from "../parts/webhook-state.tsx";
import { formatDuration, formatMoment, formatNumber, formatRelative } from "../words/format.ts";
import { texts } from "../words/texts.ts";
import { toOutcome, WebhookActions } from "./webhook-actions.tsx";
import { toWhy } from "./webhooks.tsx";

const words = texts.webhooks;
const { none } = texts.common;

/** One webhook: what it is told, how far, and how the last tries went. */
export function Webhook({ id }: { readonly id: string }) {
  const path = `v1/webhooks/${encodeURIComponent(id)}`;
  const endpoint = useLoaded(`webhook ${id}`, (signal) => call<Endpoint>("GET", path, { signal }));
  const deliveries = usePages(`deliveries ${id}`, (cursor, signal) =>
    call<Page<WebhookDelivery>>("GET", `${path}/deliveries`, { query: { cursor, limit: "50" }, signal }),
  );
  const [rotated, setRotated] = useState<RotatedWebhook>();
  const webhook = endpoint.value;

  function reload(): void {
    endpoint.reload();
    deliveries.reload();
  }

  return (
    <>
      <PageHead
        title={webhook?.label ?? id}
        crumb={
          <>
            <a href={toHash(["webhooks"])}>{texts.pages.webhooks}</a> / {id}
          </>
        }
      >
        {webhook && <WebhookState webhook={webhook} />}
        {webhook && (
          <WebhookActions
            webhook={webhook}
            onDone={reload}
            onRotated={setRotated}
            onRemoved={() => goTo(toHash(["webhooks"]))}
          />
        )}
      </PageHead>
      {rotated && (
        <Secret
          title={words.rotated(formatMoment(rotated.previousSecretUntil))}
          secret={rotated.secret}
          onStored={() => setRotated(undefined)}
        />
      )}
      <Problem error={endpoint.error} />
      {webhook && toWhy(webhook) !== "" && <p class="banner bad">{toWhy(webhook)}</p>}
      {webhook && (
        <Panel title={words.facts}>
          <div class="body">
            <Facts facts={toFacts(webhook)} />
          </div>
        </Panel>
      )}
      <Panel title={words.deliveries}>
        <Problem error={deliveries.error} />
        {deliveries.items.length === 0 &&
          !deliveries.error &&
          (deliveries.isOver ? <p class="empty">{words.noDeliveries}</p> : <Loading />)}
        {deliveries.items.length > 0 && <DeliveryTable deliveries={deliveries} />}
        <MoreButton pages={deliveries} />
      </Panel>
    </>
  );
}

function toFacts(webhook: Endpoint): [string, string][] {
  const facts: [string, string][] = [
    [words.url, webhook.url],
    [words.columns.types, webhook.types.join(", ")],
    [words.instances, webhook.instanceIds?.join(", ") ?? texts.common.all],
    [
      words.columns.lag,
      webhook.lagSeconds < 1 ? words.lagNone : words.lag(formatDuration(webhook.lagSeconds)),
    ],
    [words.retries, formatNumber(webhook.retries)],
    [words.missed, formatNumber(webhook.missed)],
    [words.success, webhook.lastSuccessAt === null ? words.never : formatRelative(webhook.lastSuccessAt)],
  ];
  if (webhook.previousSecretUntil !== null)
    facts.push([words.previous, formatMoment(webhook.previousSecretUntil)]);
  return facts;
}

function DeliveryTable({ deliveries }: { readonly deliveries: Pages<WebhookDelivery> }) {
  const { deliveryColumns: columns } = words;
  return (
    <div class="table-wrap">
      <table class="cards">
        <thead>
          <tr>
            <th scope="col">{columns.event}</th>
            <th scope="col">{columns.status}</th>
            <th scope="col" class="right">
              {columns.took}
            </th>
            <th scope="col">{columns.answer}</th>
            <th scope="col" class="right">
              {columns.at}
            </th>
          </tr>
        </thead>
        <tbody>
          {deliveries.items.map((delivery) => (
            <tr key={delivery.id}>
              <td class="whole">
                <div class="name">
                  <strong>{delivery.type}</strong>
                  <span class="id">
                    {words.kinds[delivery.kind]}, {words.tries(formatNumber(delivery.tries))}
                  </span>
                </div>
              </td>
              <td data-label={columns.status}>
                <span class={`badge ${delivery.error === null ? "good" : "bad"}`}>{toOutcome(delivery)}</span>
              </td>
              <td class="right number" data-label={columns.took}>
                {formatNumber(delivery.tookMs)} ms
              </td>
              <td class="answer" data-label={columns.answer}>
                {delivery.answer || none}
              </td>
              <td class="right number" data-label={columns.at}>
                {formatMoment(delivery.at)}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
