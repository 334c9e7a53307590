import { InvalidArgumentError, type Command } from "commander";
import { apiScopes, type ApiScope } from "../../domain/api-key.ts";
import type { InstanceId } from "../../domain/instance-id.ts";
import { parseDurationMs } from "../../lib/duration.ts";
import { orInvalid, toInstanceId, toLabel } from "../terminal/arguments.ts";
import type { CommandIo, SetExitCode } from "../terminal/io.ts";

/** Switches that are off unless given. */
const flags = { json: false };

/** `avatars apikey …` */
export function addApiKeyCommands(program: Command, io: CommandIo, setExitCode: SetExitCode): void {
  const apikey = program.command("apikey").description("Create, list and revoke the keys of the HTTP API.");

  addCreateCommand(apikey, io, setExitCode);
  addListCommand(apikey, io, setExitCode);
  addRevokeCommand(apikey, io, setExitCode);
}

/** `avatars apikey create` */
function addCreateCommand(apikey: Command, io: CommandIo, setExitCode: SetExitCode): void {
  apikey
    .command("create")
    .description("Make a key, and print it: it is shown once, and stored nowhere.")
    .requiredOption("--scope <list>", `separated by commas: ${apiScopes.join(", ")}`, toScopes)
    .option("--label <text>", "a name, shown in lists", toLabel)
    .option(
      "--instance <id...>",
      "only these instances: all others do not exist for it (default: all)",
      addInstanceIds,
    )
    .option("--expires <duration>", "it opens nothing after this time: 90d, 12h (default: never)", toLifetime)
    .option("--json", "the key with all that is stored of it, as JSON")
    .addHelpText(
      "after",
      `
Scopes: enqueue asks for avatars; read sees contacts, batches and instances; admin changes instances and erases contacts;
audit sees who did what; webhooks says who is told of changes. None implies another.

Examples:
  KEY=$(avatars apikey create --scope enqueue,read --label crm)
  avatars apikey create --scope read --instance 1101000001 1101000002 --expires 90d`,
    )
    .action(async (options) => {
      const { createApiKey } = await import("./apikey.ts");
      setExitCode(await createApiKey({ ...flags, ...options }, io));
    });
}

/** `avatars apikey list` */
function addListCommand(apikey: Command, io: CommandIo, setExitCode: SetExitCode): void {
  apikey
    .command("list")
    .description("All keys, with their state and when they were last used; never their secrets.")
    .option("--json", "as JSON")
    .addHelpText("after", "\nExamples:\n  avatars apikey list")
    .action(async (options) => {
      const { listApiKeys } = await import("./apikey.ts");
      setExitCode(await listApiKeys({ ...flags, ...options }, io));
    });
}

/** `avatars apikey revoke` */
function addRevokeCommand(apikey: Command, io: CommandIo, setExitCode: SetExitCode): void {
  apikey
    .command("revoke")
    .description("Revoke a key for ever, in all running servers within 5 seconds.")
    .argument("<id>", "the key's id, as in avatars apikey list: what stands between avk_ and the dot")
    .addHelpText("after", "\nExamples:\n  avatars apikey revoke 0a1b2c3d4e5f")
    .action(async (id: string) => {
      const { revokeApiKey } = await import("./apikey.ts");
      // The database compares ids as texts, and has them in small letters.
      setExitCode(await revokeApiKey(id.trim().toLowerCase(), io));
    });
}

function toScopes(text: string): ApiScope[] {
  const scopes = text.split(",").map((part) => {
    const scope = apiScopes.find((known) => known === part.trim().toLowerCase());
    if (scope === undefined) throw new InvalidArgumentError(`Expected any of ${apiScopes.join(", ")}.`);
    return scope;
  });
  return [...new Set(scopes)];
}

/** The option may be repeated, and take several ids, also separated by commas. */
function addInstanceIds(text: string, ids: readonly InstanceId[] = []): InstanceId[] {
  return [...new Set([...ids, ...text.split(",").map(toInstanceId)])];
}

function toLifetime(text: string): number {
  const ms = orInvalid(() => parseDurationMs(text, "--expires"));
  if (ms <= 0) throw new InvalidArgumentError("Expected more than 0.");
  return ms;
}
