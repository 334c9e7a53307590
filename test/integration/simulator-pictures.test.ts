import { createHash } from "node:crypto";
import { get, type IncomingMessage, request } from "node:http";
import { text } from "node:stream/consumers";
import { gunzipSync } from "node:zlib";
import { afterAll, afterEach, describe, expect, test } from "vitest";
import {
  getPictureOutcome,
  type PictureOutcomeName,
  pictureOutcomeNames,
} from "../../src/simulator/outcomes/picture-outcomes.ts";
import { type Simulator, startSimulator } from "../../src/simulator/start-simulator.ts";
import type { LoggedPicture } from "../../src/simulator/world/picture-log.ts";
import type { SimulatorOptions } from "../../src/simulator/world/simulator-options.ts";
import { openChromium } from "../support/chromium.ts";

const instanceId = "1101000001";
const chatId = "79001234567@c.us";
const mebibyte = 1_048_576;
const running: Simulator[] = [];
const browser = await openChromium();

/** Serves pictures, quickly and without a budget. */
async function start(options: SimulatorOptions = {}): Promise<Simulator> {
  const quick = { latencyMs: 0, troubledShare: 0, requestsPerSecond: 10_000, pictureLatencyMs: 0, dripMs: 1 };
  const simulator = await startSimulator({ ...quick, pictures: true, ...options });
  running.push(simulator);
  return simulator;
}

afterEach(async () => {
  await Promise.all(running.splice(0).map((simulator) => simulator.close()));
});
afterAll(async () => {
  await browser?.close();
});

interface Told {
  readonly urlAvatar: string;
  readonly base64Avatar?: string;
}

async function ask(simulator: Simulator, chat: string): Promise<Told> {
  const url = `${simulator.url}/waInstance${instanceId}/getAvatar/token`;
  const answer = await fetch(url, { method: "POST", body: JSON.stringify({ chatId: chat }) });
  return (await answer.json()) as Told;
}

/** The URL of the picture of a chat that has one. */
async function askUrl(simulator: Simulator, chat = chatId): Promise<string> {
  if (simulator.truth(instanceId, chat).kind !== "present") simulator.setTruth({ chatId: chat });
  return (await ask(simulator, chat)).urlAvatar;
}

interface Fetched {
  readonly status: number;
  readonly headers: Headers;
  readonly bytes: Buffer;
  readonly text: string;
}

async function take(url: string, init: RequestInit = {}): Promise<Fetched> {
  const answer = await fetch(url, { redirect: "manual", ...init });
  const bytes = Buffer.from(await answer.arrayBuffer());
  return { status: answer.status, headers: answer.headers, bytes, text: bytes.toString("latin1") };
}

async function control(simulator: Simulator, order: string, body?: unknown) {
  const [method = "", path = ""] = order.split(" ");
  const init = body === undefined ? { method } : { method, body: JSON.stringify(body) };
  const answer = await fetch(`${simulator.url}/__control${path}`, init);
  return { status: answer.status, json: await answer.json() };
}

const toHash = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
const toVersion = (url: string) => new URL(url).pathname;

