import type { LookupRecord } from "../../domain/ledger/lookup-record.ts";
import type { AvatarFinding } from "../../domain/lookup/decide.ts";
import { toArrayLiteral } from "../postgres/array-literal.ts";
import { toStorableText } from "../postgres/storable-text.ts";

/** What a record is made of in SQL, in the order of the save's parameters. */
const types = {
  contact_id: "bigint",
  epoch: "bigint",
  attempts: "integer",
  asked_at_ms: "float8",
  kind: "text",
  status: "text",
  error: "text",
  due_in_ms: "float8",
  avatar: "text",
  url: "text",
  url_expires_at_ms: "float8",
  version: "text",
  refresh: "text",
  refresh_at_ms: "float8",
  refresh_step: "smallint",
} as const;

type CellName = keyof typeof types;
const cellNames = Object.keys(types) as CellName[];

/** A record as it is written: what is undefined is null in SQL. */
export type LookupCells = { readonly [Name in CellName]?: string | number | undefined } & {
  readonly contact_id: number;
  readonly kind: string;
};

/** A record out of JSON: the columns of `json_to_record`. */
export const cellsOfJsonSql = `i (${cellNames.map((name) => `${name} ${types[name]}`).join(", ")})`;

/**
 * Records out of parameters, each an array of one cell of all records.
 * @param first the number of the first parameter
 */
export function toCellsOfArraysSql(first: number): string {
  const arrays = cellNames.map((name, index) => `$${first + index}::${types[name]}[]`);
  return `unnest(${arrays.join(", ")}) as i (${cellNames.join(", ")})`;
}

/** The parameters of {@link toCellsOfArraysSql}. */
export function toCellArrays(rows: readonly LookupCells[]): string[] {
  return cellNames.map((name) => toArrayLiteral(rows.map((row) => row[name])));
}

/**
 * A record as SQL has it. All have the same shape, whatever was decided: it is made for each contact.
 * @param keepsImages are the images of avatars taken, beside their URLs?
 */
export function toLookupCells(record: LookupRecord, keepsImages: boolean): LookupCells {
  const { decision } = record;
  const answer = decision.kind === "answer" ? decision : undefined;
  const error = decision.kind === "answer" ? decision.note : decision.error;
  const seen = toSeenCells(answer?.avatar, keepsImages);
  const remark = seen.isDropped ? droppedImage : error && toStorableText(error);
  const next = toRefreshCells(record.refresh);
  return {
    contact_id: record.contactId,
    epoch: record.epoch,
    attempts: record.contact?.attempts,
    asked_at_ms: record.askedAtMs,
    kind: decision.kind,
    status: answer?.status,
    error: remark,
    due_in_ms: decision.kind === "retry" ? decision.dueInMs : undefined,
    avatar: answer?.avatar.kind,
    url: seen.url,
    url_expires_at_ms: seen.urlExpiresAtMs,
    version: seen.version,
    refresh: next.kind,
    refresh_at_ms: next.atMs,
    refresh_step: next.step,
  };
}

const droppedImage =
  "the answer had the picture and no URL, and AVATARS_IMAGES is off: nothing of it is kept";

const notSeen = { url: undefined, urlExpiresAtMs: undefined, version: undefined, isDropped: false };

function toSeenCells(avatar: AvatarFinding | undefined, keepsImages: boolean) {
  if (avatar?.kind !== "seen") return notSeen;
  const { url, base64, urlExpiresAt, version } = avatar;
  // A `data:` URI is the image itself, which is kept elsewhere.
  const isKept = !url || (keepsImages && url === base64);
  return {
    url: isKept ? undefined : toStorableText(url),
    urlExpiresAtMs: urlExpiresAt?.getTime(),
    version: toStorableText(version),
    isDropped: !url && !keepsImages,
  };
}

const noRefresh = { kind: undefined, atMs: undefined, step: undefined };

function toRefreshCells(refresh: LookupRecord["refresh"]) {
  if (refresh === undefined) return noRefresh;
  if (refresh === "never") return { ...noRefresh, kind: "never" };
  return { kind: "at", atMs: refresh.at.getTime(), step: refresh.step };
}
