CREATE TABLE "avatars"."console_sessions" (
	"token_hash" "bytea" PRIMARY KEY NOT NULL,
	"kind" text NOT NULL,
	"api_key_id" text NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"expires_at" timestamp with time zone NOT NULL,
	CONSTRAINT "console_sessions_kind_check" CHECK ("avatars"."console_sessions"."kind" in ('session', 'link'))
);
--> statement-breakpoint
ALTER TABLE "avatars"."console_sessions" ADD CONSTRAINT "console_sessions_api_key_id_api_keys_id_fk" FOREIGN KEY ("api_key_id") REFERENCES "avatars"."api_keys"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "console_sessions_expires_idx" ON "avatars"."console_sessions" USING btree ("expires_at");--> statement-breakpoint
CREATE INDEX "console_sessions_key_idx" ON "avatars"."console_sessions" USING btree ("api_key_id");