describe("the URL of a picture", () => {
  test("is as WhatsApp's, but at the simulator, which serves it with its type and length", async () => {
    const simulator = await start();
    const url = await askUrl(simulator);
    expect(url.slice(0, simulator.url.length)).toBe(simulator.url);
    expect(url.slice(simulator.url.length)).toMatch(
      /^\/v\/t61\.24694-24\/\d+_\d+_\d+_n\.jpg\?ccb=11-4&oh=01_Q5Aa[\w-]{43}&oe=[0-9A-F]{8}&_nc_sid=5e03e0&_nc_cat=\d{3}$/,
    );
    const { status, headers, bytes } = await take(url);
    const told = simulator.picture(instanceId, chatId);
    expect({ status, sha256: toHash(bytes) }).toEqual({ status: 200, sha256: told?.sha256 });
    expect(headers.get("content-type")).toBe(told?.type);
    expect(headers.get("content-length")).toBe(String(bytes.length));
    expect(toVersion(url)).toBe(told?.version);
    const head = await take(url, { method: "HEAD" });
    expect([head.status, head.bytes.length, head.headers.get("content-length")]).toEqual([
      200,
      0,
      String(bytes.length),
    ]);
  });

  test.each([
    [
      "a letter of the signature",
      (url: string) => url.replace(/oh=01_Q5Aa./, (start) => `${start.slice(0, -1)}~`),
    ],
    ["a later end", (url: string) => url.replace(/oe=./, "oe=7")],
    ["no end", (url: string) => url.replace(/&oe=\w+/, "")],
    ["another picture", (url: string) => url.replace(/\d_n\.jpg/, "0000_n.jpg")],
    ["another of the parameters", (url: string) => url.replace(/_nc_cat=\d+/, "_nc_cat=999")],
    ["one parameter more", (url: string) => `${url}&x=1`],
    ["no query", (url: string) => url.replace(/\?.*/, "")],
  ])("with %s is a 403", async (_what, tamper) => {
    const simulator = await start();
    const url = await askUrl(simulator);
    const tampered = tamper(url);
    expect(tampered).not.toBe(url);
    expect(await take(tampered)).toMatchObject({ status: 403, text: "URL signature mismatch" });
    expect((await take(url)).status).toBe(200);
  });

  test("is a 403 once its time is over, by its own end or by an outcome, and lasts without an end", async () => {
    const simulator = await start();
    const expired = { status: 403, text: "URL signature expired" };
    expect(await take((await ask(simulator, "79001990034@c.us")).urlAvatar)).toMatchObject(expired);
    await control(simulator, "PUT /pictures", { urlLifetimeMs: 0 });
    const short = await askUrl(simulator);
    await expect.poll(() => take(short)).toMatchObject(expired);
    await control(simulator, "PUT /pictures", { urlLifetimeMs: null });
    expect((await take(await askUrl(simulator))).status).toBe(200);
    expect((await take((await ask(simulator, "79001990035@c.us")).urlAvatar)).status).toBe(200);
  });

  test("is good at each simulator of the same seed, one that was started again too, and at no other", async () => {
    const first = await start();
    const url = await askUrl(first);
    const { bytes } = await take(url);
    const [again, other] = [await start(), await start({ seed: 2 })];
    expect((await take(url.replace(first.url, again.url))).bytes.equals(bytes)).toBe(true);
    expect((await take(url.replace(first.url, other.url))).status).toBe(403);
  });

  test("leads where the client came from, when the simulator listens on every address", async () => {
    const simulator = await start({ host: "0.0.0.0" });
    const init = { port: simulator.port, host: "localhost", method: "POST", family: 4 };
    const path = `/waInstance${instanceId}/getAvatar/token`;
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      const sent = request({ ...init, path }, resolve).on("error", reject);
      sent.end(JSON.stringify({ chatId: "79001990001@c.us" }));
    });
    const { urlAvatar } = JSON.parse(await text(answer)) as Told;
    expect(new URL(urlAvatar).origin).toBe(`http://localhost:${simulator.port}`);
  });

  test("is WhatsApp's, and no picture is served, unless pictures are asked for", async () => {
    const [off, on] = [await start({ pictures: false }), await start()];
    expect(new URL(await askUrl(off)).origin).toBe("https://pps.whatsapp.net");
    const { pathname, search } = new URL(await askUrl(on));
    expect((await take(off.url + pathname + search)).status).toBe(404);
    expect(off.readPictureLog()).toEqual([]);
    expect((await take(on.url + pathname + search, { method: "POST" })).status).toBe(404);
  });
});

