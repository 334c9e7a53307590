import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import { toExcerpt } from "../domain/chat-id.ts";
import { contactStatuses, type ContactStatus } from "../domain/contact-status.ts";
import { parseDurationMs } from "../lib/duration.ts";
import { LockedError, UserError } from "../lib/errors.ts";
import { parseUuid } from "../lib/uuid.ts";
import { readVersion } from "../lib/version.ts";
import { addApiKeyCommands } from "./apikey/apikey-commands.ts";
import { orInvalid, toInstanceId, toLabel, toRate, toShare, toWholeNumber } from "./terminal/arguments.ts";
import { addInstanceCommands } from "./instance/instance-commands.ts";
import { exitCodes, writeLine, type CommandIo } from "./terminal/io.ts";
import { addResyncCommand } from "./resync/resync-command.ts";

/**
 * Runs one command line and returns its exit code. Whatever goes wrong ends as one line on standard error that
 * says what, where and what to do; only LOG_LEVEL=debug shows a stack.
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

type SetExitCode = (code: number) => void;

function createProgram(io: CommandIo, setExitCode: SetExitCode): Command {
  const program = new Command("avatars")
    .description("Keeps the WhatsApp avatars of your contacts fresh in your own Postgres, through GREEN-API.")
    .configureOutput({
      writeOut: (text) => io.stdout.write(text),
      writeErr: (text) => io.stderr.write(text),
      outputError: (text, write) => write(toUsageError(text)),
    })
    .version(readVersion(), "-V, --version", "print the version")
    .exitOverride()
    .addHelpText(
      "after",
      `
Settings come from the environment: see the README, or start without any: everything has a default.

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
  return program;
}

/** Switches that are off unless given. As defaults of their options they would clutter the help. */
const flags = {
  allowIncomplete: false,
  check: false,
  ignoreHeld: false,
  json: false,
  simulate: false,
  strict: false,
};

/**
 * Options that say how to read contacts.
 * @param file `<file>`, or `[file]` where it may be something else
 */
function addIntakeOptions(command: Command, file: string): Command {
  return command
    .argument(file, "CSV, NDJSON or plain lines, each also gzipped; - reads standard input")
    .addOption(instanceOption())
    .option("--column <name>", "the column of the chat id or phone number (default: found by its header)")
    .option("--ref-column <name>", "the column of your own id for the contact (default: external_ref)")
    .option("--default-country <code>", "the country of phone numbers without a plus, e.g. DE")
    .option("--strict", "stop at the first line that is no contact")
    .option("--max-age <duration>", "an answer younger than this is fresh enough: 7d, 12h, 0", toMaxAge)
    .option("--label <text>", "a name for this import, shown in lists", toLabel);
}

