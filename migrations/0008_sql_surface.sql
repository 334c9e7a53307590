-- What outsiders reach in this schema: no function of it looks anything up where others may create objects, and
-- avatars.enqueue has the bounds of the other ways in.

-- As in 0001, and bound when it is made: whatever search_path a caller has, no name in it can come to mean another object. A SET
-- clause would do the same, and make it a call for each row of the statements that have it in themselves: 5 µs in place of 0.1.
CREATE OR REPLACE FUNCTION avatars.is_fresh(contact avatars.contacts, fresh_after timestamptz) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN coalesce(contact.checked_at >= fresh_after, false) and contact.status not in ('unknown', 'unreachable');
--> statement-breakpoint

-- As in 0001, and: with the bounds of src/domain/intake-bounds.ts, which a test holds against these.
CREATE OR REPLACE FUNCTION avatars.enqueue(
  instance_id text, chat_ids text[], priority integer DEFAULT 1, max_age interval DEFAULT '7 days',
  external_refs text[] DEFAULT null, label text DEFAULT null
) RETURNS uuid LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
declare
  most_items constant integer := 1000000;
  -- Of a chat id as it is written, and of a label or an external ref: characters.
  most_id_text constant integer := 1000;
  most_text constant integer := 200;
  -- 36,600 days, in hours: a day of the session's time zone may have 23 of them.
  oldest constant interval := '878400 hours';
  canonical text[];
  refs text[];
  bad text;
  too_long integer;
  -- An answer that was asked for then, or later, is fresh enough.
  since timestamptz;
  batch_id uuid;
  n integer := coalesce(cardinality(chat_ids), 0);
begin
  if n = 0 then
    raise exception 'chat_ids is empty' using errcode = 'invalid_parameter_value';
  end if;
  if array_ndims(chat_ids) <> 1 or array_lower(chat_ids, 1) <> 1 then
    raise exception 'chat_ids must be a plain one-dimensional array' using errcode = 'invalid_parameter_value';
  end if;
  if n > most_items then
    raise exception 'chat_ids has % elements, and may have up to %', n, most_items
      using errcode = 'invalid_parameter_value', hint = 'Send several calls, or the whole as a stream to the HTTP API.';
  end if;
  if enqueue.priority is null or enqueue.priority not between 0 and 2 then
    raise exception 'priority must be 0 (interactive), 1 (import) or 2 (resync)' using errcode = 'invalid_parameter_value';
  end if;
  if max_age is null or max_age < interval '0' then
    raise exception 'max_age must not be null or negative' using errcode = 'invalid_parameter_value';
  end if;
  -- Intervals are compared with months of 30 days. What counts is the moment; what is far too long has none.
  if max_age <= 2 * oldest then
    since := now() - max_age;
  end if;
  if since is null or since < now() - oldest or since > now() then
    raise exception 'max_age must be a time from 0 to 100 years (36600 days)' using errcode = 'invalid_parameter_value';
  end if;
  if external_refs is not null and cardinality(external_refs) <> n then
    raise exception 'external_refs has % elements, chat_ids has %', cardinality(external_refs), n
      using errcode = 'invalid_parameter_value';
  end if;
  if length(enqueue.label) > most_text then
    raise exception 'label has % characters, and may have up to %', length(enqueue.label), most_text
      using errcode = 'invalid_parameter_value';
  end if;
  if external_refs is not null then
    select min(u.ordinality) filter (where length(u.ref) > most_text), array_agg(nullif(u.ref, '') order by u.ordinality)
    into too_long, refs
    from unnest(external_refs) with ordinality as u (ref, ordinality);
    if too_long is not null then
      raise exception 'external_refs: element % has more than % characters', too_long, most_text
        using errcode = 'invalid_parameter_value';
    end if;
  end if;
  if not exists (select from avatars.instances i where i.id = enqueue.instance_id) then
    raise exception 'unknown instance %', coalesce(quote_literal(left(enqueue.instance_id, 60)), 'null')
      using errcode = 'foreign_key_violation', hint = 'Add it first: avatars instance add ID --url URL';
  end if;

  select array_agg(u.canonical order by u.ordinality),
         string_agg(coalesce(quote_literal(left(u.chat_id, 60)), 'null'), ', ' order by u.ordinality)
           filter (where u.canonical is null and u.ordinality <= 1000)
  into canonical, bad
  from (
    select g.*, case when length(g.chat_id) <= most_id_text then avatars.canonical_chat_id(g.chat_id) end as canonical
    from unnest(chat_ids) with ordinality as g (chat_id, ordinality) offset 0
  ) u;
  if array_position(canonical, null) is not null then
    raise exception 'not a chat id: %', left(coalesce(bad, 'element ' || array_position(canonical, null)), 300)
      using errcode = 'invalid_parameter_value', hint = 'Expected 79001234567@c.us, …@g.us or …@lid.';
  end if;

  insert into avatars.batches (instance_id, source, label, priority, fresh_after, completed_intake_at)
  values (enqueue.instance_id, 'sql', nullif(enqueue.label, ''), enqueue.priority, since, now())
  returning id into batch_id;
  -- A foreign transaction cannot simply be repeated after a deadlock: lock what is there as the workers do, by id. Contacts that
  -- are fresh enough are not written, unless they get another ref, and stay free.
  perform from (
    select c.id from avatars.contacts c
    where c.instance_id = enqueue.instance_id and c.chat_id = any(canonical)
      and (refs is not null or not avatars.is_fresh(c, since))
    order by c.id for no key update
  ) locked;
  perform avatars.accept(batch_id, canonical, coalesce(refs, array_fill(null::text, array[n])),
    array(select generate_series(1, n))::bigint[]);
  return batch_id;
end
$$;
--> statement-breakpoint

-- The others are bound when they run.
DO $$
declare
  routine regprocedure;
begin
  for routine in
    select p.oid::regprocedure from pg_catalog.pg_proc p
    where p.pronamespace = 'avatars'::regnamespace and p.prosqlbody is null
      and not exists (select from unnest(p.proconfig) as setting where setting like 'search\_path=%')
  loop
    execute format('alter routine %s set search_path = pg_catalog, pg_temp', routine);
  end loop;
end
$$;
--> statement-breakpoint

-- Marks of chats that were erased (store/erase-contact.ts), and the lock of the process that removes those that are old.
CREATE TABLE "avatars"."erased_chats" (
	"instance_id" text NOT NULL,
	"chat_hash" text NOT NULL,
	"erased_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "erased_chats_instance_id_chat_hash_pk" PRIMARY KEY("instance_id","chat_hash")
);
--> statement-breakpoint
ALTER TABLE "avatars"."erased_chats" ADD CONSTRAINT "erased_chats_instance_id_instances_id_fk" FOREIGN KEY ("instance_id") REFERENCES "avatars"."instances"("id") ON DELETE cascade ON UPDATE no action;
--> statement-breakpoint
CREATE INDEX "erased_chats_erased_idx" ON "avatars"."erased_chats" USING btree ("erased_at");
--> statement-breakpoint
INSERT INTO avatars.gates (name) VALUES ('old erasures');
