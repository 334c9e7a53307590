import { createInterface } from "node:readline/promises";
import type { InstanceId } from "../../domain/instance-id.ts";
import type { ResumeFrom, WebhookEndpoint } from "../../domain/webhooks/webhook-endpoint.ts";
import { webhookTypes, type WebhookType } from "../../domain/webhooks/webhook-type.ts";
import { formatDuration } from "../../lib/duration.ts";
import { UserError } from "../../lib/errors.ts";
import { getInstance } from "../instance/resolve-instance.ts";
import { formatAge } from "../terminal/format.ts";
import { writeHint, writeJson, writeLine, type CommandIo } from "../terminal/io.ts";
import { formatTable } from "../terminal/table.ts";
import { withApp } from "../terminal/with-app.ts";
import { toCounted } from "../terminal/counted.ts";

/** Settings as they are typed; undefined: not given. */
interface TypedSettings {
  readonly types?: readonly WebhookType[];
  readonly instance?: readonly InstanceId[];
  readonly includeFirstSeen?: boolean;
  readonly ordered?: boolean;
  readonly omitChatId?: boolean;
  readonly label?: string;
}

/** `avatars webhook add`: the secret, and nothing else, goes to standard output. */
export async function addWebhook(
  url: string,
  options: TypedSettings & { readonly json: boolean },
  io: CommandIo,
): Promise<number> {
  const { types = webhookTypes, instance: instanceIds, label } = options;
  return withApp(io, async (app) => {
    for (const id of instanceIds ?? []) await getInstance(app, id);
    const { id, secret } = await app.webhooks.add(
      {
        url,
        label,
        types,
        instanceIds,
        includesFirstSeen: options.includeFirstSeen ?? false,
        isOrdered: options.ordered ?? false,
        omitsChatId: options.omitChatId ?? false,
      },
      app.operator,
    );
    if (options.json) writeJson(io.stdout, { ...(await app.webhooks.find(id)), secret });
    else writeLine(io.stdout, secret);
    writeHint(
      io,
      io.stderr,
      `webhook ${id}: this secret is shown once; if it is lost: avatars webhook rotate ${id}. Try it: avatars webhook test ${id}`,
    );
  });
}

/** `avatars webhook list` */
export async function listWebhooks({ json }: { readonly json: boolean }, io: CommandIo): Promise<number> {
  return withApp(io, async (app) => {
    const endpoints = await app.webhooks.list();
    if (json) return writeJson(io.stdout, endpoints);
    if (endpoints.length === 0)
      return writeHint(
        io,
        io.stdout,
        "no webhooks yet: add one with avatars webhook add https://crm.example/hooks",
      );
    const header = ["webhook", "state", "behind", "retries", "last taken", "url", "tells", "label"];
    for (const line of formatTable(header, endpoints.map(toRow))) writeLine(io.stdout, line);
    for (const { id, missed } of endpoints)
      if (missed > 0)
        writeLine(
          io.stdout,
          `webhook ${id} has missed ${toCounted(missed, "change: it was removed before it was sent", "changes: they were removed before they were sent")}`,
        );
  });
}

function toRow(endpoint: WebhookEndpoint): string[] {
  const { id, lagSeconds, retries, lastSuccessAt, url, types, label } = endpoint;
  return [
    id,
    toState(endpoint),
    lagSeconds === 0 ? "" : formatDuration(lagSeconds * 1000),
    retries === 0 ? "" : String(retries),
    lastSuccessAt ? `${formatAge(lastSuccessAt)} ago` : "never",
    url,
    types.length === webhookTypes.length ? "all" : types.join(","),
    label ?? "",
  ];
}

function toState({ state, disabledReason, failingSince }: WebhookEndpoint): string {
  if (state === "disabled")
    return { gone: "disabled: gone", failing: "disabled: failing", operator: "disabled" }[
      disabledReason ?? "operator"
    ];
  return failingSince ? `failing for ${formatAge(failingSince)}` : "active";
}

export interface ChangeWebhookOptions extends TypedSettings {
  readonly url?: string;
  readonly allInstances?: boolean;
}

