import { createHash } from "node:crypto";
import { rm } from "node:fs/promises";
import path from "node:path";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openApiStage, type ApiStage } from "../support/api-stage.ts";
import { eventually } from "../support/eventually.ts";
import { openOutsider } from "../support/outsider.ts";

const instanceId = "1101000001";
const present = "79005550001@c.us";
const absent = "79005550002@c.us";
const erased = "79005550003@c.us";
const lost = "79005550004@c.us";
const safeHeaders = {
  "x-content-type-options": "nosniff",
  "content-security-policy": "default-src 'none'; sandbox",
  "cross-origin-resource-policy": "cross-origin",
  "referrer-policy": "no-referrer",
  "x-robots-tag": "noindex",
};

let stage: ApiStage;
let folder: string;
/** Of the contacts, by chat id. */
const addresses = new Map<string, string>();

interface Contact {
  readonly imageUrl: string | null;
  readonly imageSha256: string | null;
  readonly imageWidth: number | null;
  readonly imageHeight: number | null;
  readonly imageAt: string | null;
  readonly imageOld: boolean;
  readonly missing: { readonly reason: string } | null;
}

const contactPath = (chatId: string) => `/v1/instances/${instanceId}/contacts/${chatId}`;

async function getContact(chatId: string): Promise<Contact> {
  return (await stage.call(contactPath(chatId))).json() as unknown as Contact;
}

async function get(address: string, options: RequestInit = {}) {
  const response = await fetch(`${stage.url}${address}`, { redirect: "manual", ...options });
  const bytes = Buffer.from(await response.arrayBuffer());
  return { status: response.status, headers: Object.fromEntries(response.headers), bytes };
}

const hashOf = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");
const addressOf = (chatId: string) => addresses.get(chatId) ?? "";

beforeAll(async () => {
  stage = await openApiStage({ images: true });
  folder = stage.imageFolder ?? "";
  await stage.addInstance(instanceId);
  for (const chatId of [present, erased, lost]) stage.simulator.setTruth({ chatId, kind: "present" });
  stage.simulator.setTruth({ chatId: absent, kind: "absent" });
  await stage.startWorker();
  const contacts = [present, absent, erased, lost].map((chatId) => ({ chatId }));
  await stage.call("/v1/batches", { method: "POST", json: { instanceId, contacts } });
  for (const chatId of [present, erased, lost]) {
    const contact = await eventually(async () => {
      const found = await getContact(chatId);
      expect(found.imageSha256).toBe(stage.simulator.picture(instanceId, chatId)?.sha256);
      return found;
    });
    addresses.set(chatId, contact.imageUrl ?? "");
  }
  addresses.set(absent, (await getContact(absent)).imageUrl ?? "");
});
afterAll(async () => stage.close());

