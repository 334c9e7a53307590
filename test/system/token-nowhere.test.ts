import { readFile } from "node:fs/promises";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Queue } from "bullmq";
import { listBackends } from "../support/backends.ts";
import { eventually } from "../support/eventually.ts";
import type { CliResult } from "../support/run-cli.ts";
import { makeChats, openStage, secretKey, type Stage } from "../support/stage.ts";
import type { TestDatabase } from "../support/test-database.ts";

/** No two halves of it occur anywhere by chance. */
const token = "Zq7-7103token_d75b3a66-6374942c_5b3c-019c698abc2067e";
/** As a server may write it that escapes more than it has to. */
const escaped = token.replaceAll("-", "%2D").replaceAll("_", "%5f");
const traces = [
  token,
  escaped,
  Buffer.from(token).toString("base64"),
  // Enough of it to be of use to somebody.
  "d75b3a66",
  "019c698abc2067e",
].map((trace) => trace.toLowerCase());

const echoing = "1101000001";
const refused = "1101000002";
const lost = "1101000003";
const unreachable = "1101000004";

/** Chats whose numbers ask for a 400 that echoes the path, and others whose answers are scripted below. */
const chats = [
  "79001994000@c.us",
  "79001994001@c.us",
  "79001994007@c.us",
  "79001994990@c.us",
  "79001995000@c.us",
];
const body = (text: string, status = 200, headers = {}) => ({ status, headers, body: text });
const echoes = [
  body(`<html><body>GET /waInstance1/getAvatar/${token} failed</body></html>`),
  body(token, 500),
  body(`denied: ${escaped}`, 400),
  body(JSON.stringify({ urlAvatar: `https://pps.whatsapp.net/v/${token}/a.jpg`, available: true })),
  body(JSON.stringify({ urlAvatar: `https://pps.whatsapp.net/v/a.jpg?t=${escaped}` })),
  body(JSON.stringify({ status: false, reason: `bad token ${token}` })),
  body(JSON.stringify({ [token]: token }), 418),
  body("", 302, { location: `http://127.0.0.1:1/waInstance1/getAvatar/${escaped}` }),
  body(`{"urlAvatar":"${token}`),
  "connection-reset",
  "connection-cut",
] as const;
const scripted = echoes.map((_answer, index) => `7900100${String(index).padStart(4, "0")}@c.us`);
const echoed = [...chats, ...scripted];
/** Each is followed by one that is answered: else so many failures would be the instance's, and hold it. */
const asked = echoed.flatMap((chatId, index) => [chatId, ...makeChats(1, 500 + index)]);

