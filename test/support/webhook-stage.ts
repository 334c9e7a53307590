import { openBase } from "../../src/app/base.ts";
import { openWebhookSending } from "../../src/app/tasks/webhook-sending.ts";
import { readConfig } from "../../src/config.ts";
import { startTasks } from "../../src/lib/start-tasks.ts";
import { openApiStage, type ApiStage } from "./api-stage.ts";
import { secretKey } from "./stage.ts";
import { openReceiver, type Receiver } from "./webhook-receiver.ts";

export const instanceId = "1101000001";

/** An endpoint that was added, with its receiver. */
export interface AddedEndpoint extends Receiver {
  readonly id: string;
  readonly secret: string;
}

/** Sends webhooks as a worker does, without its other work. */
export interface TestSending {
  /** As a worker that is stopped. */
  stop(): Promise<void>;
  /** As a worker that is killed: nothing is written, and no lease given back. */
  kill(): Promise<void>;
}

export interface WebhookStage extends ApiStage {
  /** Adds an endpoint with a receiver of its own. */
  addEndpoint(settings?: Record<string, unknown>): Promise<AddedEndpoint>;
  /** Adds a contact, and sets its version as a save does; null: no picture. Returns its id. */
  setVersion(chatId: string, version: string | null): Promise<number>;
  startSending(): Promise<TestSending>;
  /** What `GET /v1/webhooks/{id}` answers. */
  show(id: string): Promise<Record<string, unknown>>;
  /** Has all that waits for another try tried now. */
  hurryRetries(): Promise<void>;
  post(path: string, json?: unknown): Promise<Record<string, unknown>>;
}

/** The settings of processes that send to receivers on this machine. */
export const webhookEnv = {
  AVATARS_WEBHOOK_NETWORKS: "127.0.0.0/8",
  AVATARS_PUBLIC_URL: "https://avatars.example",
};

export async function openWebhookStage(): Promise<WebhookStage> {
  const stage = await openApiStage({ env: webhookEnv });
  const closers: (() => Promise<void>)[] = [];
  await stage.addInstance(instanceId);
  const { pool } = stage.database;

  const post: WebhookStage["post"] = async (path, json) => {
    const answer = await stage.call(path, { method: "POST", ...(json !== undefined && { json }) });
    if (answer.status >= 300) throw new Error(`${path}: ${answer.status} ${answer.text}`);
    return answer.json();
  };

  return {
    ...stage,
    post,
    async addEndpoint(settings = {}) {
      const receiver = await openReceiver();
      closers.push(() => receiver.close());
      const { id, secret } = await post("/v1/webhooks", { url: receiver.url, ...settings });
      return { ...receiver, id: String(id), secret: String(secret) };
    },
    async setVersion(chatId, version) {
      const { rows } = await pool.query<{ id: string }>(
        `insert into avatars.contacts (instance_id, chat_id, external_ref, status) values ($1, $2, 'crm-' || $2, $3)
         on conflict (instance_id, chat_id) do update set status = excluded.status returning id`,
        [instanceId, chatId, version === null ? "absent" : "present"],
      );
      const id = Number(rows[0]?.id);
      await pool.query(
        `insert into avatars.avatars (contact_id, url, version, changed_at, seen_at) values ($1, $2, $2, now(), now())
         on conflict (contact_id) do update set url = excluded.url, version = excluded.version,
           seen_at = clock_timestamp(), version_at = clock_timestamp()`,
        [id, version],
      );
      return id;
    },
    async startSending() {
      const sending = await openSending(stage.database.url);
      closers.push(() => sending.kill());
      return sending;
    },
    show: async (id) => (await stage.call(`/v1/webhooks/${id}`)).json(),
    async hurryRetries() {
      await pool.query("update avatars.webhook_retries set next_try_at = now()");
    },
    async close() {
      for (const close of closers.toReversed()) await close();
      await stage.close();
    },
  };
}

async function openSending(databaseUrl: string): Promise<TestSending> {
  const base = await openBase(
    readConfig({
      DATABASE_URL: databaseUrl,
      AVATARS_SECRET_KEY: secretKey,
      AVATARS_IMAGES: "off",
      ...webhookEnv,
    }),
    { defaultLogLevel: "silent", maxConnections: 4, migrate: false, signal: new AbortController().signal },
  );
  const sending = await openWebhookSending(base);
  const stopTasks = startTasks(sending.tasks, {
    random: Math.random,
    onError: () => undefined,
    stopWithinMs: 2_000,
  });
  return {
    async stop() {
      await stopTasks();
      await sending.stop(5_000);
      await base.closer.close();
    },
    async kill() {
      // Without Postgres nothing more can be written.
      await base.closer.close();
      await stopTasks();
      await sending.stop(0).catch(() => undefined);
    },
  };
}