describe("the address of an image", () => {
  test("gives its bytes to a browser without a key, with all that keeps them an image", async () => {
    const { status, headers, bytes } = await get(addressOf(present));
    const truth = stage.simulator.picture(instanceId, present);
    expect(status).toBe(200);
    expect(hashOf(bytes)).toBe(truth?.sha256);
    expect(headers).toMatchObject({
      ...safeHeaders,
      "content-type": truth?.type,
      "content-length": String(bytes.length),
      "cache-control": "private, max-age=300",
      etag: `"${truth?.sha256.slice(0, 32)}"`,
    });
  });

  test("tells nothing of chat or instance, and is one per contact", async () => {
    expect(new Set(addresses.values()).size).toBe(4);
    for (const address of addresses.values()) {
      expect(address).toMatch(/^\/i\/[\w-]{32}$/);
      const bytes = Buffer.from(address.slice(3), "base64url").toString("latin1");
      expect(bytes).not.toContain("7900555");
      expect(bytes).not.toContain(instanceId);
    }
  });

  test("answers 304 to who has it, and HEAD without the bytes", async () => {
    const { headers } = await get(addressOf(present));
    const again = await get(addressOf(present), { headers: { "if-none-match": String(headers["etag"]) } });
    expect({ status: again.status, bytes: again.bytes.length }).toEqual({ status: 304, bytes: 0 });
    expect(again.headers).toMatchObject({ etag: headers["etag"], "cache-control": "private, max-age=300" });
    const weak = await get(addressOf(present), { headers: { "if-none-match": `"x", W/${headers["etag"]}` } });
    expect(weak.status).toBe(304);
    for (const query of ["", "?size=64"]) {
      const whole = await get(`${addressOf(present)}${query}`);
      const head = await get(`${addressOf(present)}${query}`, { method: "HEAD" });
      expect(head.status).toBe(200);
      expect(head.headers["content-length"]).toBe(String(whole.bytes.length));
      expect(head.headers["content-type"]).toBe(whole.headers["content-type"]);
      expect(head.bytes.length).toBe(0);
    }
  });

  test("with the present version may be kept for a day, and with an old one leads to the present one", async () => {
    const { imageSha256 } = await getContact(present);
    const version = imageSha256?.slice(0, 16);
    const kept = await get(`${addressOf(present)}?v=${version}`);
    expect(kept.headers["cache-control"]).toBe("private, max-age=86400, immutable");
    const old = await get(`${addressOf(present)}?v=0123456789abcdef&size=128&fallback=blank`);
    expect(old.status).toBe(302);
    const target = new URL(String(old.headers["location"]), `${stage.url}${addressOf(present)}`);
    expect(target.pathname).toBe(addressOf(present));
    expect(Object.fromEntries(target.searchParams)).toEqual({ v: version, size: "128", fallback: "blank" });
    const led = await get(`${target.pathname}${target.search}`);
    expect([led.status, led.headers["content-type"]]).toEqual([200, kept.headers["content-type"]]);
  });

  test.each(["64", "128", "256", "640"])("gives a square of %s pixels", async (size) => {
    const { status, headers, bytes } = await get(`${addressOf(present)}?size=${size}`);
    expect(status).toBe(200);
    const { default: sharp } = await import("sharp");
    const { width, height, format } = await sharp(bytes).metadata();
    const { imageWidth } = await getContact(present);
    expect([width, height]).toEqual([
      Math.min(Number(size), imageWidth ?? 0),
      Math.min(Number(size), imageWidth ?? 0),
    ]);
    expect(headers["content-type"]).toBe(`image/${format}`);
    expect(headers["etag"]).toMatch(new RegExp(`-${size}"$`));
  });

  test.each(["size=63", "size=0640", "size=", "fallback=none", "v=xyz", "v=0123456789ABCDEF"])(
    "refuses %s",
    async (query) => {
      const { status, headers } = await get(`${addressOf(present)}?${query}`);
      expect([status, headers["content-type"]]).toEqual([400, "application/problem+json"]);
    },
  );

  test("shows what is asked for where there is no image", async () => {
    const none = await get(addressOf(absent));
    expect(none.status).toBe(404);
    expect(none.headers).toMatchObject(safeHeaders);
    const blank = await get(`${addressOf(absent)}?fallback=blank`);
    expect([blank.status, blank.headers["content-type"]]).toEqual([200, "image/png"]);
    const drawing = await get(`${addressOf(absent)}?fallback=silhouette&size=64`);
    expect([drawing.status, drawing.headers["content-type"]]).toEqual([200, "image/svg+xml"]);
    expect(drawing.headers).toMatchObject({ ...safeHeaders, "cache-control": "private, max-age=300" });
    expect(drawing.bytes.toString()).toMatch(/^<svg [^]*width="64"/);
    expect((await getContact(absent)).missing).toMatchObject({ reason: "no-picture" });
  });

  test.each(["A".repeat(32), "x", "..%2f..%2fetc", `${"A".repeat(31)}%00`])("is not %s", async (token) => {
    expect((await get(`/i/${token}`)).status).toBe(404);
  });

  test("is gone with its contact, and the bytes with it", async () => {
    const { imageSha256 } = await getContact(erased);
    expect((await stage.call(contactPath(erased), { method: "DELETE" })).status).toBe(204);
    expect((await get(addressOf(erased))).status).toBe(410);
    expect((await get(`${addressOf(erased)}?fallback=silhouette`)).status).toBe(410);
    const { rows } = await stage.database.pool.query(
      "select from avatars.images_unused where encode(sha256, 'hex') = $1",
      [imageSha256],
    );
    expect(rows.length).toBeGreaterThan(0);
  });

  test("shows something in place of what its reader has no room for, and is read again afterwards", async () => {
    const { headers } = await get(addressOf(present), { method: "HEAD" });
    const most = Math.floor((24 * 1024) / Math.ceil(Number(headers["content-length"]) / 1024));
    await eventually(async () => {
      const answers = await Promise.all(
        Array.from({ length: 2 * most }, async () => get(`${addressOf(present)}?fallback=silhouette`)),
      );
      expect(answers.every(({ status }) => status === 200)).toBe(true);
      const drawn = answers.find((answer) => answer.headers["content-type"] === "image/svg+xml");
      expect(drawn?.headers).toMatchObject({ ...safeHeaders, "cache-control": "no-store" });
    });
    const again = await get(addressOf(present));
    expect([again.status, again.headers["content-type"]]).toEqual([200, headers["content-type"]]);
  });

  test("shows something in place of bytes that are lost, and has them taken again", async () => {
    const { imageSha256 } = await getContact(lost);
    const file = path.join(
      folder,
      String(imageSha256).slice(0, 2),
      String(imageSha256).slice(2, 4),
      String(imageSha256),
    );
    await rm(file);
    const drawing = await get(`${addressOf(lost)}?fallback=silhouette`);
    expect([drawing.status, drawing.headers["content-type"]]).toEqual([200, "image/svg+xml"]);
    await eventually(async () => {
      const again = await get(addressOf(lost));
      expect([again.status, hashOf(again.bytes)]).toEqual([200, imageSha256]);
    });
  });
});

