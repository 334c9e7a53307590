import { Webhook } from "standardwebhooks";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openStage, type Stage } from "../support/stage.ts";
import { openReceiver, type Receiver } from "../support/webhook-receiver.ts";

let stage: Stage;
let receiver: Receiver;

beforeAll(async () => {
  stage = await openStage({ env: { AVATARS_WEBHOOK_NETWORKS: "127.0.0.0/8" } });
  receiver = await openReceiver();
});
afterAll(async () => {
  await receiver.close();
  await stage.close();
});

const run = async (...args: string[]) => stage.run(["webhook", ...args]);

test("a person adds an endpoint, tries it, sees its tries, turns it off and on, and removes it", async () => {
  const refused = await stage.run(["webhook", "add", "http://10.0.0.7/hook"]);
  expect(refused).toMatchObject({ code: 2, stdout: "" });
  expect(refused.stderr).toContain("AVATARS_WEBHOOK_NETWORKS");

  const added = await run("add", receiver.url, "--label", "crm", "--ordered");
  expect(added).toMatchObject({ code: 0, stdout: expect.stringMatching(/^whsec_[\w+/]{43}=\n$/) });
  const [, id = ""] = /webhook ([0-9a-z]{12}):/.exec(added.stderr) ?? [];

  expect(await run("test", id)).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^webhook\.test taken \(answered 204 after \d+ ms\)\n$/),
  });
  const { body, headers } = receiver.received[0]!;
  expect(new Webhook(added.stdout.trim()).verify(body, headers)).toMatchObject({ data: { endpointId: id } });

  receiver.answer((_, response) => {
    response.writeHead(500).end("Bearer of-a-secret was wrong");
    return 500;
  });
  const failed = await run("test", id);
  expect(failed).toMatchObject({
    code: 1,
    stdout: expect.stringContaining("not taken: refused (answered 500"),
  });
  expect(failed.stdout).toContain("answer: ••• was wrong");
  expect((await run("deliveries", id, "--failed")).stdout).toMatch(/webhook\.test .* test .* 500 .* refused/);

  expect((await run("disable", id)).code).toBe(0);
  const unasked = await run("enable", id);
  expect(unasked).toMatchObject({ code: 2, stderr: expect.stringContaining("--from stopped") });
  expect((await run("list")).stdout).toMatch(
    new RegExp(`^${id} +disabled .*${receiver.url} +all +crm$`, "m"),
  );
  expect(await run("enable", id, "--from", "now")).toMatchObject({ code: 0 });
  expect(await run("set", id, "--types", "avatar.changed", "--no-ordered", "--label", "")).toMatchObject({
    code: 0,
  });
  expect(JSON.parse((await run("list", "--json")).stdout)).toMatchObject([
    { id, state: "active", types: ["avatar.changed"], isOrdered: false },
  ]);
  expect((await run("rotate", id)).stdout).toMatch(/^whsec_/);
  expect(await run("remove", id)).toMatchObject({ code: 0, stdout: `webhook ${id} removed\n` });
  expect(await run("test", id)).toMatchObject({
    code: 2,
    stderr: expect.stringContaining("there is no webhook"),
  });
});
