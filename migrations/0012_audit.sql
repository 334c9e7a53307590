CREATE TABLE "avatars"."audit" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "avatars"."audit_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"at" timestamp with time zone DEFAULT now() NOT NULL,
	"actor_kind" text NOT NULL,
	"actor_id" text,
	"actor_name" text,
	"action" text NOT NULL,
	"subject_id" text,
	"instance_id" text,
	"contact_hash" text,
	"detail" jsonb DEFAULT '{}'::jsonb NOT NULL,
	"request_id" text,
	"address" text,
	CONSTRAINT "audit_actor_check" CHECK ("avatars"."audit"."actor_kind" in ('key', 'cli', 'worker'))
);
--> statement-breakpoint
CREATE INDEX "audit_at_idx" ON "avatars"."audit" USING btree ("at","id");--> statement-breakpoint
CREATE INDEX "audit_contact_idx" ON "avatars"."audit" USING btree ("instance_id","contact_hash") WHERE "avatars"."audit"."contact_hash" is not null;--> statement-breakpoint
-- The lock of the retention (store/postgres/gates.ts).
INSERT INTO avatars.gates (name) VALUES ('old audit');
