-- How an instance is called with care: a cap of calls a day, and quiet hours.
ALTER TABLE "avatars"."instances" ADD COLUMN "calls_per_day" integer;--> statement-breakpoint
ALTER TABLE "avatars"."instances" ADD COLUMN "quiet_from" smallint;--> statement-breakpoint
ALTER TABLE "avatars"."instances" ADD COLUMN "quiet_until" smallint;--> statement-breakpoint
ALTER TABLE "avatars"."instances" ADD COLUMN "quiet_interactive" boolean;--> statement-breakpoint
ALTER TABLE "avatars"."instances" ADD COLUMN "time_zone" text;--> statement-breakpoint
ALTER TABLE "avatars"."instances" ADD COLUMN "calls_day" date;--> statement-breakpoint
ALTER TABLE "avatars"."instances" ADD COLUMN "calls_today" integer;--> statement-breakpoint
ALTER TABLE "avatars"."instances" ADD COLUMN "calls_granted" integer;--> statement-breakpoint
ALTER TABLE "avatars"."instances" ADD CONSTRAINT "instances_calls_per_day_check" CHECK ("avatars"."instances"."calls_per_day" > 0);--> statement-breakpoint
ALTER TABLE "avatars"."instances" ADD CONSTRAINT "instances_quiet_check" CHECK (("avatars"."instances"."quiet_from" is null) = ("avatars"."instances"."quiet_until" is null) and "avatars"."instances"."quiet_from" <> "avatars"."instances"."quiet_until"
        and "avatars"."instances"."quiet_from" between 0 and 1439 and "avatars"."instances"."quiet_until" between 1 and 1440
        and not ("avatars"."instances"."quiet_from" = 0 and "avatars"."instances"."quiet_until" = 1440));--> statement-breakpoint
-- What a clock on the wall of a zone shows. One whose name Postgres knows no more, since its zones are another machine's now, is
-- taken for UTC: a statement that fails for it would stop the calls of all instances of a process.
CREATE FUNCTION avatars.clock_in_zone(p_at timestamptz, p_zone text) RETURNS timestamp
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
begin
  return p_at at time zone coalesce(p_zone, 'UTC');
exception when invalid_parameter_value then
  return p_at at time zone 'UTC';
end
$$;
--> statement-breakpoint
-- Quiet hours as the clock on the wall shows them: minutes since midnight, past it where `p_from` is beyond `p_until`.
CREATE FUNCTION avatars.is_quiet(p_at timestamptz, p_from smallint, p_until smallint, p_zone text) RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
declare
  clock timestamp := avatars.clock_in_zone(p_at, p_zone);
  minute integer := extract(hour from clock) * 60 + extract(minute from clock);
begin
  if p_from < p_until then
    return minute >= p_from and minute < p_until;
  end if;
  return minute >= p_from or minute < p_until;
end
$$;
--> statement-breakpoint
-- The day whose calls are counted. The one before it does not come back where the clock is put back over midnight, be it the
-- zone's, the server's, or by another zone; a day further ahead was a mistake.
CREATE FUNCTION avatars.day_to_count(p_at timestamptz, p_zone text, p_counted date) RETURNS date
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
declare
  today date := avatars.clock_in_zone(p_at, p_zone)::date;
begin
  return case when p_counted between today and today + 1 then p_counted else today end;
end
$$;
