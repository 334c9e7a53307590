import type { Command } from "commander";
import type { InstanceId } from "../../domain/instance-id.ts";
import {
  orDefault,
  orNone,
  toCallsPerDay,
  toCount,
  toInstanceId,
  toLabel,
  toNewInstanceId,
  toQuietHours,
  toRate,
  toShare,
  toTimeZone,
} from "../terminal/arguments.ts";
import type { CommandIo, SetExitCode } from "../terminal/io.ts";

/** Switches that are off unless given. */
const flags = { json: false, remove: false, tokenStdin: false, withContacts: false };

/** `avatars instance …` */
export function addInstanceCommands(program: Command, io: CommandIo, setExitCode: SetExitCode): void {
  const instance = program
    .command("instance")
    .description(
      "Add, list, show, change, pause, resume and remove the GREEN-API instances to call; have them tell of new chats.",
    );
  addAddCommand(instance, io, setExitCode);
  addListCommand(instance, io, setExitCode);
  addShowCommand(instance, io, setExitCode);
  addSetCommand(instance, io, setExitCode);
  addPauseCommand(instance, io, setExitCode);
  addResumeCommand(instance, io, setExitCode);
  addHookCommand(instance, io, setExitCode);
  addRemoveCommand(instance, io, setExitCode);
}

/** `avatars instance add` */
function addAddCommand(instance: Command, io: CommandIo, setExitCode: SetExitCode): void {
  instance
    .command("add")
    .description("Add an instance, or give a known one a new URL and token. Without --token it is asked for.")
    .argument("<id>", "idInstance, from the console", toNewInstanceId)
    .requiredOption("--url <url>", "apiUrl, from the console, e.g. https://7103.api.greenapi.com")
    .option("--token <token>", "apiTokenInstance; other users of this machine may see it in the process list")
    .option("--token-stdin", "read the token from standard input")
    .option("--label <text>", "a name, shown in lists", toLabel)
    .option("--rps <number>", "calls per second (default: AVATARS_REQUESTS_PER_SECOND)", toRate)
    .option(
      "--max-in-flight <number>",
      "calls in flight at most (default: from the rate and the time that answers take)",
      toCount,
    )
    .option("--per-day <number>", "calls a day at most, of its time zone (default: no cap)", toCallsPerDay)
    .option(
      "--quiet <hours>",
      "no call is sent in these hours, e.g. 22:00-07:00 (default: none)",
      toQuietHours,
    )
    .option("--quiet-interactive", "but for single contacts that are asked for with priority 0")
    .option("--time-zone <name>", "of these days and hours, e.g. Europe/Berlin (default: UTC)", toTimeZone)
    .addHelpText(
      "after",
      `
Examples:
  avatars instance add 1101000001 --url https://7103.api.greenapi.com
  avatars instance add 1101000001 --url https://7103.api.greenapi.com --token-stdin < token.txt
  avatars instance add 1101000001 --url https://7103.api.greenapi.com --per-day 5000 --quiet 22:00-07:00 --time-zone Europe/Berlin`,
    )
    .action(async (id: InstanceId, options) => {
      const { addInstance } = await import("./instance.ts");
      setExitCode(await addInstance({ id, ...flags, ...options }, io));
    });
}

/** `avatars instance list` */
function addListCommand(instance: Command, io: CommandIo, setExitCode: SetExitCode): void {
  instance
    .command("list")
    .description("All instances; never their tokens.")
    .option("--json", "as JSON")
    .addHelpText("after", "\nExamples:\n  avatars instance list")
    .action(async (options) => {
      const { listInstances } = await import("./instance.ts");
      setExitCode(await listInstances({ ...flags, ...options }, io));
    });
}

/** `avatars instance show` */
function addShowCommand(instance: Command, io: CommandIo, setExitCode: SetExitCode): void {
  instance
    .command("show")
    .description("All that is known of one instance; never its token.")
    .argument("<id>", "idInstance", toInstanceId)
    .option("--json", "as JSON")
    .addHelpText(
      "after",
      "\nExamples:\n  avatars instance show 1101000001\n  avatars instance show 1101000001 --json | jq .etaMs",
    )
    .action(async (id: InstanceId, options) => {
      const { showInstance } = await import("./instance-show.ts");
      setExitCode(await showInstance({ id, ...flags, ...options }, io));
    });
}

