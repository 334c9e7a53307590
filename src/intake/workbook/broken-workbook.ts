import { UserError } from "../../lib/errors.ts";

/** A workbook that no reader could make sense of. */
export function toBroken(why: string, cause?: unknown): UserError {
  return new UserError(
    "broken-workbook",
    `the Excel workbook is damaged or incomplete (${why}): copy it again, or open it in Excel and save it anew`,
    { cause },
  );
}

/** A file that holds no workbook, or one that is not read. */
export function toUnsupported(what: string, remedy: string): UserError {
  return new UserError("unsupported-file", `the input is ${what}: ${remedy}`);
}
