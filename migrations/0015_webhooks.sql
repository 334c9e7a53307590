CREATE TABLE "avatars"."webhook_deliveries" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "avatars"."webhook_deliveries_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"endpoint_id" text NOT NULL,
	"feed_id" bigint,
	"contact_id" bigint,
	"type" text NOT NULL,
	"kind" text NOT NULL,
	"tries" smallint NOT NULL,
	"at" timestamp with time zone NOT NULL,
	"took_ms" integer NOT NULL,
	"status" integer,
	"error" text,
	"answer" text
);
--> statement-breakpoint
CREATE TABLE "avatars"."webhook_endpoints" (
	"id" text PRIMARY KEY NOT NULL,
	"url" text NOT NULL,
	"label" text,
	"types" text[] NOT NULL,
	"instance_ids" text[],
	"includes_first_seen" boolean DEFAULT false NOT NULL,
	"is_ordered" boolean DEFAULT false NOT NULL,
	"omits_chat_id" boolean DEFAULT false NOT NULL,
	"sealed_secret" text NOT NULL,
	"sealed_previous" text,
	"previous_until" timestamp with time zone,
	"cursor" bigint NOT NULL,
	"missed" bigint DEFAULT 0 NOT NULL,
	"state" text DEFAULT 'active' NOT NULL,
	"disabled_reason" text,
	"disabled_at" timestamp with time zone,
	"failing_since" timestamp with time zone,
	"last_success_at" timestamp with time zone,
	"head_tries" smallint DEFAULT 0 NOT NULL,
	"head_next_at" timestamp with time zone,
	"lease_owner" uuid,
	"leased_until" timestamp with time zone,
	"lease_epoch" bigint DEFAULT 0 NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "webhook_endpoints_state_check" CHECK ("avatars"."webhook_endpoints"."state" in ('active', 'disabled')),
	CONSTRAINT "webhook_endpoints_disabled_check" CHECK (("avatars"."webhook_endpoints"."state" = 'disabled') = ("avatars"."webhook_endpoints"."disabled_reason" is not null) and ("avatars"."webhook_endpoints"."state" = 'disabled') = ("avatars"."webhook_endpoints"."disabled_at" is not null)),
	CONSTRAINT "webhook_endpoints_previous_check" CHECK (("avatars"."webhook_endpoints"."sealed_previous" is null) = ("avatars"."webhook_endpoints"."previous_until" is null))
);
--> statement-breakpoint
CREATE TABLE "avatars"."webhook_events" (
	"id" bigint PRIMARY KEY DEFAULT nextval('avatars.avatar_changes_id_seq'::regclass) NOT NULL,
	"type" text NOT NULL,
	"instance_id" text,
	"batch_id" uuid,
	"endpoint_id" text,
	"reason" text,
	"at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "avatars"."webhook_retries" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "avatars"."webhook_retries_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"endpoint_id" text,
	"feed_id" bigint NOT NULL,
	"contact_id" bigint,
	"tries" smallint NOT NULL,
	"next_try_at" timestamp with time zone NOT NULL
);
--> statement-breakpoint
ALTER TABLE "avatars"."webhook_deliveries" ADD CONSTRAINT "webhook_deliveries_endpoint_id_webhook_endpoints_id_fk" FOREIGN KEY ("endpoint_id") REFERENCES "avatars"."webhook_endpoints"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "avatars"."webhook_retries" ADD CONSTRAINT "webhook_retries_endpoint_id_webhook_endpoints_id_fk" FOREIGN KEY ("endpoint_id") REFERENCES "avatars"."webhook_endpoints"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "webhook_deliveries_endpoint_idx" ON "avatars"."webhook_deliveries" USING btree ("endpoint_id","id");--> statement-breakpoint
CREATE INDEX "webhook_deliveries_erased_idx" ON "avatars"."webhook_deliveries" USING btree ("contact_id");--> statement-breakpoint
CREATE INDEX "webhook_events_at_idx" ON "avatars"."webhook_events" USING btree ("at");--> statement-breakpoint
CREATE INDEX "webhook_retries_next_idx" ON "avatars"."webhook_retries" USING btree ("endpoint_id","next_try_at");--> statement-breakpoint
CREATE UNIQUE INDEX "webhook_retries_contact_key" ON "avatars"."webhook_retries" USING btree ("endpoint_id","contact_id") WHERE "avatars"."webhook_retries"."contact_id" is not null;--> statement-breakpoint
CREATE UNIQUE INDEX "webhook_retries_event_key" ON "avatars"."webhook_retries" USING btree ("endpoint_id","feed_id") WHERE "avatars"."webhook_retries"."contact_id" is null;--> statement-breakpoint
CREATE INDEX "webhook_retries_erased_idx" ON "avatars"."webhook_retries" USING btree ("contact_id");--> statement-breakpoint
-- What is told of an erased contact goes with it: retries, and what receivers have answered.
CREATE FUNCTION avatars.remove_webhook_traces() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
begin
  delete from avatars.webhook_retries r where r.contact_id = any (array(select id from gone));
  delete from avatars.webhook_deliveries d where d.contact_id = any (array(select id from gone));
  return null;