function addFileCommands(program: Command, io: CommandIo, setExitCode: SetExitCode): void {
  addIntakeOptions(program.command("enrich"), "<file>")
    .description("The main job: take a file in, ask until every contact has an outcome, write the results.")
    .option("--simulate", "use the built-in simulator instead of GREEN-API: no account, invented answers")
    .option(
      "--out <file>",
      "where the results go, .csv or .ndjson (default: NAME.avatars.csv in this folder)",
    )
    .option("--rejects <file>", "where lines that are no contacts go (default: beside the results)")
    .option("--allow-incomplete", "exit with 0 also when some contacts have no clear answer")
    .option("--json", "the summary as JSON on standard output")
    .addHelpText(
      "after",
      `
Running the same file again continues, and asks only for contacts without a clear answer or with one older than
--max-age.

Exit codes: 0 done; 1 finished, but some contacts have no clear answer; 2 wrong usage, input or settings; 130 stopped
by Ctrl-C, everything done so far kept (a second Ctrl-C stops at once).

Examples:
  avatars enrich examples/contacts.csv --simulate
  avatars enrich contacts.csv --out avatars.ndjson
  zcat export.csv.gz | avatars enrich - --column mobile --default-country DE`,
    )
    .action(async (file: string, options) => {
      const { enrich } = await import("./batch/enrich.ts");
      setExitCode(await enrich({ file, ...flags, ...options }, io));
    });

  addIntakeOptions(program.command("import"), "[file]")
    .description(
      "Enqueue contacts for the workers, of a file, a query, or the instance's own list, and print the batch's id.",
    )
    .option("--from-query <sql>", "instead of a file: what this SELECT gives; its names are the header")
    .option("--source-url <url>", "the Postgres it is for, postgres://… (default: AVATARS_SOURCE_URL)")
    .option(
      "--from-instance <id>",
      "instead of a file: the contact list that GREEN-API has of this instance, for itself",
      toInstanceId,
    )
    .option("--priority <number>", "0 interactive, 1 import, 2 resync", toPriority, 1)
    .option(
      "--rejects <file>",
      "where lines that are no contacts go (default: NAME.rejects.csv, query.rejects.csv or instance-ID.rejects.csv in this folder)",
    )
    .option("--json", "the batch as JSON on standard output")
    .addHelpText(
      "after",
      `
A query is read in a read-only transaction, as one statement. Give the URL in AVATARS_SOURCE_URL rather than on the command
line, where others on this machine may see its password.

Examples:
  avatars import contacts.csv --instance 1101000001
  AVATARS_SOURCE_URL=postgres://… avatars import --from-query 'select phone, id as external_ref from crm.customers'
  avatars import --from-instance 1101000001
  batch=$(avatars import contacts.ndjson); avatars export --batch "$batch" --out results.csv`,
    )
    .action(async (file: string | undefined, options) => {
      const { importBatch } = await import("./batch/import.ts");
      setExitCode(await importBatch({ file, ...flags, ...options }, io));
    });

  program
    .command("export")
    .description("Write what is known of the contacts to a file.")
    .requiredOption("--out <file>", "where the results go, .csv or .ndjson; - writes CSV to standard output")
    .addOption(instanceOption())
    .option("--batch <id>", "only the contacts of this batch, in the order of its file", toBatchId)
    .option("--status <list>", `only these, separated by commas: ${contactStatuses.join(", ")}`, toStatuses)
    .addHelpText(
      "after",
      `
Examples:
  avatars export --out all.csv
  avatars export --status present,absent --out - | head`,
    )
    .action(async (options) => {
      const { exportResults } = await import("./batch/export.ts");
      setExitCode(await exportResults(options, io));
    });
}

