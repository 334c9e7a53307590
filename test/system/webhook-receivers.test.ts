import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createWebhookSecret } from "../../src/lib/secrets/webhook-secret.ts";
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
  // Types are all that plain JavaScript does not know of it.
  {
    language: "ts",
    file: "receiver.mjs",
    toCode: (code: string) => code.replace(" as Record<string, string>", ""),
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
      expect(code.trim().split("\n").length).toBeLessThanOrEqual(15);
      await writeFile(path.join(folder, file), toCode(code));
      const [program = "", ...args] = toCommand(path.join(folder, file), port);
      const child = spawn(program, args, {
        env: { PATH: process.env["PATH"], WEBHOOK_SECRET: secret, PORT: String(port) },
      });
      running.push(child);
      let output = "";
      for (const stream of [child.stdout, child.stderr])
        stream.on("data", (piece) => (output += String(piece)));
      const send = (secrets: readonly string[]) =>
        sender.send({
          url: `http://127.0.0.1:${port}/`,
          secrets,
          id: "msg_1",
          body: JSON.stringify({ type: "webhook.test", data: { word: "schön" } }),
          personal: [],
        });
      await eventually(async () => expect(await send([secret])).toMatchObject({ status: 204 }));
      await eventually(() => expect(output).toContain("webhook.test"));
      expect(await send([createWebhookSecret(), secret])).toMatchObject({ status: 204 });
      expect(await send([createWebhookSecret()])).toMatchObject({ status: 401 });
    });
  }
});
