import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { openStage, type Stage } from "../support/stage.ts";

let stage: Stage;

beforeAll(async () => {
  stage = await openStage({ pictures: true, pictureLatencyMs: 0 });
});
afterAll(async () => stage.close());

const id = "1101000001";
const chats = Array.from({ length: 60 }, (_, at) => `${79_000_000_000 + at}@c.us`);

interface Shown {
  readonly chat_id: string;
  readonly status: string;
  readonly image_sha256: string | null;
}

async function readShown(): Promise<Shown[]> {
  const { rows } = await stage.database.pool.query<Shown>(
    "select chat_id, status, image_sha256 from avatars.current where instance_id = $1 order by chat_id",
    [id],
  );
  return rows;
}

/** What the simulated world has for each contact that shows a picture. */
function toTruth(shown: readonly Shown[]) {
  return shown.map(({ chat_id: chatId, status }) =>
    status === "present" ? stage.simulator.picture(id, chatId)?.sha256 : null,
  );
}

describe("a worker that keeps images", () => {
  test("takes the image of every present contact, and stores its bytes by their hash", async () => {
    const { host } = new URL(stage.simulator.url);
    await stage.addInstance(id);
    await stage.acceptChats(id, chats);
    await stage.startWorker({ AVATARS_IMAGES: stage.path("images"), AVATARS_IMAGE_HOSTS: host });
    const shown = await eventually(async () => {
      const rows = await readShown();
      expect(rows.every(({ status }) => status !== "unknown")).toBe(true);
      expect(rows.map(({ image_sha256: hash }) => hash)).toEqual(toTruth(rows));
      return rows;
    });
    const hashes = shown.flatMap(({ image_sha256: hash }) => (hash === null ? [] : [hash]));
    expect(hashes.length).toBeGreaterThan(20);
    for (const hash of hashes) {
      const bytes = await readFile(stage.path(`images/${hash.slice(0, 2)}/${hash.slice(2, 4)}/${hash}`));
      expect(createHash("sha256").update(bytes).digest("hex")).toBe(hash);
    }
  });
});
