import type { Browser } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { readFile } from "node:fs/promises";
import { createConsoleSessions } from "../../src/app/subjects/console-sessions.ts";
import { readDocument, toPath } from "../support/api-document.ts";
import { openApiStage, type ApiStage, type TestApi } from "../support/api-stage.ts";
import { openChromium } from "../support/chromium.ts";
import {
  expectNoComplaints,
  findBarriers,
  openConsole,
  type ConsoleBrowser,
} from "../support/console-page.ts";
import { eventually } from "../support/eventually.ts";
import { openPostgresValve, type PostgresValve } from "../support/postgres-valve.ts";
import { startLocalRedis, type TestRedis } from "../support/redis-server.ts";
import { makeChats } from "../support/stage.ts";
import { openReceiver, type Receiver } from "../support/webhook-receiver.ts";

const browser: Browser | undefined = await openChromium();
if (browser === undefined) {
  const remark = "there is no Chromium: no test opens the console in a browser (apt-get install chromium)";
  if (process.env["CI"]) throw new Error(remark);
  process.stderr.write(`\n!!! ${remark}\n\n`);
}

const instanceId = "1101000001";
const chats = makeChats(12);

let stage: ApiStage;
/** The way of the server under test to Postgres. */
let valve: PostgresValve;
let api: TestApi;
let opened: ConsoleBrowser;
let receiver: Receiver;
/** Of the server under test; undefined where there is no redis-server: its queue is in Postgres then. */
let redis: TestRedis | undefined;
let env: Record<string, string>;

beforeAll(async () => {
  receiver = await openReceiver();
  redis = await startLocalRedis();
  env = { AVATARS_WEBHOOK_NETWORKS: "127.0.0.0/8", ...(redis && { REDIS_URL: redis.url }) };
  stage = await openApiStage({ images: true });
  await stage.addInstance(instanceId);
  await stage.addInstance("1101000002");
  valve = await openPostgresValve(stage.database.url);
  api = await stage.serve({ databaseUrl: valve.url, env });
  await stage.startWorker();
  await stage.call("/v1/batches", { method: "POST", json: { instanceId, chatIds: chats, label: "July" } });
  if (browser) opened = await openConsole(browser, api.url, stage.key);
});
afterEach(() => {
  if (browser) expectNoComplaints(opened.watched);
});
afterAll(async () => {
  await browser?.close();
  await receiver.close();
  await valve.close();
  await stage.close();
  await redis?.close();
});

const inBrowser = test.runIf(browser);

inBrowser("every page is usable by all, in light and dark, small and wide", async () => {
  const { page, goTo } = opened;
  const { items } = (await stage.call("/v1/batches")).json() as { items: { id: string }[] };
  const added = await api.call("/v1/webhooks", { method: "POST", json: { url: receiver.url, label: "CRM" } });
  const webhook = (added.json() as { id: string }).id;
  receiver.answer(() => 500);
  await api.call(`/v1/webhooks/${webhook}/test`, { method: "POST" });
  await api.call(`/v1/webhooks/${webhook}/disable`, { method: "POST" });
  const places: [string, string | RegExp][] = [
    ["#/overview", "Overview"],
    [`#/instances/${instanceId}`, instanceId],
    ["#/batches", "Batches"],
    [`#/batches/${items[0]?.id}`, "July"],
    ["#/gallery", "Gallery"],
    [`#/contacts/${await findContact(chats[0])}`, /•••/],
    ["#/nights", "Nights"],
    ["#/webhooks", "Webhooks"],
    [`#/webhooks/${webhook}`, "CRM"],
    ["#/audit", "Audit log"],
    ["#/keys", "API keys"],
    ["#/nowhere", /nothing at this address/],
  ];
  for (const [place, title] of places) {
    for (const [colorScheme, width] of [
      ["light", 1280],
      ["dark", 360],
    ] as const) {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize({ width, height: 800 });
      await goTo(place, title);
      await eventually(async () => expect(await page.locator(".loading").count()).toBe(0));
      expect([place, await findBarriers(page)]).toEqual([place, []]);
      const overflow = await page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth",
      );
      expect([place, width, overflow]).toEqual([place, width, 0]);
    }
  }
  await page.setViewportSize({ width: 1280, height: 800 });
});