describe.each(listBackends())("the token with the queue in $name", (backend) => {
  let stage: Stage;
  /** All that any command has printed. */
  let printed = "";

  beforeAll(async () => {
    const env = { LOG_LEVEL: "trace", AVATARS_MAX_ATTEMPTS: "2", AVATARS_PROBE_BASE_MS: "300" };
    stage = await openStage({ backend, env });
    const { simulator } = stage;
    for (const [index, answer] of echoes.entries()) {
      simulator.script({
        instanceId: echoing,
        chatId: scripted[index]!,
        answers: [answer],
        times: "forever",
      });
    }
    simulator.setToken("another", refused);
    simulator.script({ instanceId: lost, answers: ["not-found-404"], times: "forever" });
  });

  afterAll(() => stage.close());

  const readHeld = async () => {
    const { rows } = await stage.database.pool.query<{ id: string }>(
      "select id from avatars.instances where state = 'held' order by id",
    );
    return rows.map(({ id }) => id);
  };

  const keep = ({ stdout, stderr, code }: CliResult) => {
    printed += `${stdout}\n${stderr}\n`;
    return code;
  };

  /** The commands that call nobody: what they print, and what they write. */
  async function runOthers(credentials: Record<string, string>): Promise<void> {
    const shown = await Promise.all(
      [
        ["status"],
        ["status", "--json"],
        ["instance", "list"],
        ["instance", "list", "--json"],
        ["instance", "show", refused],
        ["instance", "show", refused, "--json"],
        ["instance", "set", refused, "--rps", "9"],
        ["export", "--out", "all.ndjson"],
      ].map((args) => stage.run(args)),
    );
    expect(shown.map(keep)).toEqual(shown.map(() => 0));
    // A key that does not fit, and one that is missing.
    const otherKey = { AVATARS_SECRET_KEY: Buffer.alloc(32, 9).toString("base64") };
    expect(keep(await stage.run(["worker"], { env: otherKey }))).toBe(2);
    const noKey = { ...credentials, AVATARS_SECRET_KEY: "" };
    expect(keep(await stage.run(["worker"], { env: noKey }))).toBe(2);
    expectClean("the exported results", await readFile(stage.path("all.ndjson"), "utf8"));
  }

  test("is in nothing that any command prints, writes, queues or stores", async () => {
    const { simulator } = stage;
    // Side by side: most of the time of a command is its start.
    const add = (id: string) => ["instance", "add", id, "--url", simulator.url, "--token-stdin"];
    const there = ["instance", "add", unreachable, "--url", "http://127.0.0.1:1", "--token", token];
    const added = await Promise.all([
      ...[echoing, refused, lost].map((id) => stage.run(add(id), { stdin: `${token}\n` })),
      stage.run(there),
    ]);
    expect(added.map(keep)).toEqual([0, 0, 0, 0]);

    const worker = await stage.startWorker();
    const stdin = `${asked.join("\n")}\n`;
    const imported = await Promise.all(
      [echoing, refused, lost, unreachable].map((id) =>
        stage.run(["import", "-", "--instance", id, "--json"], { stdin }),
      ),
    );
    expect(imported.map(keep)).toEqual([0, 0, 0, 0]);
    await eventually(async () => {
      expect(await stage.countPending(echoing)).toBe(0);
      expect(await readHeld()).toEqual([refused, lost, unreachable]);
      // A probe leaves the error in its contact.
      const errors = (await stage.readContacts(unreachable)).map(({ lastError }) => lastError);
      expect(errors).toContainEqual(expect.stringContaining("ECONNREFUSED"));
    });
    worker.child.kill("SIGTERM");
    expect(keep(await worker.ended)).toBe(0);

    const credentials = {
      GREEN_API_URL: simulator.url,
      GREEN_API_ID_INSTANCE: refused,
      GREEN_API_TOKEN: token,
    };
    const file = await stage.write("contacts.csv", `chat_id\n${chats.join("\n")}\n`);
    expect(keep(await stage.run(["enrich", file, "--max-age", "0"], { env: credentials }))).toBe(1);
    // These queue no work, or do not come as far as that: once is enough.
    if (backend.name === "PostgreSQL") await runOthers(credentials);

    const contacts = (await stage.readContacts(echoing)).filter(({ chatId }) => echoed.includes(chatId));
    expect(contacts).toHaveLength(echoed.length);
    expect(new Set(contacts.map(({ status }) => status))).toEqual(new Set(["invalid", "unreachable"]));
    expect(simulator.readLog({ instanceId: echoing }).length).toBeGreaterThan(asked.length);

    expectClean("the output", printed);
    expectClean("the results", await readFile(stage.path("contacts.avatars.csv"), "utf8"));
    const dump = await dumpDatabase(stage.database);
    expect(dump).toContain(scripted[0]);
    expect(dump).toContain("an answer not understood");
    expectClean("the database", dump);
    const redisUrl = stage.env["REDIS_URL"];
    if (redisUrl === undefined) return;
    const queued = await dumpRedis(redisUrl);
    expect(queued).toContain("instance-runs");
    expectClean("Redis", queued);
  });

  test("the key that encrypts it is nowhere either", async () => {
    expect(printed).not.toContain(secretKey);
    expect(await dumpDatabase(stage.database)).not.toContain(secretKey);
  });

  test("a request whose error is kept in the queue keeps no token", async () => {
    const redisUrl = stage.env["REDIS_URL"];
    if (redisUrl === undefined) return;
    const connection = new Redis(redisUrl, { maxRetriesPerRequest: null });
    const queue = new Queue("avatar-requests", { connection });
    await queue.add("wrong", { instanceId: "0", chatIds: "none" });
    const worker = await stage.startWorker();
    await eventually(async () => expect(await queue.getFailedCount()).toBe(1));
    worker.child.kill("SIGTERM");
    keep(await worker.ended);
    await queue.close();
    connection.disconnect();
    expectClean("Redis", await dumpRedis(redisUrl));
    expectClean("the output", printed);
  });
});

