import { randomBytes } from "node:crypto";
import type pg from "pg";

/** How much of all the console has to show. */
export interface Fill {
  readonly instances: number;
  /** Of all instances together. */
  readonly contacts: number;
}

/** Of these instances contacts are due: one in ten. */
const busyEvery = 10;
const duePerInstance = 2_000;

const cities = ["Berlin", "Hamburg", "Madrid", "Lisboa", "Kraków", "Wien", "Milano", "Lyon", "Porto", "Gent"];
const teams = ["Support", "Sales", "Shop", "Bookings", "Care", "Field service", "Returns", "VIP"];

/**
 * Fills the tables as years of use do: names, contacts that rest and some that are due, batches, nights, keys, and rows of the
 * audit log. All numbers are made up, by counting.
 */
export async function fill(client: pg.Client, { instances, contacts }: Fill): Promise<void> {
  const places = "(array[$1])[1 + n % 10] || ' ' || (array[$2])[1 + n % 8]".replace("[$1]", toArray(cities));
  await client.query(
    `with numbered as (select id, row_number() over (order by id)::int - 1 as n from avatars.instances)
     update avatars.instances i set label = ${places.replace("[$2]", toArray(teams))}, state_seen = 'authorized',
       state_seen_at = now() - interval '3 minutes'
     from numbered where numbered.id = i.id`,
  );
  await stopSome(client);
  await addContacts(client, instances, contacts);
  await addBatches(client);
  await addNights(client);
  await addKeys(client);
  await addAudit(client);
  await client.query("vacuum analyze");
}

function toArray(values: readonly string[]): string {
  return `[${values.map((value) => `'${value}'`).join(", ")}]`;
}

/** Some stand still, each for another reason. */
async function stopSome(client: pg.Client): Promise<void> {
  const holds = ["not-authorized", "unauthorized", "quota-exhausted"];
  for (const [index, reason] of holds.entries()) {
    await client.query(
      `update avatars.instances set state = 'held', held_reason = $2, held_since = now() - interval '2 hours',
         held_until = now() + interval '20 minutes', hold_count = 3
       where id = (select id from avatars.instances order by id offset $1 limit 1)`,
      [index * 3 + 4, reason],
    );
  }
  await client.query(
    "update avatars.instances set state = 'paused' where id in (select id from avatars.instances order by id offset 11 limit 2)",
  );
}

async function addContacts(client: pg.Client, instances: number, contacts: number): Promise<void> {
  const resting = Math.max(0, contacts - Math.floor(instances / busyEvery) * duePerInstance);
  await client.query(
    `with added as (
       insert into avatars.contacts (instance_id, chat_id, external_ref, status, priority, checked_at, refresh_at)
       select id, '49151' || lpad(n::text, 8, '0') || '@c.us', 'C-' || n,
         (array['present','present','present','present','absent','hidden','invalid','unreachable'])[1 + n % 8], 1,
         now() - n % 700 * interval '1 hour', now() + n / $2::int % 48 * interval '1 hour'
       from generate_series(1, $1::int) n
       join (select id, row_number() over (order by id) - 1 as at from avatars.instances) i on i.at = n % $2::int
       returning id, status, checked_at
     )
     insert into avatars.avatars (contact_id, url, version, changed_at, seen_at)
     select id, 'https://pps.whatsapp.net/v/t61/' || id || '.jpg', md5(id::text), checked_at, checked_at
     from added where status = 'present'`,
    [resting, instances],
  );
  await client.query(
    `select avatars.enqueue(id, array(
       select '49160' || lpad((at * $1 + n)::text, 8, '0') || '@c.us' from generate_series(1, $1::int) n))
     from (select id, row_number() over (order by id) - 1 as at from avatars.instances) i where at % $2::int = 0`,
    [duePerInstance, busyEvery],
  );
}

