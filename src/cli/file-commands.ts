import { InvalidArgumentError, Option, type Command } from "commander";
import { contactStatuses, type ContactStatus } from "../domain/contact-status.ts";
import { parseDurationMs } from "../lib/duration.ts";
import { parseUuid } from "../lib/uuid.ts";
import { orInvalid, toInstanceId, toLabel } from "./terminal/arguments.ts";
import type { CommandIo, SetExitCode } from "./terminal/io.ts";
import { flags } from "./flags.ts";
import { instanceOption } from "./instance-option.ts";

const outputFormats = ["csv", "ndjson", "vcf"] as const;

/** `avatars enrich`, `import` and `export`. */
export function addFileCommands(program: Command, io: CommandIo, setExitCode: SetExitCode): void {
  addEnrichCommand(program, io, setExitCode);
  addImportCommand(program, io, setExitCode);
  addExportCommand(program, io, setExitCode);
}

/** `avatars enrich` */
function addEnrichCommand(program: Command, io: CommandIo, setExitCode: SetExitCode): void {
  addIntakeOptions(program.command("enrich"), "<file>")
    .description("The main job: take a file in, ask until every contact has an outcome, write the results.")
    .option("--simulate", "use the built-in simulator instead of GREEN-API: no account, invented answers")
    .option(
      "--out <file>",
      "where the results go, .csv or .ndjson (default: NAME.avatars.csv in this folder)",
    )
    .option("--rejects <file>", "where lines that are no contacts go (default: beside the results)")
    .option("--images <folder>", "also write each picture as a file, named after its reference or chat id")
    .option("--gallery <file>", "also write one page with all faces, .html, to be opened in a browser")
    .option(
      "--allow-incomplete",
      "exit with 0 also when some contacts have no clear answer, or some lines are no contacts",
    )
    .option("--json", "the summary as JSON on standard output")
    .addHelpText(
      "after",
      `
Running the same file again continues, and asks only for contacts without a clear answer or with one older than
--max-age.

Exit codes: 0 done; 1 finished, but some contacts have no clear answer, or some lines are no contacts; 2 wrong usage,
input or settings; 130 stopped by Ctrl-C, everything done so far kept (a second Ctrl-C stops at once).

Examples:
  avatars enrich examples/contacts.csv --simulate
  avatars enrich contacts.csv --out avatars.ndjson
  zcat export.csv.gz | avatars enrich - --column mobile --default-country DE`,
    )
    .action(async (file: string, options) => {
      const { enrich } = await import("./batch/enrich.ts");
      setExitCode(await enrich({ file, ...flags, ...options }, io));
    });
}

/** `avatars import` */
function addImportCommand(program: Command, io: CommandIo, setExitCode: SetExitCode): void {
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

Exit codes: 0 done; 1 done, but some lines or rows are no contacts; 2 wrong usage, input or settings; 130 stopped by Ctrl-C,
what was read before is kept.

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
}

/** `avatars export` */
function addExportCommand(program: Command, io: CommandIo, setExitCode: SetExitCode): void {
  program
    .command("export")
    .description("Write what is known of the contacts to a file.")
    .option("--out <file>", "where the contacts go, .csv, .ndjson or .vcf; - is standard output")
    .addOption(
      new Option(
        "--format <name>",
        "of --out: vcf makes cards for a phone book, with pictures (default: by its ending, csv for -)",
      ).choices(outputFormats),
    )
    .option("--images <folder>", "write each picture as a file, named after its reference or chat id")
    .option("--gallery <file>", "write one page with all faces, .html, to be opened in a browser")
    .addOption(instanceOption())
    .option("--batch <id>", "only the contacts of this batch, in the order of its file", toBatchId)
    .option("--status <list>", `only these, separated by commas: ${contactStatuses.join(", ")}`, toStatuses)
    .addHelpText(
      "after",
      `
Examples:
  avatars export --out all.csv
  avatars export --status present,absent --out - | head
  avatars export --images faces --gallery faces.html
  avatars export --format vcf --out phone-book.vcf`,
    )
    .action(async (options) => {
      const { exportResults } = await import("./batch/export.ts");
      setExitCode(await exportResults(options, io));
    });
}

/**
 * Options that say how to read contacts.
 * @param file `<file>`, or `[file]` where it may be something else
 */
function addIntakeOptions(command: Command, file: string): Command {
  return command
    .argument(
      file,
      "CSV, Excel (.xlsx), vCard, JSON, NDJSON or plain lines, each also gzipped; - reads standard input",
    )
    .addOption(instanceOption())
    .option("--column <name>", "the one column of chat ids or phone numbers (default: all with known names)")
    .option("--first-number", "of each record one number alone: the likeliest mobile")
    .option("--ref-column <name>", "the column of your own id for the contact (default: external_ref)")
    .option("--sheet <name>", "of a workbook (default: the first with a column of numbers)")
    .option("--encoding <name>", "of the text: utf-8, windows-1251, … (default: found out)")
    .option("--default-country <code>", "the country of phone numbers without a plus, e.g. DE")
    .option("--strict", "stop at the first line that is no contact")
    .option("--max-age <duration>", "an answer younger than this is fresh enough: 7d, 12h, 0", toMaxAge)
    .option("--label <text>", "a name for this import, shown in lists", toLabel);
}

function toMaxAge(text: string): number {
  return orInvalid(() => parseDurationMs(text, "--max-age"));
}

function toPriority(text: string): number {
  if (!/^[012]$/.test(text)) throw new InvalidArgumentError("Expected 0, 1 or 2.");
  return Number(text);
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