inBrowser("the page of the login is usable by all, and loads what is our own alone", async () => {
  const page = await browser!.newPage({ viewport: { width: 360, height: 800 } });
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme });
    const response = await page.goto(`${api.url}/console/`);
    expect(response?.headers()["content-security-policy"]).toBe(
      "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    );
    await page.getByLabel("API key").waitFor();
    expect([colorScheme, await findBarriers(page)]).toEqual([colorScheme, []]);
  }
  await page.close();
});

inBrowser("a file that is dropped ends as a finished batch", async () => {
  const { page, goTo } = opened;
  await goTo("#/batches", "Batches");
  const text = `phone,external_ref\n${makeChats(40, 100)
    .map((chat, index) => `+${chat.slice(0, 11)},C${index}`)
    .join("\n")}\nnobody,x\n`;
  // A drag from outside of the browser, as far as a page can tell.
  const dropped = await page.evaluateHandle(
    `(() => { const all = new DataTransfer(); all.items.add(new File([${JSON.stringify(text)}], "customers.csv")); return all; })()`,
  );
  await page.locator(".drop").dispatchEvent("drop", { dataTransfer: dropped });
  await page.getByLabel("Instance").first().selectOption(instanceId);
  await page.getByRole("button", { name: "Ask for all avatars" }).click();
  await page.getByRole("heading", { level: 1, name: "customers.csv" }).waitFor();
  await page.getByText("40 of 40 contacts done").waitFor();
  await page.locator(".badge", { hasText: "Done" }).waitFor();
  await page.getByText("C39", { exact: true }).waitFor();
  const number = String(makeChats(1, 100)[0]?.slice(0, 11));
  expect(await page.content()).not.toContain(number);

  const save = async (name: string) => {
    const [saved] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("button", { name }).click(),
    ]);
    return { name: saved.suggestedFilename(), text: await readFile(await saved.path(), "utf8") };
  };
  const masked = await save("Download CSV");
  expect(masked.name).toMatch(/^[\da-f-]{36}\.avatars\.csv$/);
  expect([masked.text.includes("C39"), masked.text.includes(number)]).toEqual([true, false]);
  await page.getByRole("button", { name: "Show numbers" }).click();
  await page.getByText(number).waitFor();
  expect((await save("Download NDJSON")).text).toContain(number);
  const { items } = (await stage.call("/v1/audit?action=contact.revealed")).json() as {
    items: { detail: unknown }[];
  };
  expect(items.map(({ detail }) => detail)).toEqual([{ contacts: 40, file: true }, { contacts: 40 }]);

  await goTo(`#/instances/${instanceId}`, instanceId);
  // What draws it is loaded when there is something to draw.
  await page.locator(".chart canvas").waitFor();
});

/** The id by which the pages know the contact. */
async function findContact(chatId: string | undefined): Promise<string> {
  const known = await stage.call(`/v1/instances/${instanceId}/contacts/${chatId}`);
  return String(known.json()["contactId"]);
}

inBrowser(
  "the gallery shows all contacts while it is scrolled, and those of a status or of today",
  async () => {
    const { page, goTo } = opened;
    const [shown = "", missing = "", later = ""] = makeChats(3, 500);
    const more = makeChats(70, 600);
    stage.simulator.setTruth({ chatId: shown, kind: "present", picture: 1 });
    stage.simulator.setTruth({ chatId: missing, kind: "hidden" });
    const chatIds = [shown, missing, later, ...more];
    await stage.call("/v1/batches", { method: "POST", json: { instanceId, chatIds, label: "Faces" } });
    await eventually(async () => {
      const { counts } = (await stage.call("/v1/contacts/counts")).json() as { counts: { unknown: number } };
      expect(counts.unknown).toBe(0);
    });
    await goTo("#/gallery", "Gallery");
    await page.locator(".face").nth(59).waitFor();
    await eventually(async () => {
      await page.mouse.wheel(0, 20_000);
      expect(await page.getByText(/shown, these are all/).count()).toBe(1);
    });
    expect(await page.locator(".face").count()).toBeGreaterThan(chatIds.length);
    const broken = await page.evaluate(
      "[...document.images].filter((image) => image.complete && image.naturalWidth === 0).length",
    );
    expect(broken).toBe(0);
    await page.getByRole("button", { name: /^Hidden/ }).press("Enter");
    await page.locator(".face", { hasText: `${missing.slice(0, 4)}•••${missing.slice(7, 11)}` }).waitFor();
    expect(await page.locator(".face .status", { hasText: "Has a picture" }).count()).toBe(0);
    await page.getByRole("button", { name: "All", exact: true }).click();
    await page.getByLabel("Picture changed").selectOption("Today");
    await page.getByText("No contact is here").waitFor();
    expect(await page.content()).not.toContain(shown.slice(0, 11));
  },
);

