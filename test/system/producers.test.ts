import { gzipSync } from "node:zlib";
import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { listBackends } from "../support/backends.ts";
import { eventually } from "../support/eventually.ts";
import { openQueueClient } from "../support/queue-client.ts";
import type { CliRun } from "../support/run-cli.ts";
import {
  makeChats,
  openStage,
  parseCsv,
  readCsv,
  toAnswers,
  toTruths,
  type Stage,
} from "../support/stage.ts";

const instanceId = "1101000001";
const otherInstanceId = "1101000002";
/** Refs that a spreadsheet would run, or that CSV and COPY have to escape. */
const trickyRefs = [
  '=HYPERLINK("http://evil")',
  "+1",
  "-1",
  "@sum",
  'a "b", c',
  "back\\slash",
  String.raw`\N`,
  "Łódź 漢字",
];

describe.each(listBackends())("producers with the queue in $name", (backend) => {
  let stage: Stage;
  let worker: CliRun;

  beforeAll(async () => {
    stage = await openStage({ backend });
    await stage.addInstance(instanceId);
    await stage.addInstance(otherInstanceId);
    worker = await stage.startWorker();
  });

  afterAll(async () => {
    worker.child.kill("SIGTERM");
    expect(await worker.ended).toMatchObject({ code: 0 });
    await stage.close();
  });

  async function expectAnswered(chats: readonly string[], id = instanceId): Promise<void> {
    const wanted = new Set(chats);
    await eventually(async () => {
      const contacts = (await stage.readContacts(id)).filter(({ chatId }) => wanted.has(chatId));
      expect(toAnswers(contacts).toSorted(byChat)).toEqual(
        toTruths(stage.simulator, id, chats).toSorted(byChat),
      );
    });
  }

  test("a CRM's SQL enqueues inside its own transaction: committed it is answered, rolled back it never was", async () => {
    const [kept, dropped] = [makeChats(20, 1_000), makeChats(20, 2_000)];
    const client = await stage.database.pool.connect();
    const enqueue = "select avatars.enqueue($1, $2, external_refs => $3) as id";
    await client.query("begin");
    await client.query(enqueue, [instanceId, dropped, null]);
    await client.query("rollback");
    await client.query("begin");
    const { rows } = await client.query<{ id: string }>(enqueue, [
      instanceId,
      kept,
      kept.map((_, i) => `crm-${i}`),
    ]);
    await client.query("commit");
    client.release();
    await expectAnswered(kept);
    const out = await stage.run(["export", "--out", "-", "--batch", rows[0]?.id ?? ""]);
    expect(parseCsv(out.stdout).map((row) => [row["chat_id"], row["external_ref"]])).toEqual(
      kept.map((chatId, index) => [chatId, `crm-${index}`]),
    );
    expect(stage.simulator.readLog({ chatId: dropped[0]! })).toEqual([]);
  });

  test("a BullMQ client adds requests to avatar-requests, and is told what became of them", async () => {
    const { queue, close } = openQueueClient(stage.env, "avatar-requests");
    const chats = makeChats(30, 3_000);
    const job = await queue.add("any name", {
      instanceId,
      chatIds: [...chats, "not a chat", chats[0]],
      priority: 0,
      externalRef: "from the queue",
    });
    await expectAnswered(chats);
    await eventually(async () => expect(await job.getState()).toBe("completed"));
    const done = await queue.getJob(job.id ?? "");
    expect(done?.returnvalue).toMatchObject({
      accepted: 30,
      duplicates: 1,
      rejected: [{ index: 30 }],
    });
    const contacts = await stage.readContacts(instanceId);
    const found = contacts.find(({ chatId }) => chatId === chats[0]);
    expect(found).toMatchObject({ externalRef: "from the queue" });

    const wrong = await queue.add("wrong", { instanceId, chatIds: "all of them" });
    const unknown = await queue.add("unknown instance", { instanceId: "99", chatIds: chats });
    await eventually(async () => {
      expect(await wrong.getState()).toBe("failed");
      expect(await unknown.getState()).toBe("failed");
    });
    expect((await queue.getJob(unknown.id ?? ""))?.failedReason).toContain("there is no instance 99");
    await close();
  });

  test("import prints the batch's id alone, and export --batch has its contacts in the file's order", async () => {
    const chats = makeChats(30, 4_000).toReversed();
    const stdin = `chat_id\n${chats.join("\n")}\n${chats[3]}\n`;
    const imported = await stage.run(["import", "-", "--instance", instanceId], { stdin });
    expect(imported).toMatchObject({ code: 0 });
    expect(imported.stdout).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\n$/);
    expect(imported.stderr).toContain("30 contacts enqueued");
    await expectAnswered(chats);
    const exported = await stage.run(["export", "--out", "-", "--batch", imported.stdout.trim()]);
    expect(exported).toMatchObject({ code: 0, stderr: "" });
    expect(parseCsv(exported.stdout).map((row) => row["chat_id"])).toEqual(chats);
  });

  test("import --json tells the batch, also of NDJSON in gzip on standard input", async () => {
    const chats = makeChats(25, 5_000);
    const ndjson = chats
      .map((chatId, index) => JSON.stringify({ chatId, external_ref: `n-${index}` }))
      .join("\n");
    const args = ["import", "-", "--instance", instanceId, "--json"];
    const imported = await stage.run(args, { stdin: gzipSync(ndjson) });
    expect(imported).toMatchObject({ code: 0 });
    expect(JSON.parse(imported.stdout)).toMatchObject({
      batchId: expect.stringMatching(/^[0-9a-f-]{36}$/) as unknown,
      instanceId,
      accepted: 25,
      rejected: 0,
      intakeComplete: true,
    });
    await expectAnswered(chats);
  });

  test("enrich --json on a gzipped file tells the counts by outcome", async () => {
    const chats = makeChats(25, 6_000);
    await stage.write("list.txt.gz", gzipSync(chats.join("\n")));
    const enriched = await stage.run(["enrich", "list.txt.gz", "--instance", instanceId, "--json"]);
    expect(enriched.code).toBe(0);
    const summary = JSON.parse(enriched.stdout) as {
      end: unknown;
      batch: { finished: Record<string, number> };
    };
    expect(summary).toMatchObject({ end: { kind: "done" }, batch: { accepted: 25, pending: 0 } });
    const truths = toTruths(stage.simulator, instanceId, chats);
    const present = truths.filter(({ status }) => status === "present").length;
    expect(summary.batch.finished["present"]).toBe(present);
    expect(await readCsv(stage.path("list.avatars.csv"))).toHaveLength(25);
  });

  test("with several instances --instance says which one, and without it nothing is taken in", async () => {
    const chats = makeChats(5, 7_000);
    const stdin = chats.join("\n");
    const refused = await stage.run(["import", "-"], { stdin });
    expect(refused).toMatchObject({ code: 2, stdout: "" });
    expect(refused.stderr).toBe(
      `avatars: there are 2 instances: say which one with --instance, e.g. --instance ${instanceId}\n`,
    );
    expect(await stage.run(["import", "-", "--instance", otherInstanceId], { stdin })).toMatchObject({
      code: 0,
    });
    await expectAnswered(chats, otherInstanceId);
    const exported = await stage.run(["export", "--out", "-", "--instance", otherInstanceId]);
    expect(parseCsv(exported.stdout).map((row) => row["chat_id"])).toEqual(chats);
  });

  test("an external ref comes back in the results as it went in, and no cell is a formula", async () => {
    const chats = makeChats(trickyRefs.length, 8_000);
    const lines = chats.map((chatId, index) => `${chatId},${quote(trickyRefs[index]!)}`);
    const file = await stage.write("refs.csv", ["chat_id,our id", ...lines, ""].join("\n"));
    const enrich = ["enrich", file, "--instance", instanceId, "--ref-column", "our id"];
    expect(await stage.run([...enrich, "--out", "refs.ndjson"])).toMatchObject({ code: 0 });
    const rows = (await readFile(stage.path("refs.ndjson"), "utf8")).trim().split("\n");
    const parsed = rows.map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(parsed.map((row) => row["external_ref"])).toEqual(trickyRefs);
    expect(Object.keys(parsed[0] ?? {})).toEqual([
      "instance_id",
      "chat_id",
      "external_ref",
      "status",
      "avatar_url",
      "url_expires_at",
      "checked_at",
      "attempts",
      "last_error",
      "image_url",
      "image_sha256",
      "image_width",
      "image_height",
      "image_at",
      "image_old",
      "position",
    ]);

    expect(await stage.run([...enrich, "--out", "refs.out.csv"])).toMatchObject({ code: 0 });
    const cells = (await readCsv(stage.path("refs.out.csv"))).map((row) => row["external_ref"] ?? "");
    expect(cells.map((cell) => cell.replace(/^'/, ""))).toEqual(trickyRefs);
    expect(cells.filter((cell) => /^[=+\-@\t\r]/.test(cell))).toEqual([]);
  });

  test("export --status has only these contacts", async () => {
    const exported = await stage.run(["export", "--out", "some.csv", "--status", "absent, hidden"]);
    expect(exported).toMatchObject({ code: 0, stdout: "" });
    const rows = await readCsv(stage.path("some.csv"));
    expect(new Set(rows.map((row) => row["status"]))).toEqual(new Set(["absent", "hidden"]));
    const contacts = [
      ...(await stage.readContacts(instanceId)),
      ...(await stage.readContacts(otherInstanceId)),
    ];
    expect(rows).toHaveLength(contacts.filter(({ status }) => ["absent", "hidden"].includes(status)).length);
  });
});

function quote(text: string): string {
  return `"${text.replaceAll('"', '""')}"`;
}

function byChat(a: { chatId: string }, b: { chatId: string }): number {
  return a.chatId.localeCompare(b.chatId);
}
