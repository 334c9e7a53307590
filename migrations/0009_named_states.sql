-- Two states that were hidden in other columns get their own: a batch that is being removed had finished_at = '-infinity', and
-- a stream that was cut off had no fingerprint. Neither table is rewritten; both locks at once, so that no statement meets us halfway.
LOCK TABLE avatars.batches, avatars.idempotency_keys IN ACCESS EXCLUSIVE MODE;
--> statement-breakpoint
ALTER TABLE "avatars"."batches" ADD COLUMN "removing_at" timestamp with time zone;--> statement-breakpoint
-- When these finished is lost since their removal began. No later than any of these moments is close enough: they are removed anyway.
UPDATE avatars.batches SET removing_at = now(), finished_at = coalesce(cancelled_at, completed_intake_at, requested_at)
WHERE finished_at = '-infinity';
--> statement-breakpoint
-- The default is for the rows that are there, and costs no rewrite.
ALTER TABLE "avatars"."idempotency_keys" ADD COLUMN "kind" text DEFAULT 'answered' NOT NULL;--> statement-breakpoint
UPDATE avatars.idempotency_keys SET kind = 'cut-off' WHERE fingerprint IS NULL;
--> statement-breakpoint
ALTER TABLE "avatars"."idempotency_keys" ALTER COLUMN "kind" DROP DEFAULT;--> statement-breakpoint
CREATE INDEX "batches_removing_idx" ON "avatars"."batches" USING btree ("removing_at") WHERE "avatars"."batches"."removing_at" is not null;--> statement-breakpoint
ALTER TABLE "avatars"."batches" ADD CONSTRAINT "batches_removing_check" CHECK ("avatars"."batches"."removing_at" is null or "avatars"."batches"."finished_at" is not null);--> statement-breakpoint
ALTER TABLE "avatars"."idempotency_keys" ADD CONSTRAINT "idempotency_keys_kind_check" CHECK ("avatars"."idempotency_keys"."kind" in ('answered', 'cut-off'));--> statement-breakpoint
ALTER TABLE "avatars"."idempotency_keys" ADD CONSTRAINT "idempotency_keys_fingerprint_check" CHECK (("avatars"."idempotency_keys"."kind" = 'answered') = ("avatars"."idempotency_keys"."fingerprint" is not null));
