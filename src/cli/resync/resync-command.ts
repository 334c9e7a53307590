import { InvalidArgumentError, type Command } from "commander";
import { contactStatuses } from "../../domain/contact-status.ts";
import { parseDurationMs } from "../../lib/duration.ts";
import { orInvalid, toInstanceId, toWholeNumber } from "../terminal/arguments.ts";
import type { CommandIo, SetExitCode } from "../terminal/io.ts";
import type { ResyncWhere } from "./resync.ts";

/** `avatars resync` */
export function addResyncCommand(program: Command, io: CommandIo, setExitCode: SetExitCode): void {
  program
    .command("resync")
    .description("What is refreshed by itself: the plan of the next night, and having it done now.")
    .option("--dry-run", "show what is due, how far the next window gets, and what waits longer")
    .option("--now", "have it done now: what is due, or what the options below mean; workers ask")
    .option("--instance <id>", "only this one (default: all)", toInstanceId)
    .option(
      "--where <condition>",
      "only contacts with it, due or not: status=hidden,absent or kind=group; may be repeated",
      toWhere,
    )
    .option("--older-than <duration>", "only contacts without a clear answer for so long, due or not", toAge)
    .option(
      "--limit <number>",
      "so many contacts of each instance at most: those that are worth most",
      toLimit,
    )
    .option("--json", "as JSON")
    .addHelpText(
      "after",
      `
A night begins by itself in any worker: AVATARS_RESYNC_CRON, AVATARS_RESYNC_TZ, AVATARS_RESYNC_WINDOW.

Examples:
  avatars resync --dry-run
  avatars resync --now --instance 1101000001
  avatars resync --now --where status=hidden --older-than 30d --limit 10000
  avatars resync --dry-run --where kind=group --older-than 7d`,
    )
    .action(async (options) => {
      const { resync } = await import("./resync.ts");
      setExitCode(await resync({ dryRun: false, now: false, json: false, ...options }, io));
    });
}

/** Adds one condition to those before. */
function toWhere(text: string, before: ResyncWhere = {}): ResyncWhere {
  const equals = text.indexOf("=");
  const name = text.slice(0, Math.max(equals, 0)).trim().toLowerCase();
  const value = text.slice(equals + 1).trim();
  if (name === "status") {
    const statuses = value.split(",").map((part) => {
      const status = contactStatuses.find((known) => known === part.trim().toLowerCase());
      if (status === undefined)
        throw new InvalidArgumentError(`Expected status= and any of ${contactStatuses.join(", ")}.`);
      return status;
    });
    return { ...before, statuses };
  }
  const kind = (["user", "group"] as const).find((known) => known === value.toLowerCase());
  if (name !== "kind" || kind === undefined)
    throw new InvalidArgumentError("Expected status=…, kind=user or kind=group.");
  return { ...before, kind };
}

function toAge(text: string): number {
  return orInvalid(() => parseDurationMs(text, "--older-than"));
}

function toLimit(text: string): number {
  const limit = toWholeNumber(text);
  if (limit < 1 || limit > 1_000_000) throw new InvalidArgumentError("Expected 1 to 1000000.");
  return limit;
}
