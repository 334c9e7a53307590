import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { S3Setting } from "../../src/images/blobs/parse-images-setting.ts";

export interface S3Server {
  /** Leads to its only bucket. */
  readonly setting: S3Setting;
  /** By SIGKILL; may be called twice. */
  stop(): Promise<void>;
}

/** The server's own: it knows no other account. */
export const s3Credentials = { accessKeyId: "S3RVER", secretAccessKey: "S3RVER", sessionToken: undefined };

/** Starts an S3 server of another maker as a process of its own, on a free port, with an empty bucket. */
export async function startS3Server(): Promise<S3Server> {
  const folder = await mkdtemp(join(tmpdir(), "contact-avatars-s3-"));
  const bucket = "faces";
  const script = fileURLToPath(new URL("s3-process.js", import.meta.url));
  // It makes the tokens of its listings with a cipher of old.
  const args = ["--openssl-legacy-provider", script, folder, bucket];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  const [port] = (await Promise.race([
    once(createInterface(child.stdout), "line"),
    once(child, "exit").then(() => Promise.reject(new Error("the S3 server did not start"))),
  ])) as [string];
  return {
    setting: {
      kind: "s3",
      bucket,
      prefix: "crm/images",
      endpoint: `http://127.0.0.1:${port}`,
      region: "us-east-1",
      credentials: s3Credentials,
      pathStyle: true,
    },
    async stop() {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill("SIGKILL");
        await once(child, "exit");
      }
      await rm(folder, { recursive: true, force: true });
    },
  };
}
