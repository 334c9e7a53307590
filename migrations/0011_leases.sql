-- A process holds a lease on each instance that it calls, in place of a claim on each contact. Contacts that are claimed now are
-- simply due. A worker of before calls nothing any more: its statements fail, since the columns of claims are gone. The last slot
-- that it has reserved is kept: no lease begins before it.
LOCK TABLE avatars.instances, avatars.batches, avatars.contacts, avatars.avatars, avatars.avatar_changes, avatars.resync_runs, avatars.lookups_aside IN ACCESS EXCLUSIVE MODE;
--> statement-breakpoint
CREATE TABLE "avatars"."arrivals" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "avatars"."arrivals_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"instance_id" text NOT NULL,
	"priority" smallint,
	"turn" bigint,
	"xid" "xid8" DEFAULT pg_current_xact_id() NOT NULL,
	"arrived_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
ALTER TABLE "avatars"."contacts" DROP CONSTRAINT "contacts_claim_check";--> statement-breakpoint
ALTER TABLE "avatars"."lookups_aside" DROP CONSTRAINT "lookups_aside_record_check";--> statement-breakpoint
ALTER TABLE "avatars"."contacts" ADD COLUMN "in_flight_epoch" bigint;--> statement-breakpoint
ALTER TABLE "avatars"."contacts" ADD COLUMN "in_flight_until" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "avatars"."instances" ADD COLUMN "lease_owner" uuid;--> statement-breakpoint
ALTER TABLE "avatars"."instances" ADD COLUMN "lease_epoch" bigint DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "avatars"."instances" ADD COLUMN "leased_until" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "avatars"."instances" ADD COLUMN "recent_calls" double precision[];--> statement-breakpoint
ALTER TABLE "avatars"."instances" ADD COLUMN "handed_over_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "avatars"."instances" ADD COLUMN "climb_rate" double precision;--> statement-breakpoint
ALTER TABLE "avatars"."instances" ADD COLUMN "climb_from" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "avatars"."instances" ADD COLUMN "taken_rate" double precision;--> statement-breakpoint
ALTER TABLE "avatars"."instances" ADD COLUMN "probe_after_ms" integer;--> statement-breakpoint
-- Records that are put aside stay: a clear answer needs no lease. What was in flight is asked again.
DELETE FROM avatars.lookups_aside WHERE record IS NULL;--> statement-breakpoint
ALTER TABLE "avatars"."lookups_aside" ADD COLUMN "epoch" bigint DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "avatars"."lookups_aside" ALTER COLUMN "epoch" DROP DEFAULT;--> statement-breakpoint
ALTER TABLE "avatars"."lookups_aside" ADD COLUMN "in_flight_until" timestamp with time zone;--> statement-breakpoint
CREATE INDEX "arrivals_xid_idx" ON "avatars"."arrivals" USING btree ("xid");--> statement-breakpoint
ALTER TABLE "avatars"."contacts" DROP COLUMN "claimed_by";--> statement-breakpoint
ALTER TABLE "avatars"."contacts" DROP COLUMN "claimed_until";--> statement-breakpoint
ALTER TABLE "avatars"."instances" DROP COLUMN "paced_by";--> statement-breakpoint
ALTER TABLE "avatars"."lookups_aside" DROP COLUMN "run_id";--> statement-breakpoint
ALTER TABLE "avatars"."lookups_aside" DROP COLUMN "claimed_until";--> statement-breakpoint
ALTER TABLE "avatars"."contacts" ADD CONSTRAINT "contacts_in_flight_check" CHECK (("avatars"."contacts"."in_flight_epoch" is null) = ("avatars"."contacts"."in_flight_until" is null));--> statement-breakpoint
ALTER TABLE "avatars"."instances" ADD CONSTRAINT "instances_lease_check" CHECK (("avatars"."instances"."lease_owner" is null) = ("avatars"."instances"."leased_until" is null));--> statement-breakpoint
ALTER TABLE "avatars"."lookups_aside" ADD CONSTRAINT "lookups_aside_record_check" CHECK (("avatars"."lookups_aside"."record" is null) = ("avatars"."lookups_aside"."in_flight_until" is not null));
--> statement-breakpoint
-- As in 0005, and: tells the holder of the instance's lease.
CREATE OR REPLACE FUNCTION avatars.accept(
  p_batch_id uuid, p_chat_ids text[], p_external_refs text[], p_positions bigint[], p_last_turn bigint DEFAULT null,
  OUT members integer, OUT duplicates integer
-- A table that has grown a thousandfold since its last statistics must not be scanned for each chunk.
) LANGUAGE plpgsql SET enable_seqscan = off SET search_path = pg_catalog, pg_temp AS $$
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

  -- The holder of the instance's lease reads onward only. Whatever asks for a lookup here has a turn after base.
  if places > 0 then
    insert into avatars.arrivals (instance_id, priority, turn) values (batch.instance_id, batch.priority, base + 1);
  end if;

  update avatars.batches b
  set accepted = b.accepted + members, duplicates = b.duplicates + accept.duplicates,
    last_turn = case when p_last_turn is null then base + coalesce(places, 0)
      else b.last_turn - cardinality(p_chat_ids) + coalesce(places, 0) end
  where b.id = batch.id;
