import { InvalidArgumentError, type Command } from "commander";
import { parseApiUrl, toOrigin } from "../lib/api-url.ts";
import { toRate, toShare, toWholeNumber } from "./terminal/arguments.ts";
import type { CommandIo, SetExitCode } from "./terminal/io.ts";
import { flags } from "./flags.ts";

/** `avatars up`, `serve`, `worker`, `migrate`, `status` and `simulate`. */
export function addServiceCommands(program: Command, io: CommandIo, setExitCode: SetExitCode): void {
  addUpCommand(program, io, setExitCode);
  addServeCommand(program, io, setExitCode);
  addWorkerCommand(program, io, setExitCode);
  addMigrateCommand(program, io, setExitCode);
  addStatusCommand(program, io, setExitCode);
  addSimulateCommand(program, io, setExitCode);
}

/** `avatars up` */
function addUpCommand(program: Command, io: CommandIo, setExitCode: SetExitCode): void {
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
}

/** `avatars serve` */
function addServeCommand(program: Command, io: CommandIo, setExitCode: SetExitCode): void {
  program
    .command("serve")
    .description("The HTTP API alone, until told to stop: workers do the rest.")
    .addHelpText(
      "after",
      `
It listens on HOST (127.0.0.1) and PORT (3000). Keys are made with avatars apikey create --scope LIST.

Examples:
  avatars serve
  DATABASE_URL=postgres://… REDIS_URL=redis://… HOST=0.0.0.0 avatars serve`,
    )
    .action(async () => {
      const { serve } = await import("./services/serve.ts");
      setExitCode(await serve(io));
    });
}

/** `avatars worker` */
function addWorkerCommand(program: Command, io: CommandIo, setExitCode: SetExitCode): void {
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
}

/** `avatars migrate` */
function addMigrateCommand(program: Command, io: CommandIo, setExitCode: SetExitCode): void {
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
}

/** `avatars status` */
function addStatusCommand(program: Command, io: CommandIo, setExitCode: SetExitCode): void {
  program
    .command("status")
    .description(
      "Where each instance stands: its state, what is due, how fast it is called, the outcomes so far.",
    )
    .option("--json", "as JSON")
    .option(
      "--check",
      "exit with 1 when contacts are due and no worker works on them, or a person must act: for alarms",
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
}

/** `avatars simulate` */
function addSimulateCommand(program: Command, io: CommandIo, setExitCode: SetExitCode): void {
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
    .option("--no-pictures", "URLs of WhatsApp's CDN, instead of pictures that are served here")
    .option(
      "--pictures-at <url>",
      "of another simulator with this seed, which serves the pictures",
      toOriginOf,
    )
    .option(
      "--picture-faults <shares>",
      "of the requests of pictures: name=share,… e.g. expired-403=0.02,slow=0.01",
      toShares,
    )
    .option("--base64-share <share>", "of the pictures, told in base64 without a URL (default: 0)", toShare)
    .addHelpText(
      "after",
      `
Examples:
  avatars simulate --port 8080
  avatars simulate --port 8080 --picture-faults expired-403=0.02,not-found-404=0.01
  avatars instance add 1101000001 --url http://127.0.0.1:8080 --token anything`,
    )
    .action(async (options) => {
      const { simulate } = await import("./services/simulate.ts");
      setExitCode(await simulate(options, io));
    });
}

function toPort(text: string): number {
  const port = toWholeNumber(text);
  if (port > 65_535) throw new InvalidArgumentError("Expected a port from 0 to 65535.");
  return port;
}

/** The origin of an http or https URL. */
function toOriginOf(text: string): string {
  const url = parseApiUrl(text);
  if (url === undefined) throw new InvalidArgumentError("Expected a URL such as http://127.0.0.1:8081.");
  return toOrigin(url);
}

/** Reads `name=share,…`; which names there are the simulator knows. */
function toShares(text: string): Record<string, number> {
  const shares = text.split(",").map((part) => {
    const [name = "", share = ""] = part.split("=", 2);
    return [name.trim(), toShare(share)] as const;
  });
  return Object.fromEntries(shares);
}