/** `avatars webhook set` */
export async function changeWebhook(
  id: string,
  options: ChangeWebhookOptions,
  io: CommandIo,
): Promise<number> {
  const { url, types, instance, allInstances, includeFirstSeen, ordered, omitChatId, label } = options;
  if (Object.keys(options).length === 0)
    throw new UserError("nothing-to-set", "nothing to change: --help shows what can be set");
  if (allInstances && instance)
    throw new UserError("contradiction", "--instance and --all-instances contradict each other");
  return withApp(io, async (app) => {
    for (const one of instance ?? []) await getInstance(app, one);
    const isChanged = await app.webhooks.change(
      id,
      {
        url,
        types,
        instanceIds: allInstances ? null : instance,
        includesFirstSeen: includeFirstSeen,
        isOrdered: ordered,
        omitsChatId: omitChatId,
        label: label === "" ? null : label,
      },
      app.operator,
    );
    assertFound(isChanged, id);
    writeLine(io.stdout, `webhook ${id} changed: senders go by it within a second`);
  });
}

/** `avatars webhook enable`: asks from where, at a terminal. */
export async function enableWebhook(
  id: string,
  { from }: { readonly from?: ResumeFrom },
  io: CommandIo,
): Promise<number> {
  return withApp(io, async (app) => {
    const endpoint = await app.webhooks.find(id);
    assertFound(endpoint !== undefined, id);
    const chosen = from ?? (await askFrom(io));
    assertFound(await app.webhooks.enable(id, chosen, app.operator), id);
    const words = { stopped: "what it has not been told yet", now: "what comes from now on" };
    writeLine(io.stdout, `webhook ${id} is on: it is told of ${words[chosen]}`);
  });
}

/** @throws UserError `no-from` where there is no terminal to ask at, or no answer that is one */
async function askFrom(io: CommandIo): Promise<ResumeFrom> {
  const missing = new UserError(
    "no-from",
    "from where: give --from stopped (all that it has not been told yet) or --from now (only what comes from now on)",
  );
  if (!io.stdin.isTTY) throw missing;
  const prompt = createInterface({ input: io.stdin, output: io.stderr });
  try {
    const question = "Go on from where it stopped, or from now? [stopped/now] ";
    const typed = (await prompt.question(question, { signal: io.signal })).trim().toLowerCase();
    if (typed === "stopped" || typed === "now") return typed;
    throw missing;
  } finally {
    prompt.close();
  }
}

/** `avatars webhook disable` */
export async function disableWebhook(id: string, io: CommandIo): Promise<number> {
  return withApp(io, async (app) => {
    assertFound(await app.webhooks.disable(id, app.operator), id);
    writeHint(io, io.stdout, `webhook ${id} is off: avatars webhook enable ${id} turns it on again`);
  });
}

/** `avatars webhook remove` */
export async function removeWebhook(id: string, io: CommandIo): Promise<number> {
  return withApp(io, async (app) => {
    assertFound(await app.webhooks.remove(id, app.operator), id);
    writeLine(io.stdout, `webhook ${id} removed`);
  });
}

/** `avatars webhook rotate`: the secret, and nothing else, goes to standard output. */
export async function rotateWebhook(id: string, io: CommandIo): Promise<number> {
  return withApp(io, async (app) => {
    const rotated = await app.webhooks.rotate(id, app.operator);
    if (rotated === undefined) throw noWebhook(id);
    writeLine(io.stdout, rotated.secret);
    writeLine(
      io.stderr,
      `this secret is shown once; the one before signs too until ${rotated.previousUntil.toISOString()}`,
    );
  });
}

/** `avatars webhook callback` */
export async function printCallbackSecret(keyId: string, io: CommandIo): Promise<number> {
  return withApp(io, async (app) => {
    const keys = await app.apiKeys.list();
    if (!keys.some(({ id }) => id === keyId))
      throw new UserError("unknown-key", "there is no key with this id: see avatars apikey list");
    writeLine(io.stdout, app.webhooks.toCallbackSecret(keyId));
  });
}

/** @throws UserError `unknown-webhook` */
function assertFound(isFound: boolean, id: string): void {
  if (!isFound) throw noWebhook(id);
}

export function noWebhook(id: string): UserError {
  return new UserError("unknown-webhook", `there is no webhook ${id}: see avatars webhook list`);
}