end
$$;
--> statement-breakpoint
ALTER TABLE "avatars"."avatar_changes" DROP CONSTRAINT "avatar_changes_contact_id_contacts_id_fk";
--> statement-breakpoint
ALTER TABLE "avatars"."avatars" DROP CONSTRAINT "avatars_contact_id_contacts_id_fk";
--> statement-breakpoint
DROP INDEX "avatars"."resync_runs_opened_idx";--> statement-breakpoint
CREATE INDEX "resync_runs_opened_idx" ON "avatars"."resync_runs" USING btree ("opened_at");
--> statement-breakpoint
-- In place of the foreign keys, which looked each contact up once more for each row of a save. Who writes these rows has the contact
-- locked, or its avatar. The settings are the function's own: a plan that was made while the tables were empty stays good.
CREATE FUNCTION avatars.remove_avatars() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
begin
  delete from avatars.avatars a using gone where a.contact_id = any (array[gone.id]);
  -- A statement of its own: it sees the changes that were written by transactions which the one before has waited for.
  delete from avatars.avatar_changes h using gone where h.contact_id = any (array[gone.id]);
  return null;
end
$$;
--> statement-breakpoint
CREATE TRIGGER contacts_removed AFTER DELETE ON avatars.contacts
  REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION avatars.remove_avatars();
--> statement-breakpoint
-- For statements that write changes themselves: taken before the first id is, and held until the commit (store/changes/change-horizon.ts).
CREATE FUNCTION avatars.enter_change_gate() RETURNS boolean LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
begin
  lock table avatars.change_gate in row exclusive mode;
  return true;
end
$$;
--> statement-breakpoint
DROP TRIGGER avatar_first_seen ON avatars.avatars;
--> statement-breakpoint
DROP TRIGGER avatar_changed ON avatars.avatars;
--> statement-breakpoint
-- As in 0010, but for statements that say that they write the changes themselves, for their own transaction (store/saves/write-lookups-sql.ts).
CREATE TRIGGER avatar_first_seen AFTER INSERT ON avatars.avatars
  FOR EACH ROW WHEN (new.version is not null and not new.is_untold
    and current_setting('avatars.changes_told_by', true) is distinct from 'statement')
  EXECUTE FUNCTION avatars.record_avatar_change();
--> statement-breakpoint
CREATE TRIGGER avatar_changed AFTER UPDATE OF version, is_untold, told_version, image_sha256 ON avatars.avatars
  FOR EACH ROW WHEN ((new.version is distinct from old.version or new.is_untold <> old.is_untold
    or new.told_version is distinct from old.told_version or new.image_sha256 is distinct from old.image_sha256)
    and current_setting('avatars.changes_told_by', true) is distinct from 'statement')
  EXECUTE FUNCTION avatars.record_avatar_change();
--> statement-breakpoint
-- A save of the same picture changes no indexed column: with room on its page no index is written, and what it leaves is cleared away
-- without a vacuum. For rows that are written from now on.
ALTER TABLE avatars.avatars SET (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 5000);
