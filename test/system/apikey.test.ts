import { userInfo } from "node:os";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { callApi } from "../support/api-call.ts";
import { eventually } from "../support/eventually.ts";
import { readApiUrl } from "../support/read-api-url.ts";
import { startCli, type CliRun } from "../support/run-cli.ts";
import { findStackLines, openStage, printedBy, type Stage } from "../support/stage.ts";

const tokenPattern = /^avk_[0-9a-z]{12}\.[\w-]{43}$/;
const idOf = (token: string) => token.slice(4, 16);
const secretOf = (token: string) => token.slice(17);

async function stop(run: CliRun) {
  run.child.kill("SIGTERM");
  return run.ended;
}

describe("keys of the API", () => {
  let stage: Stage;
  let server: CliRun;
  let url: string;

  beforeAll(async () => {
    stage = await openStage();
    await stage.addInstance("1101000001");
    await stage.addInstance("1101000002");
    server = stage.start(["serve"], { env: { PORT: "0" } });
    url = await readApiUrl(server);
  });

  afterAll(() => stage.close());

  const create = (...args: string[]) => stage.run(["apikey", "create", ...args]);
  const list = async () =>
    JSON.parse((await stage.run(["apikey", "list", "--json"])).stdout) as Record<string, unknown>[];

  test("are printed once, alone on standard output, and stored as a hash only", async () => {
    const created = await create("--scope", "enqueue,read", "--label", "crm");
    expect(created.code).toBe(0);
    const token = created.stdout.replace(/\n$/, "");
    expect(token).toMatch(tokenPattern);
    expect(created.stderr).toBe(
      `this key is shown once; if it is lost: npx avatars apikey revoke ${idOf(token)}, and make another\n`,
    );
    const { rows } = await stage.database.pool.query<{ row: string }>(
      "select k::text || encode(k.secret_hmac, 'escape') || encode(k.secret_hmac, 'base64') as row from avatars.api_keys k",
    );
    const lists = [await stage.run(["apikey", "list"]), await stage.run(["apikey", "list", "--json"])];
    for (const text of [...rows.map(({ row }) => row), ...lists.map(({ stdout }) => stdout)]) {
      expect(text).toContain(idOf(token));
      expect(text).not.toContain(secretOf(token));
    }
    expect(lists[0]?.stdout).toMatch(
      new RegExp(`^${idOf(token)} +active +enqueue,read +all +\\S+Z +never +never +crm$`, "m"),
    );
  });

  test("open what their scopes and instances say, and are seen to be used", async () => {
    const created = await create("--scope", "read", "--instance", "1101000002", "--json");
    const key = JSON.parse(created.stdout) as { token: string; id: string };
    expect(key).toMatchObject({ state: "active", scopes: ["read"], instanceIds: ["1101000002"] });
    const listed = await callApi(url, "/v1/instances", { key: key.token });
    expect(listed.status).toBe(200);
    expect((listed.json() as { items: { id: string }[] }).items.map(({ id }) => id)).toEqual(["1101000002"]);
    expect((await callApi(url, "/v1/instances/1101000001", { key: key.token })).status).toBe(404);
    const pause = { method: "POST", key: key.token };
    expect((await callApi(url, "/v1/instances/1101000002/pause", pause)).status).toBe(403);
    await eventually(async () => {
      const { lastUsedAt } = (await list()).find(({ id }) => id === key.id) ?? {};
      expect(Date.now() - Date.parse(String(lastUsedAt))).toBeLessThan(60_000);
    });
  });

  test("are in the audit log from when they are made until they are revoked", async () => {
    const key = JSON.parse((await create("--scope", "read", "--label", "night", "--json")).stdout) as {
      id: string;
    };
    await stage.run(["apikey", "revoke", key.id]);
    const shown = await stage.run(["audit", "--subject", key.id]);
    const by = `command line: ${userInfo().username}`;
    expect(shown.stdout.replaceAll(/ {2,}/g, "  ").split("\n").slice(2)).toEqual([
      expect.stringMatching(new RegExp(`Z  ${by}  key.revoked  ${key.id}  label "night"$`)),
      expect.stringMatching(
        new RegExp(`Z  ${by}  key.created  ${key.id}  label "night", scopes \\["read"\\]$`),
      ),
      "",
    ]);
    expect((await stage.run(["audit", "--action", "paused"])).code).toBe(2);
  });

  test("open nothing after they have been revoked, or have expired", async () => {
    const made = await Promise.all([
      create("--scope", "read"),
      create("--scope", "read", "--expires", "1ms"),
    ]);
    const [revoked = "", expired = ""] = made.map(({ stdout }) => stdout.trim());
    expect((await callApi(url, "/v1/instances", { key: revoked })).status).toBe(200);
    expect((await callApi(url, "/v1/instances", { key: expired })).status).toBe(401);
    // A finder of a key has all of it.
    const done = await stage.run(["apikey", "revoke", revoked]);
    expect(done).toMatchObject({ code: 0, stderr: "" });
    expect(done.stdout).toBe(`key ${idOf(revoked)} revoked: within 5 seconds it opens nothing\n`);
    expect(await stage.run(["apikey", "revoke", idOf(revoked)])).toMatchObject({ code: 0 });
    await eventually(async () =>
      expect((await callApi(url, "/v1/instances", { key: revoked })).status).toBe(401),
    );
    const states = Object.fromEntries((await list()).map(({ id, state }) => [id, state]));
    expect(states).toMatchObject({ [idOf(revoked)]: "revoked", [idOf(expired)]: "expired" });
  });

  test("are refused in one line that says why", async () => {
    const before = await list();
    const wrong: [string[], string, Record<string, string>?][] = [
      [["create"], "required option '--scope <list>'"],
      [["create", "--scope", "read,write"], "Expected any of enqueue, read, admin, webhooks, audit, keys."],
      [["create", "--scope", "read", "--expires", "0"], "Expected more than 0."],
      [["create", "--scope", "read", "--instance", "1101000001", "1101000009"], "no instance 1101000009"],
      [["create", "--scope", "read"], "AVATARS_SECRET_KEY must be set", { AVATARS_SECRET_KEY: "" }],
      [["revoke", "000000000000"], "there is no key with this id: see npx avatars apikey list"],
    ];
    const ends = wrong.map(async ([args, message, env = {}]) => {
      const { code, stdout, stderr } = await stage.run(["apikey", ...args], { env });
      expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
      expect(stderr).toContain(message);
      expect(stderr.trim().split("\n")).toHaveLength(1);
    });
    await Promise.all(ends);
    expect(await list()).toEqual(before);
  });

  test("are nowhere in the log of the server", async () => {
    const { stdout, stderr, code } = await stop(server);
    expect({ stdout, code }).toEqual({ stdout: "", code: 0 });
    expect(stderr).toContain('"msg":"api answered"');
    expect(stderr).not.toMatch(/avk_|Bearer/);
    expect(findStackLines(stderr)).toEqual([]);
  });
});

