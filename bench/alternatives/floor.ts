// The least that can be: no queue, no retry, no limit. A pool of connections and an upsert for every 500 answers.
import pg from "pg";
import { Pool } from "undici";
import { readAlternativeOptions } from "./alternative-options.ts";
import { write } from "./batched-upsert.ts";
import { connections, lookUp, type AvatarRow } from "./look-up.ts";

const { databaseUrl, apiUrl } = readAlternativeOptions();
const pageSize = 1_000;
const mostRows = 500;

const database = new pg.Pool({ connectionString: databaseUrl, max: 4 });
const provider = new Pool(apiUrl, { connections });

/** What is left of the page, and the one after it, which is read meanwhile. */
let page = await readPage(0);
let nextPage = readPage(Number(page.at(-1)?.id ?? 0));
let at = 0;

/** Undefined: there are no more. */
async function turnPage(): Promise<string | undefined> {
  const turned = nextPage;
  const rows = await turned;
  // Of all who wait for it the first one turns it.
  if (turned === nextPage && rows.length > 0) {
    page = rows;
    at = 0;
    nextPage = readPage(Number(rows.at(-1)?.id));
  }
  return at < page.length ? page[at++]?.chat_id : rows.length > 0 ? turnPage() : undefined;
}

async function readPage(afterId: number): Promise<{ id: string; chat_id: string }[]> {
  const text = "select id, chat_id from todo where id > $1 order by id limit $2";
  const { rows } = await database.query<{ id: string; chat_id: string }>({
    name: "page",
    text,
    values: [afterId, pageSize],
  });
  return rows;
}

let found: AvatarRow[] = [];
const writes: Promise<void>[] = [];

async function work(): Promise<void> {
  for (;;) {
    const chatId = at < page.length ? page[at++]?.chat_id : await turnPage();
    if (chatId === undefined) return;
    const row = await lookUp(provider, chatId);
    found.push(row);
    if (found.length < mostRows) continue;
    const rows = found;
    found = [];
    writes.push(write(database, rows));
  }
}

await Promise.all(Array.from({ length: connections }, () => work()));
if (found.length > 0) writes.push(write(database, found));
await Promise.all(writes);
// As the others, which wait for more: the time of its process is read from outside.
setInterval(() => undefined, 60_000);
