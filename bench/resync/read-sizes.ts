import type pg from "pg";

export interface Size {
  readonly name: string;
  readonly isIndex: boolean;
  readonly bytes: number;
}

/** What the contacts and their avatars take on disk, the largest first. */
export async function readSizes(client: pg.Client): Promise<Size[]> {
  const { rows } = await client.query<Size>(
    `select c.relname as name, c.relkind = 'i' as "isIndex", pg_relation_size(c.oid)::float8 as bytes
     from pg_class c left join pg_index i on i.indexrelid = c.oid
     where coalesce(i.indrelid, c.oid) in ('avatars.contacts'::regclass, 'avatars.avatars'::regclass)
     order by bytes desc`,
  );
  return rows;
}
