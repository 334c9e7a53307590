import { ApiError } from "./problem.ts";

/** The text of a cursor, opaque to its readers. */
export function encodeCursor(position: string | number): string {
  return Buffer.from(`1:${position}`).toString("base64url");
}

/** @throws ApiError `invalid-cursor` */
export function decodeCursor(cursor: string | undefined): string | undefined {
  if (cursor === undefined) return undefined;
  const [, position] = /^1:(.{1,100})$/s.exec(Buffer.from(cursor, "base64url").toString()) ?? [];
  if (position === undefined || encodeCursor(position) !== cursor) throw invalidCursor();
  return position;
}

/** A cursor that is a whole number. @throws ApiError `invalid-cursor` */
export function decodeNumberCursor(cursor: string | undefined): number | undefined {
  const position = decodeCursor(cursor);
  if (position === undefined) return undefined;
  const number = Number(position);
  if (!Number.isSafeInteger(number) || number < 0 || String(number) !== position) throw invalidCursor();
  return number;
}

function invalidCursor(): ApiError {
  return new ApiError("invalid-cursor", "query/cursor: not a cursor of this list; begin without one");
}
