import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { runInThisContext } from "node:vm";
import { transformSync } from "esbuild";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createWebhookSecret, signWebhook } from "../../src/lib/secrets/webhook-secret.ts";
import { parseNetworks } from "../../src/lib/addresses/networks.ts";
import { createWebhookSender } from "../../src/webhooks/create-sender.ts";
import { eventually } from "../support/eventually.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
/** Below node_modules, so that the receiver finds its library. */
const folder = path.join(root, "node_modules", ".cache", `receivers-${process.pid}`);
const secret = createWebhookSecret();
const networks = parseNetworks("127.0.0.0/8");
const sender = createWebhookSender({ networks: networks.ok ? networks.value : undefined, userAgent: "test" });
const running: ChildProcess[] = [];

beforeAll(() => mkdir(folder, { recursive: true }));
afterAll(async () => {
  for (const child of running) child.kill("SIGKILL");
  await sender.close();
  await rm(folder, { recursive: true, force: true });
});

/** The receiver in a language, as the documentation has it. */
async function readReceiver(language: string): Promise<string> {
  const document = await readFile(path.join(root, "docs/webhooks.md"), "utf8");
  const [, code] = new RegExp(`\`\`\`${language}\n([^]*?)\`\`\``).exec(document) ?? [];
  if (code === undefined) throw new Error(`no receiver in ${language}`);
  return code;
}

async function findPort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => {
    server.once("listening", resolve);
  });
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => {
    server.close(resolve);
  });
  return port;
}

const languages = [
  {
    language: "ts",
    file: "receiver.mjs",
    toCode: (code: string) => transformSync(code, { loader: "ts" }).code,
    toCommand: (file: string) => [process.execPath, file],
  },
  {
    language: "python",
    file: "receiver.py",
    toCode: (code: string) => code,
    toCommand: (file: string) => ["python3", file],
  },
  {
    language: "php",
    file: "receiver.php",
    toCode: (code: string) => code,
    toCommand: (file: string, port: number) => ["php", "-S", `127.0.0.1:${port}`, file],
  },
] as const;

function isThere(command: string): boolean {
  return spawnSync(command, ["--version"]).status === 0;
}

describe("a receiver of the documentation", () => {
  for (const { language, file, toCode, toCommand } of languages) {
    const [command = ""] = toCommand("", 0);
    test.skipIf(!isThere(command))(`in ${language} takes what is signed, and nothing else`, async () => {
      const port = await findPort();
      const code = await readReceiver(language);
      expect(code.trim().split("\n").length).toBeLessThanOrEqual(18);
      await writeFile(path.join(folder, file), toCode(code));
      const [program = "", ...args] = toCommand(path.join(folder, file), port);
      const child = spawn(program, args, {
        env: { PATH: process.env["PATH"], WEBHOOK_SECRET: secret, PORT: String(port) },
      });
      running.push(child);
      let output = "";
      for (const stream of [child.stdout, child.stderr])
        stream.on("data", (piece) => (output += String(piece)));
      const url = `http://127.0.0.1:${port}/`;
      const send = (secrets: readonly string[], changeId?: number) =>
        sender.send({
          url,
          secrets,
          id: "msg_1",
          body: JSON.stringify(
            changeId === undefined
              ? { type: "webhook.test", data: { word: "schön" } }
              : { type: "avatar.changed", data: { changeId, contactId: `${port}`, version: `v${changeId}` } },
          ),
          personal: [],
        });
      await eventually(async () => expect(await send([secret])).toMatchObject({ status: 204 }));
      await eventually(() => expect(output).toContain("webhook.test"));
      expect(await send([createWebhookSecret(), secret])).toMatchObject({ status: 204 });
      expect(await send([createWebhookSecret()])).toMatchObject({ status: 401 });
      // What is older, or comes twice, is taken and ignored.
      for (const changeId of [5, 4, 5, 6])
        expect(await send([secret], changeId)).toMatchObject({ status: 204 });
      await eventually(() => expect(output).toContain("v6"));
      expect(output.match(/v\d/g)).toEqual(["v5", "v6"]);
      const anHourAgoS = Math.floor(Date.now() / 1000) - 3_600;
      const body = '{"type":"webhook.test","data":{}}';
      const headers = {
        "webhook-id": "msg_2",
        "webhook-timestamp": String(anHourAgoS),
        "webhook-signature": signWebhook([secret], "msg_2", anHourAgoS, body),
      };
      expect((await fetch(url, { method: "POST", body, headers })).status).toBe(401);
      expect((await fetch(url, { method: "POST", body })).status).toBe(401);
    });
  }
});

test("the Code node of n8n lets pass what is signed, and nothing else", async () => {
  const code = (await readReceiver("js")).replace("whsec_…", secret);
  const body = Buffer.from('{"type":"webhook.test","data":{"word":"schön"}}');
  const nowS = Math.floor(Date.now() / 1000);
  const run = async (sentAtS: number, secrets: readonly string[]) => {
    const headers = {
      "webhook-id": "msg_1",
      "webhook-timestamp": String(sentAtS),
      "webhook-signature": signWebhook(secrets, "msg_1", sentAtS, body.toString()),
    };
    const node = `(async function (require, $input) {${code}})`;
    const ask = runInThisContext(node) as (...given: unknown[]) => Promise<unknown[]>;
    const helpers = { getBinaryDataBuffer: async () => body };
    return ask.call({ helpers }, createRequire(import.meta.url), { first: () => ({ json: { headers } }) });
  };
  expect(await run(nowS, [createWebhookSecret(), secret])).toEqual([{ json: JSON.parse(body.toString()) }]);
  expect(await run(nowS, [createWebhookSecret()])).toEqual([]);
  expect(await run(nowS - 3_600, [secret])).toEqual([]);
});
