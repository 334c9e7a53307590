// BullMQ as its documentation begins: a job for each contact, fetch, a row at a time.
import { Worker } from "bullmq";
import { Redis } from "ioredis";
import pg from "pg";
import { readAlternativeOptions, type LookupJob } from "./alternative-options.ts";
import { toRow } from "./look-up.ts";

const { databaseUrl, redisUrl, apiUrl, queueName } = readAlternativeOptions();
const database = new pg.Pool({ connectionString: databaseUrl });

const worker = new Worker<LookupJob>(
  queueName,
  async (job) => {
    const { chatId } = job.data;
    const checkedAt = new Date();
    const response = await fetch(`${apiUrl}/waInstance1101000001/getAvatar/token`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ chatId }),
    });
    if (!response.ok) throw new Error(`getAvatar answers ${response.status}`);
    const row = toRow(chatId, await response.json(), checkedAt);
    await database.query(
      `insert into avatars (chat_id, status, url, checked_at) values ($1, $2, $3, $4)
       on conflict (chat_id) do update
       set status = excluded.status, url = excluded.url, checked_at = excluded.checked_at`,
      [row.chatId, row.status, row.url, row.checkedAt],
    );
  },
  { connection: new Redis(redisUrl, { maxRetriesPerRequest: null }), concurrency: 50 },
);
worker.on("error", (error) => console.error(error.message));
