import { InvalidArgumentError, type Command } from "commander";
import { parseDurationMs } from "../../lib/duration.ts";
import { orInvalid, toCount, toInstanceId } from "../terminal/arguments.ts";
import type { CommandIo, SetExitCode } from "../terminal/io.ts";

const defaultLimit = 50;

/** `avatars audit` */
export function addAuditCommand(program: Command, io: CommandIo, setExitCode: SetExitCode): void {
  program
    .command("audit")
    .description("Who did what: changes over the API and at the command line, the newest first.")
    .option("--instance <id>", "only about this instance", toInstanceId)
    .option("--actor <id>", "only by this key, this user of the command line, or: worker")
    .option("--action <name>", "only this action, or all that begin so: instance.", toAction)
    .option("--subject <id>", "only about this batch, key or instance")
    .option("--since <duration>", "only of this time: 24h, 30d (default: all that is kept)", (text) =>
      orInvalid(() => parseDurationMs(text, "--since")),
    )
    .option("--limit <count>", `rows at most (default: ${defaultLimit})`, toCount)
    .option("--json", "as JSON")
    .addHelpText(
      "after",
      `
Rows are kept for AVATARS_KEEP_AUDIT, 400 days unless it says otherwise.

Examples:
  avatars audit
  avatars audit --action instance. --since 7d
  avatars audit --actor 0a1b2c3d4e5f --json`,
    )
    .action(async (options) => {
      const { showAudit } = await import("./audit.ts");
      setExitCode(await showAudit({ limit: defaultLimit, json: false, ...options }, io));
    });
}

function toAction(text: string): string {
  if (!/^[a-z-]{1,30}\.[a-z-]{0,30}$/.test(text))
    throw new InvalidArgumentError(
      "Expected an action such as instance.paused, or the beginning of several: instance.",
    );
  return text;
}
