ALTER TABLE "avatars"."instances" ADD COLUMN "hook_secret_hmac" "bytea";--> statement-breakpoint
ALTER TABLE "avatars"."instances" ADD COLUMN "hook_set_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "avatars"."instances" ADD CONSTRAINT "instances_hook_check" CHECK (("avatars"."instances"."hook_secret_hmac" is null) = ("avatars"."instances"."hook_set_at" is null));