inBrowser("a contact says why, is asked now, shown and erased", async () => {
  const { page, goTo } = opened;
  const [chatId = ""] = makeChats(1, 500);
  const number = page.getByRole("heading", { level: 1, name: chatId });
  await goTo(`#/contacts/${await findContact(chatId)}`, /•••/);
  await page.getByText("It is there").waitFor();
  await page.getByText("By then its answer is old enough to be looked at again.").waitFor();
  stage.simulator.setTruth({ chatId, kind: "present", picture: 2 });
  await page.getByRole("button", { name: "Ask now" }).press("Enter");
  await page.getByText("Asked. The answer: Has a picture.").waitFor();
  await eventually(async () => {
    await page.reload();
    await page.getByRole("heading", { level: 1, name: /•••/ }).waitFor();
    await page.getByText("Another picture", { exact: true }).waitFor({ timeout: 1_000 });
  });
  const sides = page.locator(".history li").first();
  await sides.getByRole("img", { name: "Picture since", exact: true }).waitFor();
  await page.getByRole("button", { name: "Show numbers" }).click();
  await number.waitFor();
  const audit = (await stage.call(`/v1/audit?contact=${chatId}`)).json() as { items: unknown[] };
  expect(audit.items).toMatchObject([{ action: "contact.revealed", instanceId }]);
  await page.getByRole("button", { name: "Hide numbers" }).click();
  await number.waitFor({ state: "detached" });
  await goTo("#/gallery?changed=today", "Gallery");
  await page.locator(".face").first().click();
  await page.getByRole("button", { name: "Erase" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Erase" }).click();
  await page.getByRole("heading", { level: 1, name: "Gallery" }).waitFor();
  expect((await stage.call(`/v1/instances/${instanceId}/contacts/${chatId}`)).status).toBe(404);
});

inBrowser("an instance is paused, changed and resumed, and the overview tells of it by itself", async () => {
  const { page, context, goTo } = opened;
  const other = await context.newPage();
  await other.goto(`${api.url}/console/#/overview`);
  await goTo("#/instances/1101000002", "1101000002");
  await page.getByRole("button", { name: "Pause" }).click();
  await other.locator("tr", { hasText: "1101000002" }).getByText("Paused").waitFor();
  await page.getByLabel("Name").fill("Sales");
  await page.locator("[name=requestsPerSecond]").fill("7.5");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByRole("heading", { level: 1, name: "Sales" }).waitFor();
  await page.getByRole("button", { name: "Resume" }).click();
  await other.locator("tr", { hasText: "Sales" }).getByText("Idle").waitFor();
  const { requestsPerSecond, state } = (await stage.call("/v1/instances/1101000002")).json();
  expect([requestsPerSecond, state]).toEqual([7.5, "active"]);
  await other.close();
});

inBrowser("a cap, quiet hours and their zone are set, and the pause in force is shown", async () => {
  const { page, goTo } = opened;
  await goTo("#/instances/1101000002", /Sales|1101000002/);
  await page.getByLabel("Calls a day at most").fill("500");
  const now = new Date().getUTCHours();
  const toTime = (hours: number) => `${String((now + hours + 24) % 24).padStart(2, "0")}:30`;
  const quietHours = `${toTime(-2)}-${toTime(3)}`;
  await page.locator("[name=quietHours]").fill(quietHours);
  await page.locator("[name=timeZone]").fill("Mars");
  await page.getByRole("button", { name: "Save" }).click();
  await page
    .getByText(/time zone/i)
    .last()
    .waitFor();
  await page.locator("[name=timeZone]").fill("Etc/UTC");
  await page.getByLabel("A person who waits is answered in quiet hours, too").check();
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("Quiet hours: no call is sent.").waitFor();
  await page.getByText("0 / 500", { exact: true }).waitFor();
  expect((await stage.call("/v1/instances/1101000002")).json()).toMatchObject({
    callsPerDay: 500,
    quietHours,
    timeZone: "Etc/UTC",
    quietInteractive: true,
  });
  await page.locator("[name=quietHours]").fill("");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("Quiet hours: no call is sent.").waitFor({ state: "detached" });
});

inBrowser("a key is made, shown once, and revoked by keyboard alone", async () => {
  const { page, goTo } = opened;
  await goTo("#/keys", "API keys");
  const opener = page.getByRole("button", { name: "Make a key" });
  await opener.press("Enter");
  await page.getByRole("dialog").waitFor();
  const focused = () =>
    page.evaluate(
      `({ tag: document.activeElement.tagName, isInside: document.activeElement.closest("dialog") !== null })`,
    );
  for (let tabs = 0; tabs < 15; tabs += 1) {
    await page.keyboard.press("Tab");
    const { tag, isInside } = (await focused()) as { tag: string; isInside: boolean };
    // The browser's own controls come in between.
    expect([tabs, tag === "BODY" || isInside]).toEqual([tabs, true]);
  }
  await page.getByRole("button", { name: "Cancel" }).press("Enter");
  await eventually(async () =>
    expect(await page.evaluate("document.activeElement.textContent")).toBe("Make a key"),
  );
  await opener.press("Enter");
  await page.getByLabel("Name").pressSequentially("Night shift");
  await page.getByLabel("Name").press("Enter");
  const token = (await page.locator(".secret code").textContent()) ?? "";
  const asked = await stage.call("/v1/keys/self", { key: token });
  expect(asked.json()).toMatchObject({ label: "Night shift", scopes: ["read"] });
  await page.getByRole("button", { name: "I have kept it" }).click();
  expect(await page.content()).not.toContain(token);
  const row = page.locator("tr", { hasText: "Night shift" });
  await row.getByRole("button", { name: "Revoke" }).press("Enter");
  await page.getByRole("dialog").getByRole("button", { name: "Revoke" }).press("Enter");
  await row.getByText("Revoked").waitFor();
});

inBrowser("a key with an end makes keys that end with it, and offers no longer life", async () => {
  const key = await stage.createKey({ expiresInMs: 10 * 86_400_000 });
  const short = await openConsole(browser!, api.url, key);
  await short.goTo("#/keys", "API keys");
  await short.page.getByRole("button", { name: "Make a key" }).click();
  const dialog = short.page.getByRole("dialog");
  expect(await dialog.locator("[name=days] option").allTextContents()).toEqual([
    expect.stringMatching(/^with your own key, on /),
    "in 7 days",
  ]);
  await dialog.getByRole("button", { name: "Make a key" }).click();
  const token = (await short.page.locator(".secret code").textContent()) ?? "";
  const [made, own] = await Promise.all(
    [token, key].map(async (one) => (await stage.call("/v1/keys/self", { key: one })).json()["expiresAt"]),
  );
  const aheadMs = new Date(String(own)).getTime() - new Date(String(made)).getTime();
  expect(aheadMs).toBeGreaterThan(0);
  expect(aheadMs).toBeLessThan(3_600_000);
  await short.context.close();
});

inBrowser("a webhook is added, tested, turned off and on, given another secret, and removed", async () => {
  const { page, goTo } = opened;
  const press = async (name: string) => page.getByRole("button", { name }).click();
  const confirm = async (name: string) => page.getByRole("dialog").getByRole("button", { name }).click();
  const secret = async () => (await page.locator(".secret code").textContent()) ?? "";
  receiver.answer(() => 204);
  await goTo("#/webhooks", "Webhooks");
  await press("Add a webhook");
  await page.getByLabel("URL").fill("http://10.0.0.1/hook");
  await confirm("Add a webhook");
  await page.getByRole("dialog").getByRole("alert").waitFor();
  await page.getByLabel("URL").fill(receiver.url);
  await page.getByLabel("Name").fill("Shop");
  await confirm("Add a webhook");
  const first = await secret();
  expect(first).toMatch(/^whsec_/);
  await press("I have kept it");
  expect(await page.content()).not.toContain(first);

  await page.getByRole("link", { name: "Shop" }).click();
  await press("Test");
  await page.getByText(/The test was taken: 204/).waitFor();
  await page.locator("tr", { hasText: "webhook.test" }).getByText("204").waitFor();
  expect(receiver.received.at(-1)).toMatchObject({ type: "webhook.test", answered: 204 });
  receiver.answer(() => 500);
  await press("Test");
  await page.getByText(/The test was not taken: 500, refused/).waitFor();
  await press("Disable");
  await page.getByText(/Disabled .*: turned off by a person/).waitFor();
  await press("Enable");
  await confirm("From where it stopped");
  await page.getByText("Active", { exact: true }).waitFor();
  await press("New secret");
  await confirm("New secret");
  expect(await secret()).not.toBe(first);
  await press("Remove");
  await confirm("Remove");
  await page.getByRole("heading", { level: 1, name: "Webhooks" }).waitFor();
  await page.locator("tr", { hasText: "CRM" }).waitFor();
  expect(await page.locator("tr", { hasText: "Shop" }).count()).toBe(0);
});

inBrowser("what a key may not do is refused in words, whatever a page sends", async () => {
  const small = await openConsole(browser!, api.url, await stage.createKey({ scopes: ["read"] }));
  const { operations } = readDocument((await stage.call("/openapi.json")).text);
  const mutations = operations
    .filter(({ method, scopes }) => method !== "GET" && scopes?.join() !== "read")
    .map(({ method, path }) => ({
      method,
      url: api.url + toPath(path, { id: instanceId, chatId: chats[0]! }),
    }));
  expect(mutations.length).toBeGreaterThan(20);
  const refused = await small.page.evaluate(async (calls) => {
    const answers: [string, number, string][] = [];
    for (const { method, url } of calls) {
      const headers = { "content-type": "application/json", "x-avatars-console": "1" };
      const response = await fetch(url, { method, headers, body: "{}" });
      const { detail } = (await response.json()) as { detail: string };
      answers.push([`${method} ${url}`, response.status, detail]);
    }
    return answers;
  }, mutations);
  for (const [call, status, detail] of refused)
    expect([call, status, detail]).toEqual([
      call,
      403,
      expect.stringMatching(/^this needs a key with the scope/),
    ]);
  await small.goTo(`#/instances/${instanceId}`, instanceId);
  await small.page.getByRole("button", { name: "Pause" }).click();
  await small.page.getByText(/Your key does not allow this: this needs a key with the scope admin/).waitFor();
  await small.goTo(`#/contacts/${await findContact(chats[0])}`, /•••/);
  await small.page.getByRole("button", { name: "Ask now" }).click();
  await small.page.getByText(/this needs a key with the scope enqueue/).waitFor();
  await small.page.getByRole("button", { name: "Erase" }).click();
  await small.page.getByRole("dialog").getByRole("button", { name: "Erase" }).click();
  await small.page
    .getByRole("dialog")
    .getByText(/this needs a key with the scope admin/)
    .waitFor();
  for (const [place, title] of [
    ["#/keys", "API keys"],
    ["#/webhooks", "Webhooks"],
  ] as const) {
    const scope = place.slice(2);
    await small.goTo(place, title);
    await small.page.getByText(`this needs a key with the scope ${scope}`).waitFor();
    expect(await small.page.getByRole("link", { name: title }).count()).toBe(0);
  }
  await small.context.close();
});

inBrowser("a link logs in once, and leaves nothing in the address", async () => {
  const sessions = createConsoleSessions({ quick: stage.database });
  const link = await sessions.offerLink({ id: stage.key.slice(4, 16) });
  const first = await browser!.newPage();
  await first.goto(`${api.url}/console/#login=${link}`);
  await first.getByRole("heading", { level: 1, name: "Overview" }).waitFor();
  expect(first.url()).not.toContain(link);
  const second = await browser!.newPage();
  await second.goto(`${api.url}/console/#login=${link}`);
  await second.getByText(/this link has been used/).waitFor();
  await first.close();
  await second.close();
});

inBrowser(
  "a page that is opened by its address asks for one stream, and does not wait for the session",
  async () => {
    const { items } = (await stage.call("/v1/batches")).json() as { items: { id: string }[] };
    const page = await opened.context.newPage();
    const streams: string[] = [];
    page.on("request", (request) => {
      const { pathname, searchParams } = new URL(request.url());
      if (pathname.endsWith("/console/stream")) streams.push(searchParams.get("batch") ?? "");
    });
    const asked = page.waitForRequest("**/console/stream?*");
    await page.route("**/v1/keys/self", async (route) => {
      await asked;
      await route.continue();
    });
    await page.goto(`${api.url}/console/#/batches/${items[0]?.id}`);
    await page.locator(".link-state", { hasText: "Live" }).waitFor();
    await page.getByText(/contacts done/).waitFor();
    expect(streams).toEqual([items[0]?.id]);
    await page.close();
  },
);

inBrowser("without a session the page asks for a stream once, and no more", async () => {
  const context = await browser!.newContext();
  const page = await context.newPage();
  const requests: string[] = [];
  page.on("request", (request) => requests.push(new URL(request.url()).pathname));
  await page.clock.install();
  await page.goto(`${api.url}/console/`);
  await page.getByLabel("API key").waitFor();
  await page.clock.runFor(60_000);
  expect(requests.filter((path) => path.endsWith("/console/stream"))).toHaveLength(1);
  expect(requests.filter((path) => /readyz|self/.test(path))).toEqual(["/v1/keys/self"]);
  await context.close();
});

inBrowser("the overview does not say that there is no instance before it was told", async () => {
  const page = await opened.context.newPage();
  await page.addInitScript(`
    self.seen = new Set();
    new MutationObserver(() => { if (document.querySelector(".empty")) self.seen.add("empty"); })
      .observe(document, { childList: true, subtree: true });
  `);
  await page.goto(`${api.url}/console/#/overview`);
  await page.locator("tbody tr").first().waitFor();
  expect(await page.evaluate("[...self.seen]")).toEqual([]);
  await page.close();
});

inBrowser("while Postgres or Redis is away the page says so, and comes back by itself", async () => {
  const { page, goTo } = opened;
  await goTo("#/overview", "Overview");
  const row = page.locator("tr", { hasText: instanceId });
  await row.waitFor();
  const queue = page.getByText(/The queue \(Redis\) has not answered since \d\d:\d\d:\d\d/);
  const postgres = page.getByText(/Postgres has not answered since \d\d:\d\d:\d\d/);
  if (redis) {
    await redis.close();
    await queue.waitFor();
    redis = await startLocalRedis(Number(new URL(redis.url).port));
    await queue.waitFor({ state: "detached" });
  }
  valve.set("away");
  await postgres.waitFor();
  expect(await row.count()).toBe(1);
  // Nor does another page of it give up.
  await page.goto(`${api.url}/console/#/audit`);
  await page
    .getByRole("alert")
    .getByText(/Trying again/)
    .waitFor();
  valve.set("open");
  await postgres.waitFor({ state: "detached" });
  await page.locator("tbody tr").first().waitFor();
  await page.getByText("Live", { exact: true }).waitFor();
});

inBrowser("a server that starts again in mid-stream is found again, with the session", async () => {
  const { page, goTo } = opened;
  await goTo("#/overview", "Overview");
  const port = Number(new URL(api.url).port);
  await api.stop();
  await page.getByText(/The server has not answered since \d\d:\d\d:\d\d/).waitFor();
  api = await stage.serve({ databaseUrl: valve.url, port, env });
  await page.getByText("Live", { exact: true }).waitFor();
  await stage.call(`/v1/instances/${instanceId}/pause`, { method: "POST" });
  await page.locator("tr", { hasText: instanceId }).getByText("Paused").waitFor();
});
