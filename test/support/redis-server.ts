import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import { eventually } from "./eventually.ts";

export interface TestRedis {
  readonly url: string;
  /** Where it comes from, for the report. */
  readonly source: "TEST_REDIS_URL" | "redis-server" | "testcontainers";
  close(): Promise<void>;
}

/** A Redis for tests: TEST_REDIS_URL, else a server of our own, else a container; undefined where none is to be had. */
export async function openRedis(): Promise<TestRedis | undefined> {
  const given = process.env["TEST_REDIS_URL"];
  if (given) return { url: given, source: "TEST_REDIS_URL", close: async () => undefined };
  return (await startLocalRedis()) ?? (await startContainer());
}

/**
 * A redis-server that keeps nothing, on a free port unless told; undefined where there is no such program. Its
 * close is a SIGKILL.
 */
export async function startLocalRedis(givenPort?: number): Promise<TestRedis | undefined> {
  const port = givenPort ?? (await findFreePort());
  const folder = await mkdtemp(join(tmpdir(), "contact-avatars-redis-"));
  const args = [
    "--port",
    String(port),
    "--bind",
    "127.0.0.1",
    "--save",
    "",
    "--appendonly",
    "no",
    "--dir",
    folder,
  ];
  const child = spawn("redis-server", [...args, "--maxmemory-policy", "noeviction"], { stdio: "ignore" });
  const failed = once(child, "error").then(() => true);
  const url = `redis://127.0.0.1:${port}`;
  const close = async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill("SIGKILL");
      await once(child, "exit");
    }
    await rm(folder, { recursive: true, force: true });
  };
  const answers = eventually(async () => {
    const client = new Redis(url, { lazyConnect: true, retryStrategy: () => null });
    client.on("error", () => undefined);
    try {
      await client.connect();
      await client.ping();
    } finally {
      client.disconnect();
    }
  }).then(() => false);
  if (await Promise.race([failed, answers])) {
    await rm(folder, { recursive: true, force: true });
    return undefined;
  }
  return { url, source: "redis-server", close };
}

async function startContainer(): Promise<TestRedis | undefined> {
  try {
    const { GenericContainer } = await import("testcontainers");
    const container = await new GenericContainer("redis:7-alpine").withExposedPorts(6379).start();
    const url = `redis://${container.getHost()}:${container.getMappedPort(6379)}`;
    return { url, source: "testcontainers", close: async () => void (await container.stop()) };
  } catch {
    // No container runtime.
    return undefined;
  }
}

async function findFreePort(): Promise<number> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}
