-- In the order of the workers' statements, so that none of them can meet us halfway.
LOCK TABLE avatars.instances, avatars.batches, avatars.contacts IN ACCESS EXCLUSIVE MODE;
--> statement-breakpoint
CREATE TABLE "avatars"."api_keys" (
	"id" text PRIMARY KEY NOT NULL,
	"label" text,
	"scopes" text[] NOT NULL,
	"instance_ids" text[],
	"secret_hmac" "bytea" NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"expires_at" timestamp with time zone,
	"revoked_at" timestamp with time zone,
	"last_used_at" timestamp with time zone
);
--> statement-breakpoint
CREATE TABLE "avatars"."idempotency_keys" (
	"api_key_id" text NOT NULL,
	"key" text NOT NULL,
	"fingerprint" text,
	"batch_id" uuid NOT NULL,
	"answer" jsonb,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "idempotency_keys_api_key_id_key_pk" PRIMARY KEY("api_key_id","key")
);
--> statement-breakpoint
ALTER TABLE "avatars"."batches" ADD COLUMN "callback_url" text;--> statement-breakpoint
ALTER TABLE "avatars"."batches" ADD COLUMN "api_key_id" text;--> statement-breakpoint
ALTER TABLE "avatars"."batches" ADD COLUMN "cancelled_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "avatars"."batches" ADD COLUMN "finished_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "avatars"."batches" ADD COLUMN "settled_through" bigint DEFAULT 0 NOT NULL;--> statement-breakpoint
CREATE INDEX "idempotency_keys_created_idx" ON "avatars"."idempotency_keys" USING btree ("created_at");--> statement-breakpoint
CREATE INDEX "batches_instance_idx" ON "avatars"."batches" USING btree ("instance_id","requested_at","id");--> statement-breakpoint
CREATE INDEX "batches_listed_idx" ON "avatars"."batches" USING btree ("instance_id","requested_at","id") WHERE "avatars"."batches"."source" <> 'refresh';--> statement-breakpoint
CREATE INDEX "batches_undone_idx" ON "avatars"."batches" USING btree ("instance_id","requested_at","id") WHERE "avatars"."batches"."finished_at" is null or "avatars"."batches"."cancelled_at" is not null;
--> statement-breakpoint
-- The feed of changes reads by id, and ids are given before their transactions commit: a reader that goes by the highest
-- id it has seen would miss what commits later with a lower one. So whoever records a change holds this lock, shared, from
-- before it takes its id to its commit; a reader takes it alone for a moment (store/read-changes.ts), and all ids up to the
-- highest one that it sees then are final.
CREATE OR REPLACE FUNCTION avatars.record_avatar_change() RETURNS trigger LANGUAGE plpgsql AS $$
begin
  perform pg_advisory_xact_lock_shared(6272077465837);
  insert into avatars.avatar_changes (contact_id, from_version, to_version, seen_at)
  values (new.contact_id, case when tg_op = 'UPDATE' then old.version end, new.version, new.seen_at);
  return null;
end
$$;
--> statement-breakpoint

-- As in 0004, and: contacts that are known already are locked by id first.
CREATE OR REPLACE FUNCTION avatars.accept(
  p_batch_id uuid, p_chat_ids text[], p_external_refs text[], p_positions bigint[], p_last_turn bigint DEFAULT null,
  OUT members integer, OUT duplicates integer
-- A table that has grown a thousandfold since its last statistics must not be scanned for each chunk.
) LANGUAGE plpgsql SET enable_seqscan = off AS $$
declare
  batch avatars.batches%rowtype;
  base bigint;
  seen_at_rest boolean[];
  seen_places bigint[];
  places bigint;
  unwritten integer;
  late integer;
