import { Command, CommanderError } from "commander";
import { toExcerpt } from "../domain/chat-id.ts";
import { LockedError, UserError } from "../lib/errors.ts";
import { readVersion } from "../lib/version.ts";
import { addApiKeyCommands } from "./apikey/apikey-commands.ts";
import { addAuditCommand } from "./audit/audit-command.ts";
import { addImagesCommands } from "./images/images-commands.ts";
import { addInstanceCommands } from "./instance/instance-commands.ts";
import { addWebhookCommands } from "./webhook/webhook-commands.ts";
import { exitCodes, writeHint, writeLine, type CommandIo, type SetExitCode } from "./terminal/io.ts";
import { spellCommands } from "./terminal/typed-command.ts";
import { addResyncCommand } from "./resync/resync-command.ts";
import { addServiceCommands } from "./service-commands.ts";
import { addFileCommands } from "./file-commands.ts";

/**
 * Runs one command line and returns its exit code. Each failure ends as one line on standard error that says what, where and
 * what to do. Only LOG_LEVEL=debug shows a stack.
 */
export async function runProgram(io: CommandIo): Promise<number> {
  let exitCode: number = exitCodes.done;
  const program = createProgram(io, (code) => {
    exitCode = code;
  });
  try {
    await program.parseAsync([...io.args], { from: "user" });
    return exitCode;
  } catch (error) {
    // Commander has written its message, or the help that was asked for.
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.done : exitCodes.wrong;
    throw error;
  }
}

function createProgram(io: CommandIo, setExitCode: SetExitCode): Command {
  const program = new Command("avatars")
    .description("Keeps the WhatsApp avatars of your contacts fresh in your own Postgres, through GREEN-API.")
    .configureOutput({
      writeOut: (text) => io.stdout.write(spellCommands(text, io.command)),
      writeErr: (text) => io.stderr.write(spellCommands(text, io.command)),
      outputError: (text, write) => write(toUsageError(text)),
    })
    .version(readVersion(), "-V, --version", "print the version")
    .exitOverride()
    .addHelpText(
      "after",
      `
Settings come from the environment: see docs/configuration.md, or start without any: everything has a default.

Examples:
  avatars enrich examples/contacts.csv --simulate     try it, without an account
  avatars enrich contacts.csv                         with GREEN_API_URL, GREEN_API_ID_INSTANCE, GREEN_API_TOKEN set
  avatars status                                      where things stand`,
    );
  addFileCommands(program, io, setExitCode);
  addServiceCommands(program, io, setExitCode);
  addResyncCommand(program, io, setExitCode);
  addInstanceCommands(program, io, setExitCode);
  addApiKeyCommands(program, io, setExitCode);
  addAuditCommand(program, io, setExitCode);
  addWebhookCommands(program, io, setExitCode);
  addImagesCommands(program, io, setExitCode);
  return program;
}

/** The last line of a command that failed. */
export function reportFailure(
  io: Pick<CommandIo, "stderr" | "command">,
  error: unknown,
  showStack: boolean,
): number {
  const text =
    error instanceof UserError || error instanceof LockedError
      ? error.message
      : "an unexpected error; LOG_LEVEL=debug shows more. Nothing that was accepted is lost: run it again";
  writeHint(io, io.stderr, `avatars: ${text}`);
  if (showStack && error instanceof Error) writeLine(io.stderr, error.stack);
  return exitCodes.wrong;
}

/** A usage error in one line: what is wrong, then where help is. A mistyped --source-url=… comes here with its password. */
function toUsageError(text: string): string {
  const words = text
    .replace(/^error: /, "")
    .split(/\s+/)
    .map(withoutPassword);
  return `avatars: ${toExcerpt(words.join(" "), maxUsageError)}; --help shows what it takes\n`;
}

/** An argument of any length may be in it. */
const maxUsageError = 500;

function withoutPassword(word: string): string {
  const from = word.indexOf("://");
  const to = word.lastIndexOf("@");
  return from >= 0 && to > from ? `${word.slice(0, from)}://…${word.slice(to)}` : word;
}
