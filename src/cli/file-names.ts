import { basename, resolve } from "node:path";
import { UserError } from "../lib/errors.ts";

/** `exports/contacts.csv.gz` → `contacts`; standard input → `stdin`. */
function toStem(file: string): string {
  if (file === "-") return "stdin";
  return (
    basename(file)
      .replace(/(\.gz)?$/i, "")
      .replace(/\.(csv|tsv|txt|ndjson|jsonl|json)$/i, "") || "contacts"
  );
}

/** Where results go when nobody says: in this folder, named after the input. */
export function toResultsPath(file: string): string {
  return `${toStem(file)}.avatars.csv`;
}

/** Where lines that are no contacts go: beside the results. */
export function toRejectsPath(resultsPath: string): string {
  return resultsPath.replace(/(\.avatars)?\.[^./\\]+$/, "") + ".rejects.csv";
}

/**
 * What is written must not replace what is read, or each other.
 * @throws UserError `same-file`
 */
export function assertDistinctFiles(files: Readonly<Record<string, string | undefined>>): void {
  const seen = new Map<string, string>();
  for (const [role, path] of Object.entries(files)) {
    if (path === undefined || path === "-") continue;
    const other = seen.get(resolve(path));
    if (other !== undefined) {
      throw new UserError("same-file", `${path} cannot be both ${other} and ${role}: choose another name`);
    }
    seen.set(resolve(path), role);
  }
}
