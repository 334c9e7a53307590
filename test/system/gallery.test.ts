import { mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ResultRow } from "../../src/domain/views/result-row.ts";
import { encodeGallery } from "../../src/results/gallery/encode-gallery.ts";
import { openChromium } from "../support/chromium.ts";
import { noImage } from "../support/no-image.ts";
import { runCli } from "../support/run-cli.ts";

const browser: Browser | undefined = await openChromium();
if (browser === undefined && process.env["CI"])
  throw new Error("there is no Chromium: apt-get install chromium");

let folder: string;
const hostile = [
  "</script><script>document.title='broken'</script>",
  "<img src=x onerror=document.title='broken'>",
  "\u202egnp.exe",
  "👩‍👩‍👧 Müller & Söhne",
  "x".repeat(200),
];

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "contact-avatars-gallery-"));
  const lines = Array.from(
    { length: 40 },
    (_, at) => `${79_005_550_000 + at}@c.us,${toCell(hostile[at] ?? `CRM-${at}`)}`,
  );
  await writeFile(path.join(folder, "contacts.csv"), `chat_id,external_ref\n${lines.join("\n")}\n`);
  const { code, stdout, stderr } = await runCli(
    [
      "enrich",
      "contacts.csv",
      "--simulate",
      "--allow-incomplete",
      "--images",
      "faces",
      "--gallery",
      "faces.html",
    ],
    {
      cwd: folder,
      env: {
        AVATARS_IMAGES: path.join(folder, "kept"),
        AVATARS_DATA_DIR: path.join(folder, "data"),
        AVATARS_REQUESTS_PER_SECOND: "200",
      },
    },
  );
  expect({ code, stderr }).toMatchObject({ code: 0 });
  expect(stdout).toMatch(/gallery: faces\.html, to be opened in a browser/);
});
afterAll(async () => {
  await browser?.close();
  await rm(folder, { recursive: true, force: true });
});

const toCell = (text: string) => `"${text.replaceAll('"', '""')}"`;

/** Opens a page of the folder, and notes what it asks and what is held against it. */
async function open(file: string): Promise<{ page: Page; complaints: string[]; asked: string[] }> {
  const page = await browser!.newPage();
  const complaints: string[] = [];
  const asked: string[] = [];
  page.on("console", (message) => complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("request", (request) => {
    if (!request.url().startsWith("data:")) asked.push(request.url());
  });
  await page.goto(pathToFileURL(path.join(folder, file)).href);
  return { page, complaints, asked };
}

async function readStatuses(): Promise<string[]> {
  const csv = await readFile(path.join(folder, "contacts.avatars.csv"), "utf8");
  return csv.match(/"(?:present|absent|hidden|invalid)"/g)?.map((text) => text.slice(1, -1)) ?? [];
}

/** Contacts without a picture, for three pages. */
async function* makeRows(): AsyncGenerator<ResultRow> {
  for (let at = 0; at < 2_500; at += 1)
    yield {
      instanceId: "1101000001",
      chatId: `${79_000_000_000 + at}@c.us`,
      externalRef: undefined,
      status: at % 2 === 0 ? "absent" : "hidden",
      avatarUrl: undefined,
      urlExpiresAt: undefined,
      checkedAt: undefined,
      attempts: 0,
      lastError: undefined,
      position: undefined,
      image: noImage,
    };
}

describe.runIf(browser)("a gallery", () => {
  test("shows the picture of every present contact, asks nothing of any host, and breaks no policy", async () => {
    const { page, complaints, asked } = await open("faces.html");
    const present = (await readStatuses()).filter((status) => status === "present").length;
    expect(present).toBeGreaterThan(15);
    await expect.poll(async () => page.locator("img.face").count()).toBe(present);
    const broken = await page.evaluate<number>(
      "[...document.images].filter((image) => !image.complete || image.naturalWidth === 0).length",
    );
    expect(broken).toBe(0);
    expect(await page.locator("#faces > li").count()).toBe(40);
    const names = await page.locator(".name").allTextContents();
    expect(names).toEqual(expect.arrayContaining(hostile.slice(0, 4)));
    expect(await page.title()).toBe("contacts.csv");
    expect({ complaints, asked: asked.length }).toEqual({ complaints: [], asked: 1 });
    await page.close();
  });

  test("filters by outcome and by text, and says how many there are", async () => {
    const { page } = await open("faces.html");
    const statuses = await readStatuses();
    const absent = statuses.filter((status) => status === "absent").length;
    await page.getByRole("button", { name: /^absent/ }).click();
    expect(await page.getByRole("button", { name: /^absent/ }).getAttribute("aria-pressed")).toBe("true");
    expect(await page.locator("#faces > li").count()).toBe(absent);
    await page.getByRole("button", { name: /^all/ }).click();
    await page.getByRole("searchbox").fill("crm-17");
    expect(await page.locator("#faces > li .name").allTextContents()).toEqual(["CRM-17"]);
    expect(await page.getByRole("status").textContent()).toBe("1 contact");
    await page.getByRole("searchbox").fill("nothing is like this");
    expect(await page.locator("#empty").isVisible()).toBe(true);
    await page.close();
  });

  test("has pages of a thousand", async () => {
    const html = encodeGallery({
      title: "Many",
      rows: makeRows(),
      readThumbnail: async () => undefined,
      now: new Date(),
    });
    await writeFile(path.join(folder, "many.html"), html);
    const { page, complaints } = await open("many.html");
    expect(await page.locator("#faces > li").count()).toBe(1_000);
    await page.getByRole("button", { name: "Next" }).click();
    await page.getByRole("button", { name: "Next" }).click();
    expect(await page.locator("#faces > li").count()).toBe(500);
    expect(await page.locator("#place").textContent()).toBe("page 3 of 3");
    await page.getByRole("button", { name: /^hidden/ }).click();
    expect(await page.locator("#place").textContent()).toBe("page 1 of 2");
    expect(complaints).toEqual([]);
    await page.close();
  });
});

test("pictures as files have safe names, and are not touched when they are written again", async () => {
  const faces = path.join(folder, "faces");
  const names = await readdir(faces);
  expect(names.length).toBe((await readStatuses()).filter((status) => status === "present").length);
  for (const name of names) expect(name).toMatch(/^[\p{L}\p{N}@+_. -]+\.(?:jpg|png|webp)$/u);
  const old = new Date("2020-01-01T00:00:00Z");
  for (const name of names) await utimes(path.join(faces, name), old, old);
  const [changed = ""] = names;
  await writeFile(path.join(faces, changed), "another picture");
  const { code, stderr } = await runCli(["export", "--images", "faces"], {
    cwd: folder,
    env: { AVATARS_IMAGES: path.join(folder, "kept"), AVATARS_DATA_DIR: path.join(folder, "data") },
  });
  expect(code).toBe(0);
  expect(stderr).toContain(`1 picture written to faces; ${names.length - 1} were there already`);
  for (const name of names)
    expect((await stat(path.join(faces, name))).mtime.getTime() === old.getTime()).toBe(name !== changed);
});