begin
  select * into strict batch from avatars.batches b where b.id = p_batch_id;
  base := coalesce(p_last_turn, greatest(batch.last_turn,
    (select i.turns[batch.priority + 1] from avatars.instances i where i.id = batch.instance_id)));

  -- Workers lock contacts by id: whoever asks again for some that are known does the same, or the two would meet halfway.
  -- Those that nobody knows yet nobody can have locked; up to 200 of them tell whether there are others.
  if exists (
    select from unnest(p_chat_ids) with ordinality as u (chat_id, n)
    where u.n % greatest(cardinality(p_chat_ids) / 200, 1) = 0 and exists (
      select from avatars.contacts c where c.instance_id = batch.instance_id and c.chat_id = u.chat_id)
  ) then
    perform from (
      select c.id from avatars.contacts c
      where c.instance_id = batch.instance_id and c.chat_id = any (p_chat_ids)
        and not avatars.is_fresh(c, batch.fresh_after)
      order by c.id for no key update
    ) locked;
  end if;

  -- Up to 200 of them tell whether the others are worth a look, which is a tenth of an import's cost.
  if exists (
    select from unnest(p_chat_ids) with ordinality as u (chat_id, n)
    where u.n % greatest(cardinality(p_chat_ids) / 200, 1) = 0 and (
      select avatars.is_fresh(c, batch.fresh_after) from avatars.contacts c
      where c.instance_id = batch.instance_id and c.chat_id = u.chat_id)
  ) then
    -- The fresh ones take no turn: a batch must not fall back by what costs no call. One that this look misses leaves
    -- a gap. at_rest is null: asks for a lookup; false: fresh, with another external ref; true: nothing to write.
    with looked as materialized (
      select u.n, (
        select case when avatars.is_fresh(c, batch.fresh_after)
          then u.external_ref is null or u.external_ref is not distinct from c.external_ref end
        from avatars.contacts c where c.instance_id = batch.instance_id and c.chat_id = u.chat_id
      ) as at_rest
      from unnest(p_chat_ids, p_external_refs) with ordinality as u (chat_id, external_ref, n)
    ), placed as (
      select l.n, l.at_rest, count(*) filter (where l.at_rest is null) over (order by l.n rows unbounded preceding) as place
      from looked l
    )
    select array_agg(p.at_rest order by p.n), array_agg(p.place order by p.n) into seen_at_rest, seen_places
    from placed p;
  end if;

  with incoming as materialized (
    select u.chat_id, min(u.position) as position,
      (array_agg(u.external_ref order by u.position desc) filter (where u.external_ref is not null))[1] as external_ref,
      min(coalesce(u.place, u.n)) as place, bool_and(u.at_rest) as at_rest
    from unnest(p_chat_ids, p_external_refs, p_positions, seen_places, seen_at_rest)
      with ordinality as u (chat_id, external_ref, position, place, at_rest, n)
    group by u.chat_id
  ), written as (
    insert into avatars.contacts as c
      (instance_id, chat_id, external_ref, priority, wanted_at, fresh_after, due_at, turn)
    select batch.instance_id, i.chat_id, i.external_ref, batch.priority, batch.requested_at, batch.fresh_after, now(),
      base + i.place
    from incoming i
    where i.at_rest is not true
    -- Two writers lock the contacts they share in the same order.
    order by i.chat_id
    on conflict (instance_id, chat_id) do update set
      external_ref = coalesce(excluded.external_ref, c.external_ref),
      priority = case when avatars.is_fresh(c, excluded.fresh_after) then c.priority
        when c.wanted_at is null then excluded.priority else least(c.priority, excluded.priority) end,
      due_at = case when avatars.is_fresh(c, excluded.fresh_after) then c.due_at
        when c.wanted_at is null or excluded.priority < c.priority then least(c.due_at, excluded.due_at)
        else c.due_at end,
      -- Two batches of one priority: the earlier turn serves both. Without a turn it waits for its backoff, or comes
      -- back from it, before all turns.
      turn = case when avatars.is_fresh(c, excluded.fresh_after) then c.turn
        when c.wanted_at is null or excluded.priority < c.priority then excluded.turn
        when c.turn is not null and c.priority = excluded.priority then least(c.turn, excluded.turn)
        else c.turn end,
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
  select (select count(*) from incoming) - (select count(*) from written), (select count(*) from joined),
    (select max(place) from incoming)
  into unwritten, members, places;

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
  set accepted = b.accepted + members, duplicates = b.duplicates + accept.duplicates,
    last_turn = case when p_last_turn is null then base + coalesce(places, 0)
      else b.last_turn - cardinality(p_chat_ids) + coalesce(places, 0) end
  where b.id = batch.id;
end
$$;
