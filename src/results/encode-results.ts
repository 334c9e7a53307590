import { pipeline, Readable, Transform } from "node:stream";

import { stringify } from "csv-stringify";
import type { ResultRow } from "../domain/views/result-row.ts";
import { csvCells } from "../lib/csv-cells.ts";

export type ResultFormat = "csv" | "ndjson";

/** The columns of results, in their order. */
const columns = [
  "instance_id",
  "chat_id",
  "external_ref",
  "status",
  "avatar_url",
  "url_expires_at",
  "checked_at",
  "attempts",
  "last_error",
  "image_url",
  "image_sha256",
  "image_width",
  "image_height",
  "image_at",
  "image_old",
  "position",
] as const;

type FileRow = Record<(typeof columns)[number], string | number | boolean | null>;

/** Results as the text of a CSV or NDJSON file, as fast as it is read. What the rows fail with, the stream fails with. */
export function encodeResults(format: ResultFormat, rows: AsyncIterable<ResultRow>): Readable {
  const encoder =
    format === "csv" ? stringify({ header: true, columns: [...columns], ...csvCells }) : toNdjson();
  // Its errors come out of the encoder.
  pipeline(Readable.from(toFileRows(rows)), encoder, () => undefined);
  return encoder;
}

async function* toFileRows(rows: AsyncIterable<ResultRow>): AsyncGenerator<FileRow> {
  for await (const row of rows) yield toFileRow(row);
}

function toNdjson(): Transform {
  return new Transform({
    writableObjectMode: true,
    transform: (row: FileRow, _encoding, done) => done(null, `${JSON.stringify(row)}\n`),
  });
}

function toFileRow(row: ResultRow): FileRow {
  const { image } = row;
  return {
    instance_id: row.instanceId,
    chat_id: row.chatId,
    external_ref: row.externalRef ?? null,
    status: row.status,
    avatar_url: row.avatarUrl ?? null,
    url_expires_at: row.urlExpiresAt?.toISOString() ?? null,
    checked_at: row.checkedAt?.toISOString() ?? null,
    attempts: row.attempts,
    last_error: row.lastError ?? null,
    image_url: image.url ?? null,
    image_sha256: image.sha256 ?? null,
    image_width: image.width ?? null,
    image_height: image.height ?? null,
    image_at: image.at?.toISOString() ?? null,
    image_old: image.isOld,
    position: row.position ?? null,
  };
}
