import { InvalidArgumentError, type Command } from "commander";
import type { InstanceId } from "../../domain/instance-id.ts";
import { webhookTypes, type WebhookType } from "../../domain/webhooks/webhook-type.ts";
import { parseDurationMs } from "../../lib/duration.ts";
import { orInvalid, toCount, toInstanceId, toLabel } from "../terminal/arguments.ts";
import type { CommandIo, SetExitCode } from "../terminal/io.ts";

const flags = { json: false };

/** `avatars webhook …` */
export function addWebhookCommands(program: Command, io: CommandIo, setExitCode: SetExitCode): void {
  const webhook = program
    .command("webhook")
    .description("Say who is told of new pictures and events, by Standard Webhooks, and see how it goes.");
  addAddCommand(webhook, io, setExitCode);
  addListCommand(webhook, io, setExitCode);
  addSetCommand(webhook, io, setExitCode);
  addTryCommands(webhook, io, setExitCode);
  addReplayCommand(webhook, io, setExitCode);
  addTurnCommands(webhook, io, setExitCode);
  addSecretCommands(webhook, io, setExitCode);
}

const typesWords = `separated by commas: ${webhookTypes.join(", ")}`;

/** `avatars webhook add` */
function addAddCommand(webhook: Command, io: CommandIo, setExitCode: SetExitCode): void {
  webhook
    .command("add")
    .description("Add an endpoint, and print its secret: it is shown once.")
    .argument("<url>", "where events are sent: https, or http in a network of AVATARS_WEBHOOK_NETWORKS")
    .option("--types <list>", `${typesWords} (default: all)`, toTypes)
    .option("--instance <id...>", "only these instances (default: all)", addInstanceIds)
    .option("--include-first-seen", "tell of the first picture that is ever seen of a contact, too")
    .option("--ordered", "an event that fails holds those behind it")
    .option("--omit-chat-id", "events do not hold the chat id")
    .option("--label <text>", "a name, shown in lists", toLabel)
    .option("--json", "the endpoint with its secret, as JSON")
    .addHelpText(
      "after",
      `
It is told of what comes from now on. How a receiver checks the signature: docs/webhooks.md.

Examples:
  SECRET=$(avatars webhook add https://crm.example/hooks/avatars)
  avatars webhook add https://crm.example/hooks --types avatar.changed,avatar.removed --ordered`,
    )
    .action(async (url: string, options) => {
      const { addWebhook } = await import("./webhook.ts");
      setExitCode(await addWebhook(url, { ...flags, ...options }, io));
    });
}

/** `avatars webhook list` */
function addListCommand(webhook: Command, io: CommandIo, setExitCode: SetExitCode): void {
  webhook
    .command("list")
    .description("All endpoints: their state, how far behind they are, and what is tried again.")
    .option("--json", "as JSON")
    .action(async (options) => {
      const { listWebhooks } = await import("./webhook.ts");
      setExitCode(await listWebhooks({ ...flags, ...options }, io));
    });
}

/** `avatars webhook set` */
function addSetCommand(webhook: Command, io: CommandIo, setExitCode: SetExitCode): void {
  webhook
    .command("set")
    .description("Change an endpoint. Its secret and its place in the feed stay.")
    .argument("<id>", "as in avatars webhook list", toEndpointId)
    .option("--url <url>", "another address")
    .option("--types <list>", typesWords, toTypes)
    .option("--instance <id...>", "only these instances", addInstanceIds)
    .option("--all-instances", "all instances, also those to come")
    .option("--include-first-seen", "tell of first pictures, too")
    .option("--no-include-first-seen", "do not")
    .option("--ordered", "an event that fails holds those behind it")
    .option("--no-ordered", "an event that fails is tried again while others go on")
    .option("--omit-chat-id", "events do not hold the chat id")
    .option("--no-omit-chat-id", "events hold the chat id")
    .option("--label <text>", "a name, shown in lists; empty: none", toLabel)
    .action(async (id: string, options) => {
      const { changeWebhook } = await import("./webhook.ts");
      setExitCode(await changeWebhook(id, options, io));
    });
}

/** `avatars webhook test` and `deliveries` */
function addTryCommands(webhook: Command, io: CommandIo, setExitCode: SetExitCode): void {
  webhook
    .command("test")
    .description("Send an event of the type webhook.test, once, and tell how it went.")
    .argument("<id>", "as in avatars webhook list", toEndpointId)
    .option("--json", "as JSON")
    .action(async (id: string, options) => {
      const { testWebhook } = await import("./webhook-tries.ts");
      setExitCode(await testWebhook(id, { ...flags, ...options }, io));
    });
  webhook
    .command("deliveries")
    .description("The last tries of an endpoint, newest first.")
    .argument("<id>", "as in avatars webhook list", toEndpointId)
    .option("--limit <n>", "so many", toCount, 20)
    .option("--failed", "only those that failed")
    .option("--json", "as JSON, with what was answered")
    .action(async (id: string, options) => {
      const { listDeliveries } = await import("./webhook-tries.ts");
      setExitCode(await listDeliveries(id, { ...flags, failed: false, ...options }, io));
    });
}