describe("a picture", () => {
  test("differs from contact to contact and from version to version, and an old version stays", async () => {
    const simulator = await start();
    const chats = Array.from({ length: 30 }, (_, index) => `${79_011_000_000 + index}@c.us`);
    const urls: string[] = [];
    for (const chat of chats) urls.push(await askUrl(simulator, chat));
    for (const chat of chats) {
      simulator.setTruth({ chatId: chat, picture: 1 });
      urls.push(await askUrl(simulator, chat));
    }
    expect(new Set(urls.map(toVersion)).size).toBe(60);
    const pictures = await Promise.all(urls.map((url) => take(url)));
    expect(pictures.map(({ status }) => status)).toEqual(urls.map(() => 200));
    expect(new Set(pictures.map(({ bytes }) => toHash(bytes))).size).toBe(60);
  });

  test("may change its bytes and keep its path, or change its path and keep its bytes", async () => {
    const simulator = await start();
    const first = await askUrl(simulator);
    const before = await take(first);
    simulator.setTruth({ chatId, picture: 1, address: 0 });
    const samePath = await askUrl(simulator);
    const changed = await take(samePath);
    expect(toVersion(samePath)).toBe(toVersion(first));
    expect(changed.bytes.equals(before.bytes)).toBe(false);
    expect(toHash(changed.bytes)).toBe(simulator.picture(instanceId, chatId)?.sha256);
    await control(simulator, "PUT /truth", { chatId, picture: 1, address: 2 });
    const otherPath = await askUrl(simulator);
    expect(toVersion(otherPath)).not.toBe(toVersion(first));
    expect((await take(otherPath)).bytes.equals(changed.bytes)).toBe(true);
    simulator.setTruth({ chatId, picture: 0 });
    expect((await take(await askUrl(simulator))).bytes.equals(before.bytes)).toBe(true);
  });

  test("may be served by another simulator with the same seed, which logs and spoils it", async () => {
    const cdn = await start({ seed: 7 });
    const simulator = await start({ seed: 7, picturesAt: cdn.url });
    const url = await askUrl(simulator);
    expect(new URL(url).origin).toBe(cdn.url);
    expect(toHash((await take(url)).bytes)).toBe(simulator.picture(instanceId, chatId)?.sha256);
    expect(cdn.readPictureLog()).toMatchObject([{ version: toVersion(url), status: 200, outcome: "served" }]);
    cdn.setPictureFaults({ "gone-410": 1 });
    expect((await take(url)).status).toBe(410);
    expect((await take(url.replace(cdn.url, simulator.url))).status).toBe(404);
    expect(simulator.readPictureLog()).toEqual([]);
  });

  test.each(["990032", "990033", "990036", "990037"])("is what …%s has in base64", async (digits) => {
    const simulator = await start();
    const chat = `79001${digits}@c.us`;
    const { urlAvatar, base64Avatar } = await ask(simulator, chat);
    const base64 = base64Avatar ?? urlAvatar.replace(/^data:image\/\w+;base64,/, "");
    expect(toHash(Buffer.from(base64, "base64"))).toBe(simulator.picture(instanceId, chat)?.sha256);
  });

  test("is told in base64 with an empty URL for the share of answers that is asked for", async () => {
    const simulator = await start({ base64Share: 0.3 });
    simulator.setTruth({ chatId, kind: "present" });
    const answers: Told[] = [];
    for (let call = 0; call < 60; call += 1) answers.push(await ask(simulator, chatId));
    const inline = answers.filter(({ urlAvatar }) => urlAvatar === "");
    expect(inline.length).toBeGreaterThan(5);
    expect(inline.length).toBeLessThan(40);
    expect(inline.every(({ base64Avatar }) => base64Avatar !== undefined)).toBe(true);
    simulator.setTruth({ chatId, kind: "absent" });
    expect(await ask(simulator, chatId)).toEqual({ urlAvatar: "", available: true });
  });

  test.runIf(browser)("is one that a browser shows, whichever its type", async () => {
    const simulator = await start();
    const chats = Array.from({ length: 60 }, (_, index) => `${79_012_000_000 + index}@c.us`);
    const urls: string[] = [];
    for (const chat of chats) urls.push(await askUrl(simulator, chat));
    const page = await browser!.newPage();
    await page.setContent(urls.map((url) => `<img src="${url.replaceAll("&", "&amp;")}">`).join(""));
    const shown = await page.evaluate<number[]>(
      `Promise.all([...document.images].map((image) => image.decode().then(() => image.naturalWidth)))`,
    );
    await page.close();
    expect(shown).toEqual(chats.map((chat) => simulator.picture(instanceId, chat)?.size));
    const types = new Set(chats.map((chat) => simulator.picture(instanceId, chat)?.type));
    expect(types).toEqual(new Set(["image/jpeg", "image/png", "image/webp"]));
  });
});