describe("a program with a key", () => {
  test("has the image at the contact, too", async () => {
    const answer = await get(`${contactPath(present)}/image?size=64`, {
      headers: { authorization: `Bearer ${stage.key}` },
    });
    expect(answer.status).toBe(200);
    expect(answer.headers).toMatchObject(safeHeaders);
    const { status } = await get(`${contactPath(present)}/image`);
    expect(status).toBe(401);
    const { status: unknown } = await get(`${contactPath("79009999999@c.us")}/image`, {
      headers: { authorization: `Bearer ${stage.key}` },
    });
    expect(unknown).toBe(404);
  });

  test("finds it in contacts, lookups, changes, items and results", async () => {
    const truth = stage.simulator.picture(instanceId, present);
    const expected = {
      imageUrl: addressOf(present),
      imageSha256: truth?.sha256,
      imageWidth: truth?.size,
      imageHeight: truth?.size,
      imageOld: false,
    };
    expect(await getContact(present)).toMatchObject({ ...expected, missing: null });
    const lookup = await stage.call("/v1/contacts/lookup", {
      method: "POST",
      json: { instanceId, chatIds: [present] },
    });
    expect(lookup.json()).toMatchObject({ items: [{ contact: expected }] });
    const changes = (await stage.call(`/v1/changes?instanceId=${instanceId}`)).json() as unknown as {
      items: { chatId: string }[];
    };
    expect(changes.items.filter(({ chatId }) => chatId === present)).toMatchObject([
      { ...expected, fromImageSha256: null },
    ]);
    const { items } = (await stage.call("/v1/batches")).json() as unknown as { items: { id: string }[] };
    const batchItems = (await stage.call(`/v1/batches/${items[0]?.id}/items`)).json() as unknown as {
      items: { chatId: string }[];
    };
    expect(batchItems.items.find(({ chatId }) => chatId === present)).toMatchObject(expected);
    const csv = await stage.call(`/v1/batches/${items[0]?.id}/results.csv?status=present`);
    expect(csv.text.split("\r\n")[0] ?? csv.text).toContain(
      "image_url,image_sha256,image_width,image_height,image_at,image_old",
    );
    expect(csv.text).toMatch(
      new RegExp(`"${addressOf(present)}","${truth?.sha256}",640,640,"[^"]+","?false"?`),
    );
  });

  test("of a CRM in the same database reads it from the view, and needs no right on a table", async () => {
    const outsider = await openOutsider(stage.database);
    const { rows: roles } = await outsider.query("select current_user as name");
    const { name } = roles[0] as { name: string };
    await stage.database.pool.query(`grant select on avatars.current to ${pg.escapeIdentifier(name)}`);
    const { rows, fields } = await outsider.query("select * from avatars.current where chat_id = $1", [
      present,
    ]);
    expect(fields.map((field) => field.name)).toEqual([
      "chat_id",
      "instance_id",
      "external_ref",
      "status",
      "checked_at",
      "image_url",
      "image_sha256",
      "image_at",
      "image_old",
      "provider_url",
      "provider_url_expires_at",
    ]);
    expect(rows).toMatchObject([{ image_url: addressOf(present), status: "present", image_old: false }]);
    await expect(outsider.query("select * from avatars.avatars")).rejects.toThrow(/permission denied/);
    await expect(outsider.query("select image_key from avatars.installation")).rejects.toThrow(
      /permission denied/,
    );
    await stage.database.pool.query(`revoke all on avatars.current from ${pg.escapeIdentifier(name)}`);
    await outsider.close();
  });
});

test("an API without images says so", async () => {
  const api = await stage.serve({ env: { AVATARS_IMAGES: "off" } });
  const response = await fetch(`${api.url}${addressOf(present)}`);
  expect(response.status).toBe(404);
  expect(await response.text()).toContain("AVATARS_IMAGES");
});