function addServiceCommands(program: Command, io: CommandIo, setExitCode: SetExitCode): void {
  program
    .command("up")
    .description("The HTTP API and a worker in one process, until told to stop.")
    .addHelpText(
      "after",
      `
The API listens on HOST (127.0.0.1) and PORT (3000). Without DATABASE_URL the data is kept in an embedded Postgres, and the
first start prints a key of the API, once.

Examples:
  avatars up
  PORT=8080 avatars up`,
    )
    .action(async () => {
      const { up } = await import("./services/up.ts");
      setExitCode(await up(io));
    });

  program
    .command("serve")
    .description("The HTTP API alone, until told to stop: workers do the rest.")
    .addHelpText(
      "after",
      `
It listens on HOST (127.0.0.1) and PORT (3000). Keys are made with avatars apikey create.

Examples:
  avatars serve
  DATABASE_URL=postgres://… REDIS_URL=redis://… HOST=0.0.0.0 avatars serve`,
    )
    .action(async () => {
      const { serve } = await import("./services/serve.ts");
      setExitCode(await serve(io));
    });

  program
    .command("worker")
    .description("Work on whatever is due, until told to stop. Start as many as you like.")
    .addHelpText(
      "after",
      "\nExamples:\n  avatars worker\n  DATABASE_URL=postgres://… REDIS_URL=redis://… avatars worker",
    )
    .action(async () => {
      const { runWorker } = await import("./services/worker.ts");
      setExitCode(await runWorker(io));
    });

  program
    .command("migrate")
    .description(
      "Create or update the tables in the database. Safe to run at every deploy, and by several at once.",
    )
    .addHelpText("after", "\nExamples:\n  DATABASE_URL=postgres://… avatars migrate")
    .action(async () => {
      const { migrate } = await import("./services/migrate.ts");
      setExitCode(await migrate(io));
    });

  program
    .command("status")
    .description(
      "Where each instance stands: its state, what is due, how fast it is called, the outcomes so far.",
    )
    .option("--json", "as JSON")
    .option(
      "--check",
      "exit with 1 when contacts are due and nobody works on them, or a person must: for alarms",
    )
    .option("--ignore-held", "with --check: held instances are no reason to fail")
    .addHelpText(
      "after",
      `
Examples:
  avatars status
  avatars status --json | jq '.instances[].due'
  avatars status --check`,
    )
    .action(async (options) => {
      const { showStatus } = await import("./status/status.ts");
      setExitCode(await showStatus({ ...flags, ...options }, io));
    });

  program
    .command("simulate")
    .description("Run the GREEN-API simulator as a server, for trying and testing.")
    .option("--port <number>", "the port; 0 takes a free one", toPort, 8080)
    .option("--host <address>", "the address to listen on", "127.0.0.1")
    .option("--seed <number>", "another seed gives other answers", toWholeNumber, 1)
    .option("--rps <number>", "calls per second and instance", toRate, 10)
    .option("--latency-ms <number>", "median time of an answer", toWholeNumber)
    .option(
      "--jitter-ms <number>",
      "random time on the way to the limit: up to so much (default: 0)",
      toWholeNumber,
    )
    .option(
      "--troubled-share <share>",
      "of the chats, whose first calls fail: 0 to 1 (default: 0.06)",
      toShare,
    )
    .addHelpText(
      "after",
      `
Examples:
  avatars simulate --port 8080
  avatars instance add 1101000001 --url http://127.0.0.1:8080 --token anything`,
    )
    .action(async (options) => {
      const { simulate } = await import("./services/simulate.ts");
      setExitCode(await simulate(options, io));
    });
}

function instanceOption(): Option {
  return new Option("--instance <id>", "which instance, where there is more than one").argParser(
    toInstanceId,
  );
}

function toMaxAge(text: string): number {
  return orInvalid(() => parseDurationMs(text, "--max-age"));
}

function toPriority(text: string): number {
  if (!/^[012]$/.test(text)) throw new InvalidArgumentError("Expected 0, 1 or 2.");
  return Number(text);
}

function toPort(text: string): number {
  const port = toWholeNumber(text);
  if (port > 65_535) throw new InvalidArgumentError("Expected a port from 0 to 65535.");
  return port;
}

function toBatchId(text: string): string {
  const id = parseUuid(text.trim());
  if (id === undefined) throw new InvalidArgumentError("Expected the id that avatars import printed.");
  return id;
}

function toStatuses(text: string): ContactStatus[] {
  return text.split(",").map((part) => {
    const status = contactStatuses.find((known) => known === part.trim().toLowerCase());
    if (status === undefined)
      throw new InvalidArgumentError(`Expected any of ${contactStatuses.join(", ")}.`);
    return status;
  });
}

/** The last line of a command that failed. */
export function reportFailure(io: Pick<CommandIo, "stderr">, error: unknown, showStack: boolean): number {
  const text =
    error instanceof UserError || error instanceof LockedError
      ? error.message
      : "an unexpected error; LOG_LEVEL=debug shows more. Nothing that was accepted is lost: run it again";
  writeLine(io.stderr, `avatars: ${text}`);
  if (showStack && error instanceof Error) writeLine(io.stderr, error.stack);
  return exitCodes.wrong;
}

/** One line, in our words' order: what is wrong, then where help is. A mistyped --source-url=… comes here with its password. */
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