describe("on a fresh machine avatars up", () => {
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "contact-avatars-up-"));
  });

  afterAll(() => rm(folder, { recursive: true, force: true }));

  const start = () => startCli(["up"], { cwd: folder, env: { PORT: "0" } });

  test("prints a key at its first start and never again, and the key opens everything", async () => {
    const first = start();
    await printedBy(first, "/docs");
    const url = await readApiUrl(first);
    const [token = ""] = /avk_\S+/.exec(first.printed()) ?? [];
    expect(token).toMatch(tokenPattern);
    const firstEnd = await stop(first);
    expect(firstEnd.code).toBe(0);
    expect(firstEnd.stdout.split(token)).toHaveLength(2);
    expect(firstEnd.stdout).toContain("it is not shown again");
    expect(firstEnd.stdout).toContain(`curl --header "Authorization: Bearer $KEY" ${url}/v1/instances\n`);
    expect(firstEnd.stderr).not.toContain("avk_");

    const second = start();
    await printedBy(second, "worker started");
    const add = {
      method: "POST",
      key: token,
      json: { id: "1101000001", apiUrl: "https://7103.api.greenapi.com", token: "anything" },
    };
    const secondUrl = await readApiUrl(second);
    expect((await callApi(secondUrl, "/v1/instances", add)).status).toBe(201);
    expect((await callApi(secondUrl, "/v1/instances", { key: token })).status).toBe(200);
    const secondEnd = await stop(second);
    expect(secondEnd.code).toBe(0);
    // Nothing but a link that logs in to the console.
    expect(secondEnd.stdout).toMatch(/^Open the console; .*\n {2}http:\/\/\S+#login=\S+\n$/);
    expect(secondEnd.stdout).not.toContain("avk_");
  });
});
