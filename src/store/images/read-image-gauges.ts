import type pg from "pg";
import type { ImageGauges } from "../../domain/views/image-gauges.ts";
import { queryWithin } from "../postgres/query-within.ts";

const sql = `
select (select count(*) from avatars.avatars where image_wanted_at is not null)::float8 as wanted,
  coalesce((select extract(epoch from clock_timestamp() - min(image_wanted_at)) from avatars.avatars
    where image_wanted_at is not null), 0)::float8 as oldest_wanted_seconds,
  (select count(*) from avatars.images)::float8 as images,
  (select coalesce(sum(bytes), 0) from avatars.images)::float8 as bytes,
  (select count(*) from avatars.avatars where image_sha256 is not null)::float8 as shown,
  (select count(*) from avatars.avatars where version is not null)::float8 as present`;

/** @param deadlineMs the read rejects after so long */
export async function readImageGauges(pool: pg.Pool, deadlineMs: number): Promise<ImageGauges> {
  const [row] = await queryWithin<{
    wanted: number;
    oldest_wanted_seconds: number;
    images: number;
    bytes: number;
    shown: number;
    present: number;
  }>(pool, { deadlineMs, reading: "counts" }, sql);
  if (row === undefined) throw new Error("no gauges of images");
  const { oldest_wanted_seconds: oldest, ...counts } = row;
  return { ...counts, oldestWantedSeconds: Math.max(0, oldest) };
}
