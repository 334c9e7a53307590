import type pg from "pg";
import { queryWithin } from "../postgres/query-within.ts";

/** Where the images stand, over all instances. */
export interface ImageGauges {
  /** Avatars whose image is to be taken. */
  readonly wanted: number;
  /** How long the oldest of them is overdue, seconds; 0 where none is. */
  readonly oldestWantedSeconds: number;
  /** Images that are kept, and their bytes without sizes. */
  readonly images: number;
  readonly bytes: number;
  /** Contacts that show an image. */
  readonly shown: number;
}

const sql = `
select (select count(*) from avatars.avatars where image_wanted_at is not null)::float8 as wanted,
  coalesce((select extract(epoch from clock_timestamp() - min(image_wanted_at)) from avatars.avatars
    where image_wanted_at is not null), 0)::float8 as oldest_wanted_seconds,
  (select count(*) from avatars.images)::float8 as images,
  (select coalesce(sum(bytes), 0) from avatars.images)::float8 as bytes,
  (select count(*) from avatars.avatars where image_sha256 is not null)::float8 as shown`;

/** @param deadlineMs the read rejects after so long */
export async function readImageGauges(pool: pg.Pool, deadlineMs: number): Promise<ImageGauges> {
  const [row] = await queryWithin<{
    wanted: number;
    oldest_wanted_seconds: number;
    images: number;
    bytes: number;
    shown: number;
  }>(pool, { deadlineMs, reading: "counts" }, sql);
  if (row === undefined) throw new Error("no gauges of images");
  const { oldest_wanted_seconds: oldest, ...counts } = row;
  return { ...counts, oldestWantedSeconds: Math.max(0, oldest) };
}