/** `avatars instance set` */
function addSetCommand(instance: Command, io: CommandIo, setExitCode: SetExitCode): void {
  instance
    .command("set")
    .description("Change an instance while it is worked on: in all running workers within 2 seconds.")
    .argument("<id>", "idInstance", toInstanceId)
    .option(
      "--rps <number>",
      "calls per second; default takes AVATARS_REQUESTS_PER_SECOND again",
      orDefault(toRate),
    )
    .option(
      "--max-in-flight <number>",
      "calls in flight at most; default takes AVATARS_MAX_IN_FLIGHT again",
      orDefault(toCount),
    )
    .option(
      "--resync-share <share>",
      "of its calls, for a resync within the window: 0 to 1; default takes AVATARS_RESYNC_SHARE again",
      orDefault(toShare),
    )
    .option(
      "--resync-day-share <share>",
      "the same outside of the window; default takes AVATARS_RESYNC_DAY_SHARE again",
      orDefault(toShare),
    )
    .option(
      "--per-day <number>",
      "calls a day at most, of its time zone; none takes the cap away",
      orNone(toCallsPerDay),
    )
    .option(
      "--quiet <hours>",
      "no call is sent in these hours, e.g. 22:00-07:00, or none",
      orNone(toQuietHours),
    )
    .option("--quiet-interactive", "but for single contacts that are asked for with priority 0")
    .option("--no-quiet-interactive", "not for them either")
    .option("--time-zone <name>", "of these days and hours, e.g. Europe/Berlin or UTC", toTimeZone)
    .option("--label <text>", "a name, shown in lists; an empty one takes it away", toLabel)
    .option("--url <url>", "apiUrl; a new token goes with avatars instance add")
    .addHelpText(
      "after",
      `
Examples:
  avatars instance set 1101000001 --rps 5
  avatars instance set 1101000001 --rps default --max-in-flight 50
  avatars instance set 1101000001 --per-day 5000 --quiet 22:00-07:00 --time-zone Europe/Berlin`,
    )
    .action(async (id: InstanceId, options) => {
      const { setInstance } = await import("./instance-set.ts");
      setExitCode(await setInstance({ id, ...options }, io));
    });
}

/** `avatars instance pause` */
function addPauseCommand(instance: Command, io: CommandIo, setExitCode: SetExitCode): void {
  instance
    .command("pause")
    .description(
      "Stop calling an instance, in all running workers within 2 seconds; its contacts stay due until it is resumed.",
    )
    .argument("<id>", "idInstance", toInstanceId)
    .addHelpText("after", "\nExamples:\n  avatars instance pause 1101000001")
    .action(async (id: InstanceId) => {
      const { pauseInstance } = await import("./instance.ts");
      setExitCode(await pauseInstance(id, io));
    });
}

/** `avatars instance resume` */
function addResumeCommand(instance: Command, io: CommandIo, setExitCode: SetExitCode): void {
  instance
    .command("resume")
    .description(
      "Go on with a paused instance. A held one, or one that the provider lets wait, is tried again at once.",
    )
    .argument("<id>", "idInstance", toInstanceId)
    .addHelpText("after", "\nExamples:\n  avatars instance resume 1101000001")
    .action(async (id: InstanceId) => {
      const { resumeInstance } = await import("./instance.ts");
      setExitCode(await resumeInstance(id, io));
    });
}

/** `avatars instance hook` */
function addHookCommand(instance: Command, io: CommandIo, setExitCode: SetExitCode): void {
  instance
    .command("hook")
    .description("Have GREEN-API tell of new chats: makes the token that its notifications come with.")
    .argument("<id>", "idInstance", toInstanceId)
    .option("--remove", "take no notifications any more")
    .option("--json", "as JSON")
    .addHelpText(
      "after",
      "\nExamples:\n  avatars instance hook 1101000001\n  avatars instance hook 1101000001 --remove",
    )
    .action(async (id: InstanceId, options) => {
      const { setInstanceHook } = await import("./instance-hook.ts");
      setExitCode(await setInstanceHook({ id, ...flags, ...options }, io));
    });
}

/** `avatars instance remove` */
function addRemoveCommand(instance: Command, io: CommandIo, setExitCode: SetExitCode): void {
  instance
    .command("remove")
    .description("Remove an instance.")
    .argument("<id>", "idInstance", toInstanceId)
    .option("--with-contacts", "also remove its contacts, their avatars and batches")
    .addHelpText("after", "\nExamples:\n  avatars instance remove 1101000001 --with-contacts")
    .action(async (id: InstanceId, options) => {
      const { removeInstance } = await import("./instance.ts");
      setExitCode(await removeInstance({ id, ...flags, ...options }, io));
    });
}
