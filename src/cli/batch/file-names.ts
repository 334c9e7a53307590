import { fstat as fstatCallback } from "node:fs";
import { realpath, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { promisify } from "node:util";
import { UserError } from "../../lib/errors.ts";

const fstat = promisify(fstatCallback);

/** `exports/contacts.csv.gz` → `contacts`; standard input → `stdin`. */
function toStem(file: string): string {
  if (file === "-") return "stdin";
  return (
    basename(file)
      .replace(/(\.gz)?$/i, "")
      .replace(/\.(csv|tsv|txt|ndjson|jsonl|json|xlsx|vcf|vcard)$/i, "") || "contacts"
  );
}

/** Where results go unless an option says it: in this folder, named after the input. */
export function toResultsPath(file: string): string {
  return `${toStem(file)}.avatars.csv`;
}

/** Where lines that are no contacts go: beside the results. */
export function toRejectsPath(resultsPath: string): string {
  return resultsPath.replace(/(\.avatars)?\.[^./\\]+$/, "") + ".rejects.csv";
}

/**
 * No file that is written may be the one that is read, or another one that is written. Spellings of a path, links of either
 * kind and standard input (`-`) are seen through.
 * @param files by their roles, for the message
 * @throws UserError `same-file`
 */
export async function assertDistinctFiles(
  files: Readonly<Record<string, string | undefined>>,
): Promise<void> {
  const seen = new Map<string, string>();
  for (const [role, path] of Object.entries(files)) {
    if (path === undefined) continue;
    const names = await identify(path);
    const other = names.map((name) => seen.get(name)).find((found) => found !== undefined);
    if (other !== undefined) {
      throw new UserError("same-file", `${path} cannot be both ${other} and ${role}: choose another name`);
    }
    for (const name of names) seen.set(name, role);
  }
}

/** All that one file may be told by: what is equal in one of them is one file. */
async function identify(path: string): Promise<string[]> {
  const found = await (path === "-" ? fstat(0) : stat(path)).catch(() => undefined);
  // Terminals and the like may be both.
  if (found?.isCharacterDevice()) return [];
  // Hard links, and spellings that the file system takes for one. Windows knows no inodes of some disks.
  const inode = found === undefined || found.ino === 0 ? [] : [`inode ${found.dev} ${found.ino}`];
  return path === "-" ? inode : [...inode, `path ${await toPlace(path)}`];
}

/** The path itself, as far as it is there, without links and in one case where case does not count. */
async function toPlace(path: string): Promise<string> {
  const absolute = resolve(path);
  const place = join(await realpath(dirname(absolute)).catch(() => dirname(absolute)), basename(absolute));
  return ["darwin", "win32"].includes(process.platform) ? place.toLowerCase() : place;
}