async function addBatches(client: pg.Client): Promise<void> {
  await client.query(
    `insert into avatars.batches (instance_id, source, label, requested_at, fresh_after, completed_intake_at, accepted,
       duplicates, rejected, finished_at, cancelled_at)
     select id, (array['file', 'api', 'sql', 'bullmq'])[1 + n % 4],
       (array['Newsletter', 'Spring customers', 'Trade fair', 'Import of the shop', null])[1 + n % 5],
       now() - n * interval '3 hours', now() - n * interval '3 hours', now() - n * interval '3 hours', 0, n % 7, n % 5,
       now() - n * interval '3 hours' + interval '20 minutes', case when n % 9 = 0 then now() - n * interval '3 hours' end
     from generate_series(1, 1000) n
     join (select id, row_number() over (order by id) - 1 as at from avatars.instances) i
       on i.at = n % (select count(*) from avatars.instances)`,
  );
  // As many as each instance has, the newest batch of each with all.
  await client.query(
    `insert into avatars.batch_members (batch_id, contact_id, position)
     select b.id, c.id, row_number() over (partition by b.id order by c.id)
     from (select distinct on (instance_id) id, instance_id from avatars.batches where source <> 'sql'
       and cancelled_at is null and completed_intake_at is not null and accepted = 0 order by instance_id, requested_at desc) b
     join avatars.contacts c on c.instance_id = b.instance_id`,
  );
  await client.query(
    `update avatars.batches b set accepted = m.count
     from (select batch_id, count(*) from avatars.batch_members group by 1) m where m.batch_id = b.id`,
  );
}

async function addNights(client: pg.Client): Promise<void> {
  await client.query(
    `insert into avatars.resync_nights (slot_at, opened_at, prepared_at)
     select at, at, at from generate_series(1, 30) n, lateral (select date_trunc('day', now()) - n * interval '1 day' + interval '1 hour' as at) s`,
  );
  await client.query(
    `insert into avatars.resync_runs (instance_id, kind, night_at, opened_at, ends_at, due, planned, released, asked, changed,
       ended_at, ended_by, left_over)
     select i.id, 'night', slot_at, slot_at, slot_at + interval '6 hours', 420, 400, 400, 398 - at % 5, at % 23, slot_at + interval '3 hours',
       'done', 20
     from avatars.resync_nights, (select id, row_number() over (order by id) as at from avatars.instances) i`,
  );
}

async function addKeys(client: pg.Client): Promise<void> {
  const keys = Array.from({ length: 100 }, (_, index) => index);
  await client.query(
    `insert into avatars.api_keys (id, label, scopes, secret_hmac, created_at, expires_at, revoked_at, last_used_at)
     select id, (array['CRM', 'Reports', 'Shop', 'Nightly import'])[1 + n % 4] || ' ' || n,
       case when n % 3 = 0 then '{read}'::text[] else '{enqueue,read}'::text[] end, hmac, now() - n * interval '1 day',
       case when n % 4 = 0 then now() + (n - 30) * interval '1 day' end, case when n % 6 = 5 then now() end,
       now() - n * interval '13 minutes'
     from unnest($1::text[], $2::bytea[], $3::int[]) as t (id, hmac, n)`,
    [keys.map(() => randomBytes(6).toString("hex")), keys.map(() => randomBytes(32)), keys],
  );
}

async function addAudit(client: pg.Client): Promise<void> {
  await client.query(
    `insert into avatars.audit (at, actor_kind, actor_id, actor_name, action, subject_id, instance_id, detail)
     select now() - n * interval '17 minutes', case when n % 3 = 0 then 'cli' else 'key' end,
       case when n % 3 = 0 then null else 'a1b2c3d4e5f6' end, case when n % 3 = 0 then 'deploy' else 'CRM' end,
       (array['batch.created', 'instance.changed', 'contact.revealed', 'instance.paused'])[1 + n % 4], null, i.id,
       (array['{"accepted": 1200, "source": "file"}', '{"requestsPerSecond": {"from": 10, "to": 7.5}}',
              '{"contacts": 50}', '{}']::jsonb[])[1 + n % 4]
     from generate_series(1, 20000) n
     join (select id, row_number() over (order by id) - 1 as at from avatars.instances) i
       on i.at = n % (select count(*) from avatars.instances)`,
  );
}