test("the password of DATABASE_URL is in no message, whatever fails", async () => {
  const stage = await openStage({ env: { LOG_LEVEL: "trace" } });
  const wrong = new URL(stage.database.url);
  wrong.password = "hunter2-d75b3a66";
  const closed = new URL(wrong);
  closed.port = "1";
  const missing = new URL(stage.database.url);
  missing.pathname = "/nowhere";
  const ownPassword = new URL(stage.database.url).password;
  for (const url of [wrong, closed, missing]) {
    const refusal = await stage.run(["worker"], { env: { DATABASE_URL: url.href } });
    expect(refusal.code).toBe(2);
    expect(refusal.stderr).toContain(`cannot connect to Postgres at ${url.host}${url.pathname}`);
    expect(refusal.stderr).not.toContain("hunter2");
    expect(refusal.stderr).not.toContain(ownPassword);
  }
  const garbled = await stage.run(["worker"], { env: { DATABASE_URL: "hunter2-d75b3a66@db/crm" } });
  expect(garbled.stderr).not.toContain("hunter2");
  await stage.close();
});

/** Fails without showing the text: it is long. */
function expectClean(what: string, text: string): void {
  expect(text.length, `${what} must not be empty`).toBeGreaterThan(0);
  const lower = text.toLowerCase();
  const found = traces.filter((trace) => lower.includes(trace));
  const around = found.map((trace) => text.slice(Math.max(0, lower.indexOf(trace) - 200)).slice(0, 400));
  expect(around, `the token in ${what}`).toEqual([]);
}

/** Every row of every table that is not the server's own, as text. (The pg_dump of a machine is often too old.) */
async function dumpDatabase({ pool }: TestDatabase): Promise<string> {
  const tables = await pool.query<{ name: string }>(
    `select format('%I.%I', n.nspname, c.relname) as name
     from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where c.relkind in ('r', 'p', 'm') and n.nspname not in ('pg_catalog', 'information_schema')`,
  );
  let dump = "";
  for (const { name } of tables.rows) {
    const { rows } = await pool.query<{ row: string }>(`select t::text as row from ${name} t`);
    dump += `${name}\n${rows.map(({ row }) => row).join("\n")}\n`;
  }
  const { rows } = await pool.query<{ query: string }>("select query from pg_stat_activity");
  return dump + rows.map(({ query }) => query).join("\n");
}

/** Every key with all that it holds. */
async function dumpRedis(url: string): Promise<string> {
  const client = new Redis(url);
  let dump = "";
  for (const key of await client.keys("*")) {
    dump += `${key} ${JSON.stringify(await readKey(client, key))}\n`;
  }
  client.disconnect();
  return dump;
}

async function readKey(client: Redis, key: string): Promise<unknown> {
  const type = await client.type(key);
  switch (type) {
    case "string":
      return client.get(key);
    case "hash":
      return client.hgetall(key);
    case "list":
      return client.lrange(key, 0, -1);
    case "set":
      return client.smembers(key);
    case "zset":
      return client.zrange(key, "0", "-1");
    case "stream":
      return client.xrange(key, "-", "+");
    default:
      throw new Error(`a key of the type ${type}`);
  }
}