const fails = Symbol("no whole answer");
/** What arrives at the client for every outcome; the rest of the checks are in the tests below. */
const arrivals: Record<PictureOutcomeName, object | typeof fails> = {
  served: { status: 200 },
  "html-200": { status: 200, text: expect.stringMatching(/^<html>/) as unknown },
  "html-as-jpeg": { status: 200, text: expect.stringMatching(/^<html>/) as unknown },
  svg: { status: 200, text: expect.stringContaining("<script>") as unknown },
  gif: { status: 200, text: expect.stringMatching(/^GIF89a/) as unknown },
  heic: { status: 200, text: expect.stringContaining("ftypheic") as unknown },
  empty: { status: 200, text: "" },
  truncated: { status: 200 },
  "giant-pixels": { status: 200, text: expect.stringContaining("PNG") as unknown },
  huge: { status: 200 },
  "huge-unannounced": { status: 200 },
  "gzip-bomb": { status: 200 },
  "redirect-metadata-302": { status: 302 },
  "redirect-loopback-302": { status: 302 },
  "expired-403": { status: 403, text: "URL signature expired" },
  "mismatch-403": { status: 403, text: "URL signature mismatch" },
  "not-found-404": { status: 404 },
  "gone-410": { status: 410 },
  "throttled-429": { status: 429 },
  "server-error-500": { status: 500 },
  slow: { status: 200 },
  cut: fails,
  stalled: fails,
  reset: fails,
};

/** Those whose 100 MiB are looked at by a test of their own. */
const bulky: ReadonlySet<PictureOutcomeName> = new Set(["huge", "huge-unannounced", "gzip-bomb"]);

/** Takes a picture as far as it goes, and gives up on a stalled one as soon as the log shows it. */
async function expectArrival(simulator: Simulator, name: PictureOutcomeName, url: string): Promise<void> {
  const arrival = arrivals[name];
  if (arrival === fails) {
    const patience = new AbortController();
    const rejection = expect(take(url, { signal: patience.signal })).rejects.toThrow();
    await expect.poll(() => simulator.readPictureLog({ outcome: name })).toHaveLength(1);
    if (name === "stalled") patience.abort();
    await rejection;
  } else if (bulky.has(name)) {
    const answer = await fetch(url);
    expect(answer).toMatchObject(arrival);
    await answer.body?.cancel();
  } else expect(await take(url)).toMatchObject(arrival);
  await expect.poll(() => simulator.stats().pictures).toMatchObject({ requests: 1, inFlight: 0 });
  expect(simulator.stats().pictures.byOutcome).toEqual({ [name]: 1 });
}

describe("every outcome of a picture", () => {
  test.each(pictureOutcomeNames)("%s comes to a chat with its digits", async (name) => {
    const simulator = await start();
    const url = (await ask(simulator, `79001${getPictureOutcome(name).digits}@c.us`)).urlAvatar;
    await expectArrival(simulator, name, url);
  });

  test.each(pictureOutcomeNames)("%s comes once when a script asks for it over HTTP", async (name) => {
    const simulator = await start();
    const url = await askUrl(simulator);
    const order = await control(simulator, "PUT /picture-scripts", { chatId, answers: [name] });
    expect(order).toEqual({ status: 200, json: { ok: true } });
    await expectArrival(simulator, name, url);
    expect((await take(url)).status).toBe(200);
    expect(simulator.readPictureLog().map(({ outcome }) => outcome)).toEqual([name, "served"]);
  });

  test("is listed with its digits, which no other has", async () => {
    const { json } = await control(await start(), "GET /picture-outcomes");
    const listed = json as { name: string; digits: string }[];
    expect(listed.map(({ name }) => name)).toEqual(pictureOutcomeNames);
    expect(new Set(listed.map(({ digits }) => digits)).size).toBe(pictureOutcomeNames.length);
  });
});