end
$$;
--> statement-breakpoint
CREATE TRIGGER contacts_removed_from_webhooks AFTER DELETE ON avatars.contacts
  REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION avatars.remove_webhook_traces();
--> statement-breakpoint
-- Events are written with the fact, behind the gate of changes: their ids are of the same sequence, and as final as those of
-- changes (store/changes/change-horizon.ts). Where no endpoint is, none are written.
CREATE FUNCTION avatars.note_instance_event() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
begin
  if not exists (select from avatars.webhook_endpoints) then
    return null;
  end if;
  lock table avatars.change_gate in row exclusive mode;
  insert into avatars.webhook_events (type, instance_id, reason, at)
  values (case new.state when 'held' then 'instance.held' else 'instance.resumed' end, new.id,
    case new.state when 'held' then new.held_reason end, clock_timestamp());
  return null;
end
$$;
--> statement-breakpoint
CREATE TRIGGER instance_state_changed AFTER UPDATE OF state ON avatars.instances
  FOR EACH ROW WHEN (new.state <> old.state and new.state <> 'paused') EXECUTE FUNCTION avatars.note_instance_event();
--> statement-breakpoint
-- The callback of a batch is a retry from its beginning: no process has tried it yet.
CREATE FUNCTION avatars.note_batch_event() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
declare
  event bigint;
begin
  if new.callback_url is null and not exists (select from avatars.webhook_endpoints) then
    return null;
  end if;
  lock table avatars.change_gate in row exclusive mode;
  insert into avatars.webhook_events (type, instance_id, batch_id, at)
  values ('batch.finished', new.instance_id, new.id, clock_timestamp()) returning id into event;
  if new.callback_url is not null then
    insert into avatars.webhook_retries (feed_id, tries, next_try_at) values (event, 0, clock_timestamp());
  end if;
  return null;
end
$$;
--> statement-breakpoint
CREATE TRIGGER batch_finished AFTER UPDATE OF finished_at ON avatars.batches
  FOR EACH ROW WHEN (old.finished_at is null and new.finished_at is not null
    and (new.source <> 'refresh' or new.callback_url is not null))
  EXECUTE FUNCTION avatars.note_batch_event();
--> statement-breakpoint
CREATE FUNCTION avatars.note_endpoint_event() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
begin
  lock table avatars.change_gate in row exclusive mode;
  insert into avatars.webhook_events (type, endpoint_id, reason, at)
  values ('endpoint.disabled', new.id, new.disabled_reason, clock_timestamp());
  return null;
end
$$;
--> statement-breakpoint
CREATE TRIGGER webhook_endpoint_disabled AFTER UPDATE OF state ON avatars.webhook_endpoints
  FOR EACH ROW WHEN (new.state = 'disabled' and old.state = 'active' and new.disabled_reason <> 'operator')
  EXECUTE FUNCTION avatars.note_endpoint_event();
--> statement-breakpoint
-- Settings of the workers' statements, as for other tables that are written all the time.
ALTER TABLE avatars.webhook_endpoints SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
--> statement-breakpoint
ALTER TABLE avatars.webhook_deliveries SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
