import pg from "pg";

export interface Population {
  readonly url: string;
  readonly contacts: number;
  readonly instanceIds: readonly string[];
}

/** Made when the rows are there: some times quicker than with each of them, and as small as after a REINDEX. */
const laterIndexes = [
  "contacts_refresh_idx",
  "contacts_due_idx",
  "contacts_turn_idx",
  "contacts_resync_run_idx",
];
const chatKey = "contacts_chat_key";

/**
 * The contact `n`, one instance after the other, so that no instance has its rows next to each other, as after some months of
 * refreshes. By draws from [0, 1):
 * - 70 % present, 15 % absent, 10 % hidden, 3 % invalid, which no policy asks again, and 2 % unreachable;
 * - the steps of their intervals, spread by habit: some twenty between a day and two months; a third of those that are present,
 *   a quarter of all, are due by their URL before that;
 * - a fifth of them are due, by up to a fifth of their interval, and the others will be within the rest of it.
 */
const contactsSql = `
insert into avatars.contacts (instance_id, chat_id, status, checked_at, refresh_at, refresh_step)
select ($1::text[])[1 + d.n % $2], '7900' || lpad(d.n::text, 8, '0') || '@c.us', d.status,
  now() + (d.progress - 1.2) * d.every, case when d.status <> 'invalid' then now() + (d.progress - 0.2) * d.every end, d.step
from generate_series($3::int, $4::int) as g (n)
cross join lateral (
  -- With the row before it in it, or each would be drawn once for all.
  select g.n, random() as a, random() as b, random() as progress, random() + random() - 1 as habit
) u
cross join lateral (
  select u.*, case when a < 0.7 then 'present' when a < 0.85 then 'absent' when a < 0.95 then 'hidden' when a < 0.98 then 'invalid'
    else 'unreachable' end as status
) s
cross join lateral (
  select s.n, s.status, s.progress, case s.status
    when 'present' then case when s.b < 0.36 then -1 else round(30 + 10 * s.habit) end
    when 'absent' then round(34 + 8 * s.habit)
    when 'hidden' then 38 when 'invalid' then -2 else 18 + 4 * floor(4 * s.b) end::smallint as step
) t
cross join lateral (
  select t.*, case when t.step < 0 then 5 else 2::float8 ^ (t.step / 4::float8) / 24 end * interval '1 day' as every
) d`;

const avatarsSql = `
insert into avatars.avatars (contact_id, url, url_expires_at, version, first_seen_at, changed_at, seen_at, changes)
select c.id, u.path || '?ccb=11-4&oh=' || md5(c.id::text) || md5(c.chat_id) || '&oe=68F0A1B2&_nc_sid=5e03e0&_nc_cat=' || c.id % 111,
  case when u.path is not null then c.checked_at + interval '10 days' end, u.path,
  c.checked_at - interval '200 days', c.checked_at - interval '50 days', c.checked_at, c.id % 4
from avatars.contacts c
cross join lateral (
  select case when c.status = 'present'
    then 'https://pps.whatsapp.net/v/t61.24694-24/' || 400000000 + c.id || '_' || c.id * 7919 || '_n.jpg' end as path
) u
where c.id > $1 and c.id <= $2 and c.status in ('present', 'absent')
order by c.id`;

const partSize = 250_000;
const sessions = 2;

/**
 * Fills an empty database as a system that has run for months leaves it, in a few minutes for ten million contacts, and collects
 * its statistics. Returns how long it took, ms.
 */
export async function fill({ url, contacts, instanceIds }: Population): Promise<number> {
  const startedMs = performance.now();
  const client = new pg.Client(url);
  await client.connect();
  try {
    await client.query("set maintenance_work_mem = '512MB'");
    const indexes = await dropIndexes(client);
    const parts = Array.from({ length: Math.ceil(contacts / partSize) }, (_, part) => ({
      from: part * partSize + 1,
      until: Math.min(contacts, (part + 1) * partSize),
    }));
    await eachPart(url, parts, async (session, { from, until }) => {
      await session.query(contactsSql, [instanceIds, instanceIds.length, from, until]);
    });
    // Ids are given in the order of the inserts, whichever they are, but for none of them twice.
    await eachPart(url, parts, async (session, { from, until }) => {
      await session.query(avatarsSql, [from - 1, until]);
    });
    await client.query(
      "insert into avatars.contact_statuses select instance_id, status, id from avatars.contacts order by 1, 2, 3",
    );
    await client.query(
      `alter table avatars.contacts add constraint ${chatKey} unique (instance_id, chat_id)`,
    );
    for (const definition of indexes) await client.query(definition);
    await client.query("vacuum (analyze) avatars.contacts, avatars.avatars, avatars.contact_statuses");
    await client.query("checkpoint");
    return performance.now() - startedMs;
  } finally {
    await client.end();
  }
}

async function dropIndexes(client: pg.Client): Promise<string[]> {
  const { rows } = await client.query<{ name: string; definition: string }>(
    `select indexname as name, indexdef as definition from pg_indexes
     where schemaname = 'avatars' and indexname = any ($1::text[])`,
    [laterIndexes],
  );
  for (const { name } of rows) await client.query(`drop index avatars.${name}`);
  await client.query(`alter table avatars.contacts drop constraint ${chatKey}`);
  return rows.map(({ definition }) => definition);
}

async function eachPart<Part>(
  url: string,
  parts: readonly Part[],
  write: (session: pg.Client, part: Part) => Promise<void>,
): Promise<void> {
  const left = [...parts];
  const work = async () => {
    const session = new pg.Client(url);
    await session.connect();
    try {
      // Neither the checks of foreign keys nor the history, row by row.
      await session.query("set session_replication_role = replica");
      for (let part = left.shift(); part !== undefined; part = left.shift()) await write(session, part);
    } finally {
      await session.end();
    }
  };
  await Promise.all(Array.from({ length: sessions }, work));
}