/** A simulator that answers the next request so, and what the picture is. */
async function takeWith(name: PictureOutcomeName) {
  const simulator = await start();
  const url = await askUrl(simulator);
  const whole = (await take(url)).bytes;
  simulator.scriptPictures({ answers: [name] });
  return { simulator, url, whole };
}

describe("a fault of a picture", () => {
  test("that truncates or slows a picture says its length and sends a half, or all of it", async () => {
    const { simulator, url, whole } = await takeWith("truncated");
    const half = await take(url);
    expect(half.headers.get("content-length")).toBe(String(whole.length >> 1));
    expect(whole.subarray(0, whole.length >> 1).equals(half.bytes)).toBe(true);
    simulator.scriptPictures({ answers: ["slow"] });
    expect((await take(url)).bytes.equals(whole)).toBe(true);
    expect(simulator.countPictures({ chatId })).toMatchObject([{ requests: 3, served: 2 }]);
  });

  test("that cuts a picture claims the whole length and sends half of it", async () => {
    const { simulator, url, whole } = await takeWith("cut");
    const answer = await fetch(url);
    expect(answer.headers.get("content-length")).toBe(String(whole.length));
    await expect(answer.arrayBuffer()).rejects.toThrow();
    expect(simulator.readPictureLog({ outcome: "cut" })).toMatchObject([{ bytes: whole.length >> 1 }]);
  });

  test.each(["huge", "huge-unannounced"] as const)(
    "that is %s sends 100 MiB, as far as the client reads",
    async (name) => {
      const { simulator, url, whole } = await takeWith(name);
      const answer = await fetch(url);
      expect(answer.headers.get("content-length")).toBe(name === "huge" ? String(100 * mebibyte) : null);
      const reader = answer.body!.getReader();
      const first = Buffer.from((await reader.read()).value ?? []);
      expect(whole.subarray(0, first.length).equals(first.subarray(0, whole.length))).toBe(true);
      await reader.cancel();
      await expect.poll(() => simulator.stats().pictures.inFlight).toBe(0);
      expect(simulator.readPictureLog({ outcome: name })[0]?.bytes).toBeLessThan(60 * mebibyte);
      simulator.scriptPictures({ answers: [name] });
      expect((await take(url)).bytes).toHaveLength(100 * mebibyte);
    },
  );

  test("that is a bomb of gzip is small on the wire and 100 MiB unpacked", async () => {
    const { url } = await takeWith("gzip-bomb");
    const answer = await new Promise<IncomingMessage>((resolve) => get(url, resolve));
    expect(answer.headers["content-encoding"]).toBe("gzip");
    const chunks: Buffer[] = [];
    for await (const chunk of answer) chunks.push(chunk as Buffer);
    const packed = Buffer.concat(chunks);
    expect(packed.length).toBeLessThan(200_000);
    expect(gunzipSync(packed).length).toBe(100 * mebibyte);
  });

  test("that redirects goes to private addresses, and shows who follows", async () => {
    const { simulator, url, whole } = await takeWith("redirect-metadata-302");
    expect((await take(url)).headers.get("location")).toMatch(/^http:\/\/169\.254\.169\.254\//);
    simulator.scriptPictures({ answers: ["redirect-loopback-302"] });
    const followed = await take(url, { redirect: "follow" });
    expect(followed.bytes.equals(whole)).toBe(true);
    expect(simulator.readPictureLog().map(({ outcome }) => outcome)).toEqual([
      "served",
      "redirect-metadata-302",
      "redirect-loopback-302",
      "redirect-followed",
    ]);
  });

  test("that claims 30,000 by 30,000 pixels says so in its header", async () => {
    const { url } = await takeWith("giant-pixels");
    const { bytes } = await take(url);
    expect([bytes.readUInt32BE(16), bytes.readUInt32BE(20)]).toEqual([30_000, 30_000]);
    expect(bytes.length).toBeLessThan(10_000);
  });

  test("comes as often as its share says, until the shares are replaced", async () => {
    const simulator = await start({ pictureFaults: { "not-found-404": 0.4 } });
    const url = await askUrl(simulator);
    for (let request = 0; request < 60; request += 1) await take(url);
    const missed = simulator.readPictureLog({ status: 404 }).length;
    expect(missed).toBeGreaterThan(8);
    expect(missed).toBeLessThan(50);
    await control(simulator, "PUT /picture-faults", { faults: { "gone-410": 1 } });
    expect((await take(url)).status).toBe(410);
    await control(simulator, "PUT /picture-faults", { faults: {} });
    expect((await take(url)).status).toBe(200);
    await expect(start({ pictureFaults: { slow: 0.7, cut: 0.7 } })).rejects.toThrow("add up to");
  });
});

describe("scripts of pictures", () => {
  test("for a version go first, then those of its chat, then those for all", async () => {
    const simulator = await start();
    const [url, other] = [await askUrl(simulator), await askUrl(simulator, "79001234568@c.us")];
    simulator.scriptPictures({ answers: ["gone-410"], times: "forever" });
    simulator.scriptPictures({ chatId, answers: ["server-error-500", "throttled-429"] });
    simulator.scriptPictures({ version: toVersion(url), answers: ["not-found-404"] });
    const statuses: number[] = [];
    for (let request = 0; request < 4; request += 1) statuses.push((await take(url)).status);
    expect(statuses).toEqual([404, 500, 429, 410]);
    expect((await take(other)).status).toBe(410);
    await control(simulator, "DELETE /picture-scripts");
    expect((await take(other)).status).toBe(200);
  });

  test("may answer with any bytes", async () => {
    const simulator = await start();
    const url = await askUrl(simulator);
    const bytes = Buffer.from([0xff, 0xd8, 0xff, 0, 1]);
    const raw = { status: 206, headers: { "content-type": "x/y" } };
    simulator.scriptPictures({ answers: [{ ...raw, body: bytes }] });
    expect(await take(url)).toMatchObject({ status: 206, bytes });
    const answers = [
      { ...raw, base64: bytes.toString("base64") },
      { status: 200, body: "text" },
    ];
    await control(simulator, "PUT /picture-scripts", { answers });
    expect(await take(url)).toMatchObject({ status: 206, bytes });
    expect(await take(url)).toMatchObject({ status: 200, text: "text" });
  });

  test.each([
    ["PUT /picture-scripts", { answers: ["nonsense"] }, 'unknown outcome of a picture "nonsense"'],
    ["PUT /picture-scripts", { instanceId, answers: [] }, 'unknown member "instanceId"'],
    ["PUT /picture-scripts", {}, '"answers" in the body must be a list'],
    ["PUT /picture-faults", { faults: { slow: 2 } }, '"slow" in the faults must be a number from 0 to 1'],
    ["PUT /picture-faults", { faults: { stall: 1 } }, 'unknown outcome of a picture "stall"'],
    ["PUT /pictures", { base64Share: 2 }, '"base64Share" in the body must be a number from 0 to 1'],
    ["GET /picture", undefined, '"instanceId" in the query is missing'],
    ["GET /picture-log?limit=many", undefined, '"limit" in the query must be a whole number'],
  ])("%s with %j is a 400 that says why", async (order, body, error) => {
    const answer = await control(await start(), order, body);
    expect(answer).toEqual({ status: 400, json: { error: expect.stringContaining(error) as unknown } });
  });
});

describe("what is written down of pictures", () => {
  test("is apart from the calls: a log, counts by version, totals, the most in flight", async () => {
    const simulator = await start();
    const url = await askUrl(simulator);
    const { bytes } = await take(url);
    await take(url.replace(/_nc_cat=\d+/, "_nc_cat=999"));
    const log = (await control(simulator, `GET /picture-log?chatId=${chatId}`)).json as LoggedPicture[];
    const version = toVersion(url);
    expect(log).toMatchObject([
      { index: 0, chatId, version, status: 200, outcome: "served", bytes: bytes.length },
      { index: 1, chatId, version, status: 403, outcome: "mismatch-403" },
    ]);
    expect((await control(simulator, "GET /picture-log?fromIndex=1&limit=1")).json).toMatchObject([
      { index: 1 },
    ]);
    expect((await control(simulator, "GET /picture-counts")).json).toEqual([
      { chatId, version, requests: 2, served: 1 },
    ]);
    expect((await control(simulator, "GET /stats")).json).toMatchObject({
      calls: 1,
      callsByStatus: { "200": 1 },
      pictures: {
        requests: 2,
        inFlight: 0,
        peakInFlight: 1,
        byStatus: { "200": 1, "403": 1 },
        byOutcome: { served: 1, "mismatch-403": 1 },
      },
    });
    expect(simulator.readLog()).toHaveLength(1);
    expect((await control(simulator, `GET /picture?instanceId=${instanceId}&chatId=${chatId}`)).json).toEqual(
      {
        picture: simulator.picture(instanceId, chatId),
      },
    );
    await control(simulator, "DELETE /log");
    expect(simulator.readPictureLog()).toEqual([]);
    expect(simulator.countPictures()).toEqual([]);
    expect(simulator.stats().pictures).toMatchObject({ requests: 0, bytes: 0, peakInFlight: 0 });
    await take(url);
    expect(simulator.readPictureLog()).toMatchObject([{ chatId, status: 200 }]);
  });

  test("has all that are in flight at once, and those whose client hangs up", async () => {
    const simulator = await start();
    const url = await askUrl(simulator);
    simulator.scriptPictures({ answers: ["stalled"], times: 3 });
    const patience = new AbortController();
    const stalled = [1, 2, 3].map(() => expect(take(url, { signal: patience.signal })).rejects.toThrow());
    await expect.poll(() => simulator.stats().pictures).toMatchObject({ inFlight: 3, peakInFlight: 3 });
    patience.abort();
    await Promise.all(stalled);
    await expect.poll(() => simulator.stats().pictures.inFlight).toBe(0);
    simulator.setPictures({ pictureLatencyMs: 50_000 });
    const impatience = new AbortController();
    const waiting = expect(take(url, { signal: impatience.signal })).rejects.toThrow();
    await expect.poll(() => simulator.readPictureLog({ outcome: "pending" })).toHaveLength(1);
    impatience.abort();
    await waiting;
    await expect
      .poll(() => simulator.readPictureLog({ status: 499 }))
      .toMatchObject([{ outcome: "client-closed" }]);
    await control(simulator, "POST /reset");
    expect((await take(url)).status).toBe(200);
    expect(simulator.readPictureLog()).toMatchObject([{ chatId: "", outcome: "served" }]);
  });

  test("is bounded: the log forgets its oldest, and says how many", async () => {
    const simulator = await start({ pictureLogCapacity: 5 });
    const url = await askUrl(simulator);
    for (let request = 0; request < 14; request += 1) await take(url, { method: "HEAD" });
    expect(simulator.readPictureLog().map(({ index }) => index)).toEqual([5, 6, 7, 8, 9, 10, 11, 12, 13]);
    expect(simulator.stats().pictures).toMatchObject({ requests: 14, forgotten: 5 });
  });
});