/** `avatars webhook replay` */
function addReplayCommand(webhook: Command, io: CommandIo, setExitCode: SetExitCode): void {
  webhook
    .command("replay")
    .description("Tell an endpoint again: one event, or all since a moment.")
    .argument("<id>", "as in avatars webhook list", toEndpointId)
    .option("--event <n>", "one event, by its place in the feed (a changeId), sent once", toPlace)
    .option("--since <duration>", "all that was seen in this time: 2h, 7d", toAge)
    .option("--after <n>", "all behind this place in the feed", toPlace)
    .addHelpText(
      "after",
      `
Events have the ids that they had. Several changes of one contact go as the last one.

Examples:
  avatars webhook replay 0a1b2c3d4e5f --event 4711
  avatars webhook replay 0a1b2c3d4e5f --since 2h`,
    )
    .action(async (id: string, options) => {
      const { replayWebhook } = await import("./webhook-tries.ts");
      setExitCode(await replayWebhook(id, options, io));
    });
}

/** `avatars webhook enable`, `disable` and `remove` */
function addTurnCommands(webhook: Command, io: CommandIo, setExitCode: SetExitCode): void {
  webhook
    .command("enable")
    .description("Turn an endpoint on again. It asks from where, unless told.")
    .argument("<id>", "as in avatars webhook list", toEndpointId)
    .option("--from <where>", "stopped: what it has not been told yet; now: what comes from now on", toFrom)
    .action(async (id: string, options) => {
      const { enableWebhook } = await import("./webhook.ts");
      setExitCode(await enableWebhook(id, options, io));
    });
  webhook
    .command("disable")
    .description("Turn an endpoint off. It keeps its place in the feed.")
    .argument("<id>", "as in avatars webhook list", toEndpointId)
    .action(async (id: string) => {
      const { disableWebhook } = await import("./webhook.ts");
      setExitCode(await disableWebhook(id, io));
    });
  webhook
    .command("remove")
    .description("Remove an endpoint, with its retries.")
    .argument("<id>", "as in avatars webhook list", toEndpointId)
    .action(async (id: string) => {
      const { removeWebhook } = await import("./webhook.ts");
      setExitCode(await removeWebhook(id, io));
    });
}

/** `avatars webhook rotate` and `callback` */
function addSecretCommands(webhook: Command, io: CommandIo, setExitCode: SetExitCode): void {
  webhook
    .command("rotate")
    .description("Make a new secret, and print it: the one before signs too for 24 hours.")
    .argument("<id>", "as in avatars webhook list", toEndpointId)
    .action(async (id: string) => {
      const { rotateWebhook } = await import("./webhook.ts");
      setExitCode(await rotateWebhook(id, io));
    });
  webhook
    .command("callback")
    .description("Print the secret that requests to the callbackUrl of an API key's batches are signed with.")
    .argument("<key>", "the key's id, as in avatars apikey list")
    .action(async (key: string) => {
      const { printCallbackSecret } = await import("./webhook.ts");
      setExitCode(await printCallbackSecret(key.trim().toLowerCase(), io));
    });
}

function toEndpointId(text: string): string {
  const id = text.trim().toLowerCase();
  if (!/^[0-9a-z]{12}$/.test(id))
    throw new InvalidArgumentError("Expected 12 characters, as in avatars webhook list.");
  return id;
}

function toTypes(text: string): WebhookType[] {
  const types = text.split(",").map((part) => {
    const type = webhookTypes.find((known) => known === part.trim().toLowerCase());
    if (type === undefined) throw new InvalidArgumentError(`Expected any of ${webhookTypes.join(", ")}.`);
    return type;
  });
  return [...new Set(types)];
}

/** The option may be repeated, and take several ids, also separated by commas. */
function addInstanceIds(text: string, ids: readonly InstanceId[] = []): InstanceId[] {
  return [...new Set([...ids, ...text.split(",").map(toInstanceId)])];
}

function toPlace(text: string): number {
  if (!/^\d{1,15}$/.test(text))
    throw new InvalidArgumentError("Expected a whole number, such as a changeId.");
  return Number(text);
}

function toAge(text: string): number {
  const ms = orInvalid(() => parseDurationMs(text, "--since"));
  if (ms <= 0) throw new InvalidArgumentError("Expected more than 0.");
  return ms;
}

function toFrom(text: string): "stopped" | "now" {
  if (text === "stopped" || text === "now") return text;
  throw new InvalidArgumentError("Expected stopped or now.");
}
