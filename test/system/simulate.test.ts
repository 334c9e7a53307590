import { createServer } from "node:net";
import { once } from "node:events";
import { expect, test } from "vitest";
import { runCli, startCli } from "../support/run-cli.ts";
import { findStackLines, printedBy } from "../support/stage.ts";

test("simulate serves GREEN-API on a free port, says how to use it, and ends well on Ctrl-C", async () => {
  const timing = ["--rps", "50", "--latency-ms", "1", "--jitter-ms", "1", "--troubled-share", "0"];
  const run = startCli(["simulate", "--port", "0", "--seed", "5", ...timing]);
  await printedBy(run, "instance add");
  const [url = ""] = /http:\/\/127\.0\.0\.1:\d+/.exec(run.printed()) ?? [];
  expect(run.printed()).toContain(`npx avatars instance add 1101000001 --url ${url} --token anything`);
  const answer = await fetch(`${url}/waInstance1101000001/getAvatar/anything`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ chatId: "79001990001@c.us" }),
  });
  const told = (await answer.json()) as { urlAvatar: string };
  expect(told).toMatchObject({ available: true, urlAvatar: expect.stringContaining(`${url}/v/`) as unknown });
  const picture = await fetch(told.urlAvatar);
  expect([picture.status, picture.headers.get("content-type")]).toEqual([
    200,
    expect.stringMatching(/^image\//),
  ]);
  const state = await fetch(`${url}/waInstance1101000001/getStateInstance/anything`);
  expect(await state.json()).toEqual({ stateInstance: "authorized" });
  run.child.kill("SIGINT");
  expect(await run.ended).toMatchObject({ code: 0, signal: null, stderr: "" });
});

test("simulate refuses a share that is none", async () => {
  const refused = await runCli(["simulate", "--port", "0", "--troubled-share", "1.5"]);
  expect(refused).toMatchObject({ code: 2, stdout: "" });
  expect(refused.stderr).toContain("Expected a number from 0 to 1.");
});

/** Starts it and asks for one chat that has a picture. */
async function askOnce(...args: string[]) {
  const run = startCli(["simulate", "--port", "0", "--latency-ms", "1", ...args]);
  await printedBy(run, "instance add");
  const [url = ""] = /http:\/\/127\.0\.0\.1:\d+/.exec(run.printed()) ?? [];
  const body = JSON.stringify({ chatId: "79001990001@c.us" });
  const answer = await fetch(`${url}/waInstance1101000001/getAvatar/anything`, { method: "POST", body });
  return { run, told: (await answer.json()) as { urlAvatar: string } };
}

test("simulate gives pictures the faults that it is told, or URLs of WhatsApp or another simulator", async () => {
  const faulty = await askOnce("--picture-faults", "gone-410=1,slow=0");
  expect((await fetch(faulty.told.urlAvatar)).status).toBe(410);
  const without = await askOnce("--no-pictures");
  expect(without.told.urlAvatar).toMatch(/^https:\/\/pps\.whatsapp\.net\//);
  const elsewhere = await askOnce("--pictures-at", "http://127.0.0.1:9/");
  expect(elsewhere.told.urlAvatar).toMatch(/^http:\/\/127\.0\.0\.1:9\/v\//);
  for (const { run } of [faulty, without, elsewhere]) {
    run.child.kill("SIGINT");
    expect(await run.ended).toMatchObject({ code: 0, stderr: "" });
  }
});

test.each([
  ["nonsense=0.1", 'unknown outcome of a picture "nonsense"'],
  ["gone-410=0.6,slow=0.6", "add up to 1.2"],
  ["gone-410=2", "Expected a number from 0 to 1."],
  ["gone-410", "Expected a number from 0 to 1."],
])("simulate refuses %j as faults of pictures", async (faults, why) => {
  const refused = await runCli(["simulate", "--port", "0", "--picture-faults", faults]);
  expect(refused).toMatchObject({ code: 2, stdout: "" });
  expect(refused.stderr).toContain(why);
});

test("simulate on a port in use says so in one line, and exits with 2", async () => {
  const taken = createServer();
  taken.listen(0, "127.0.0.1");
  await once(taken, "listening");
  const { port } = taken.address() as { port: number };
  const refused = await runCli(["simulate", "--port", String(port)]);
  taken.close();
  expect(refused).toMatchObject({ code: 2, stdout: "" });
  expect(refused.stderr).toBe(
    `avatars: cannot listen on 127.0.0.1:${port} (EADDRINUSE): choose another --port, or 0 for a free one\n`,
  );
  expect(findStackLines(refused.stderr)).toEqual([]);
});

test.each([
  ["no command", []],
  ["--help", ["--help"]],
  ["enrich --help", ["enrich", "--help"]],
  ["import --help", ["import", "--help"]],
  ["worker --help", ["worker", "--help"]],
  ["migrate --help", ["migrate", "--help"]],
  ["simulate --help", ["simulate", "--help"]],
  ["status --help", ["status", "--help"]],
  ["export --help", ["export", "--help"]],
  ["instance add --help", ["instance", "add", "--help"]],
])("%s shows examples", async (_what, args) => {
  const help = await runCli(args);
  expect(help.stdout + help.stderr).toMatch(/Examples:\n {2}(?:npx avatars|zcat|batch=|DATABASE_URL)/);
});
