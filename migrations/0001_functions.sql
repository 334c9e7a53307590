-- What drizzle's schema cannot say: the functions that take contacts in, the trigger that keeps the
-- history of avatars, and storage settings for a table that is also a schedule.

-- The canonical form of a chat id, or null where the text cannot be one. The same rules as
-- src/domain/chat-id.ts; a property test compares the two.
CREATE FUNCTION avatars.canonical_chat_id(chat_id text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
  with compact as (
    -- collate "C": only ASCII letters, where a locale's lower would make an i of a dotted capital I.
    select lower(regexp_replace(chat_id, '[\t\n\v\f\r \u00a0\u1680\u2000-\u200f\u2028-\u202f\u205f\u2060\u3000\ufeff]', '', 'g') collate "C") as id
  ), split as (
    select regexp_replace(regexp_replace(id, '@[^@]*$', ''), '^\+', '') as who,
           substring(id from '@([^@]*)$') as server
    from compact
  ), parts as (
    -- The device of a multi-device id, with the agent before it in the older form: 79001234567.0:12
    select server, who, regexp_replace(who, '([._][0-9]{1,3})?:[0-9]+$', '') as account from split
  ), phone as (
    select server, who, account,
      regexp_replace(regexp_replace(account, '^([0-9]+)\.[0-9]$', '\1'), '[().-]', '', 'g') as digits
    from parts
  )
  select case
    when server in ('c.us', 's.whatsapp.net', 'whatsapp.net') and digits ~ '^[1-9][0-9]{4,19}$' then digits || '@c.us'
    when server = 'g.us' and who ~ '^[0-9]{5,25}(-[0-9]{5,20})?$' then who || '@g.us'
    when server = 'lid' and account ~ '^[0-9]{5,25}$' then account || '@lid'
  end
  from phone
$$;
--> statement-breakpoint

-- Does the contact have a clear answer that was asked for at or after the moment?
CREATE FUNCTION avatars.is_fresh(contact avatars.contacts, fresh_after timestamptz) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  select coalesce(contact.checked_at >= fresh_after, false) and contact.status not in ('unknown', 'unreachable')
$$;
--> statement-breakpoint

-- The one writer of demand: every way in (files, SQL, BullMQ) ends here. Takes canonical chat ids with
-- their positions, upserts the contacts of the batch and makes its members. A contact whose answer is
-- fresh enough for the batch is left at rest; one that somebody waits for already keeps its attempts and
-- its backoff, unless this request is more urgent, and moves up in priority, never down.
CREATE FUNCTION avatars.accept(
  p_batch_id uuid, p_chat_ids text[], p_external_refs text[], p_positions bigint[],
  OUT members integer, OUT duplicates integer
) LANGUAGE plpgsql AS $$
declare
  batch avatars.batches%rowtype;
  unwritten integer;
  late integer;
begin
  select * into strict batch from avatars.batches b where b.id = p_batch_id;

  with incoming as materialized (
    select u.chat_id, min(u.position) as position,
      (array_agg(u.external_ref order by u.position desc) filter (where u.external_ref is not null))[1] as external_ref
    from unnest(p_chat_ids, p_external_refs, p_positions) as u (chat_id, external_ref, position)
    group by u.chat_id
  ), written as (
    insert into avatars.contacts as c
      (instance_id, chat_id, external_ref, priority, wanted_at, fresh_after, due_at)
    select batch.instance_id, i.chat_id, i.external_ref, batch.priority, batch.requested_at, batch.fresh_after, now()
    from incoming i
    -- Two writers lock the contacts they share in the same order.
    order by i.chat_id
    on conflict (instance_id, chat_id) do update set
      external_ref = coalesce(excluded.external_ref, c.external_ref),
      priority = case when avatars.is_fresh(c, excluded.fresh_after) then c.priority
        when c.wanted_at is null then excluded.priority else least(c.priority, excluded.priority) end,
      due_at = case when avatars.is_fresh(c, excluded.fresh_after) then c.due_at
        when c.wanted_at is null or excluded.priority < c.priority then least(c.due_at, excluded.due_at)
        else c.due_at end,
      attempts = case when avatars.is_fresh(c, excluded.fresh_after) or c.wanted_at is not null then c.attempts else 0 end,
      wanted_at = case when avatars.is_fresh(c, excluded.fresh_after) then c.wanted_at
        else least(c.wanted_at, excluded.wanted_at) end,
      fresh_after = case when avatars.is_fresh(c, excluded.fresh_after) then c.fresh_after
        else greatest(c.fresh_after, excluded.fresh_after) end
    -- A file sent again must not rewrite what it does not change.
    where not avatars.is_fresh(c, excluded.fresh_after)
      or excluded.external_ref is distinct from c.external_ref and excluded.external_ref is not null
    returning c.id, c.chat_id
  ), joined as (
    insert into avatars.batch_members (batch_id, contact_id, position)
    select batch.id, w.id, i.position from written w join incoming i on i.chat_id = w.chat_id
    on conflict do nothing
    returning 1
  )
  select (select count(*) from incoming) - (select count(*) from written), (select count(*) from joined)
  into unwritten, members;

  if unwritten > 0 then
    -- The fresh ones. A statement of its own, to see also those that others have committed meanwhile.
    insert into avatars.batch_members (batch_id, contact_id, position)
    select batch.id, c.id, i.position
    from (
      select u.chat_id, min(u.position) as position from unnest(p_chat_ids, p_positions) as u (chat_id, position)
      group by u.chat_id
    ) i
    join avatars.contacts c on c.instance_id = batch.instance_id and c.chat_id = i.chat_id
    on conflict do nothing;
    get diagnostics late = row_count;
    members := members + late;
  end if;
  duplicates := cardinality(p_chat_ids) - members;

  update avatars.batches b
  set accepted = b.accepted + members, duplicates = b.duplicates + accept.duplicates
  where b.id = batch.id;
end
$$;
--> statement-breakpoint

-- Enqueues contacts in the caller's own transaction: when it commits they are accepted, when it rolls
-- back nothing has happened. Returns the id of the batch. Raises on an unknown instance and on anything
-- that is not a chat id, naming the first few. Runs as its owner: a CRM's role needs no more than
-- `grant usage on schema avatars`.
CREATE FUNCTION avatars.enqueue(
  instance_id text, chat_ids text[], priority integer DEFAULT 1, max_age interval DEFAULT '7 days',
  external_refs text[] DEFAULT null, label text DEFAULT null
) RETURNS uuid LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
declare
  canonical text[];
  bad text;
  batch_id uuid;
  n integer := coalesce(cardinality(chat_ids), 0);
begin
  if n = 0 then
    raise exception 'chat_ids is empty' using errcode = 'invalid_parameter_value';
  end if;
  if array_ndims(chat_ids) <> 1 or array_lower(chat_ids, 1) <> 1 then
    raise exception 'chat_ids must be a plain one-dimensional array' using errcode = 'invalid_parameter_value';
  end if;
  if enqueue.priority is null or enqueue.priority not between 0 and 2 then
    raise exception 'priority must be 0 (interactive), 1 (import) or 2 (resync)' using errcode = 'invalid_parameter_value';
  end if;
  if max_age is null or max_age < interval '0' then
    raise exception 'max_age must not be null or negative' using errcode = 'invalid_parameter_value';
  end if;
  if external_refs is not null and cardinality(external_refs) <> n then
    raise exception 'external_refs has % elements, chat_ids has %', cardinality(external_refs), n
      using errcode = 'invalid_parameter_value';
  end if;
  if not exists (select from avatars.instances i where i.id = enqueue.instance_id) then
    raise exception 'unknown instance %', coalesce(quote_literal(enqueue.instance_id), 'null')
      using errcode = 'foreign_key_violation', hint = 'Add it first: avatars instance add ID --url URL';
  end if;

  select array_agg(avatars.canonical_chat_id(u.chat_id) order by u.ordinality),
         string_agg(coalesce(quote_literal(left(u.chat_id, 60)), 'null'), ', ' order by u.ordinality)
           filter (where avatars.canonical_chat_id(u.chat_id) is null and u.ordinality <= 1000)
  into canonical, bad
  from unnest(chat_ids) with ordinality as u (chat_id, ordinality);
  if array_position(canonical, null) is not null then
    raise exception 'not a chat id: %', left(coalesce(bad, 'element ' || array_position(canonical, null)), 300)
      using errcode = 'invalid_parameter_value', hint = 'Expected 79001234567@c.us, …@g.us or …@lid.';
  end if;

  insert into avatars.batches (instance_id, source, label, priority, fresh_after, completed_intake_at)
  values (enqueue.instance_id, 'sql', enqueue.label, enqueue.priority, now() - max_age, now())
  returning id into batch_id;
  -- A foreign transaction cannot simply be repeated after a deadlock: lock what is there as the workers do, by id.
  perform from (
    select c.id from avatars.contacts c
    where c.instance_id = enqueue.instance_id and c.chat_id = any(canonical)
    order by c.id for no key update
  ) locked;
  perform avatars.accept(batch_id, canonical, coalesce(external_refs, array_fill(null::text, array[n])),
    array(select generate_series(1, n))::bigint[]);
  return batch_id;
end
$$;
--> statement-breakpoint

-- A change is recorded by whoever writes the avatar, in the same statement, with the row it replaces
-- locked: two late answers cannot both claim to be the change.
CREATE FUNCTION avatars.record_avatar_change() RETURNS trigger LANGUAGE plpgsql AS $$
begin
  insert into avatars.avatar_changes (contact_id, from_version, to_version, seen_at)
  values (new.contact_id, case when tg_op = 'UPDATE' then old.version end, new.version, new.seen_at);
  return null;
end
$$;
--> statement-breakpoint
CREATE TRIGGER avatar_first_seen AFTER INSERT ON avatars.avatars
  FOR EACH ROW WHEN (new.version is not null) EXECUTE FUNCTION avatars.record_avatar_change();
--> statement-breakpoint
CREATE TRIGGER avatar_changed AFTER UPDATE OF version ON avatars.avatars
  FOR EACH ROW WHEN (new.version is distinct from old.version) EXECUTE FUNCTION avatars.record_avatar_change();
--> statement-breakpoint

-- Every contact is updated twice per lookup (claim, save). Room on the page keeps the claim a HOT update,
-- and vacuum by count keeps the head of the due index short while a large import is worked off.
ALTER TABLE avatars.contacts SET (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000);
--> statement-breakpoint
ALTER TABLE avatars.instances SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
