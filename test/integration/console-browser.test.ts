import type { Browser } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { createConsoleSessions } from "../../src/app/subjects/console-sessions.ts";
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
const env = { AVATARS_WEBHOOK_NETWORKS: "127.0.0.0/8" };

beforeAll(async () => {
  receiver = await openReceiver();
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
  expect(await page.content()).not.toContain(makeChats(1, 100)[0]?.slice(0, 11));
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
  await page.getByRole("button", { name: "Make a key" }).press("Enter");
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

inBrowser("what a key may not do is refused in words", async () => {
  const small = await openConsole(browser!, api.url, await stage.createKey({ scopes: ["read"] }));
  await small.goTo(`#/instances/${instanceId}`, instanceId);
  await small.page.getByRole("button", { name: "Pause" }).click();
  await small.page.getByText(/Your key does not allow this: this needs a key with the scope admin/).waitFor();
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

inBrowser("while Postgres is away the page says so, and comes back by itself", async () => {
  const { page, goTo } = opened;
  await goTo("#/overview", "Overview");
  await page.locator("tr", { hasText: instanceId }).waitFor();
  valve.set("away");
  await page.getByText(/Postgres does not answer/).waitFor();
  expect(await page.locator("tr", { hasText: instanceId }).count()).toBe(1);
  valve.set("open");
  await page.getByText(/Postgres does not answer/).waitFor({ state: "detached" });
});

inBrowser("a server that starts again in mid-stream is found again, with the session", async () => {
  const { page, goTo } = opened;
  await goTo("#/overview", "Overview");
  const port = Number(new URL(api.url).port);
  await api.stop();
  await page.getByText(/The server does not answer/).waitFor();
  api = await stage.serve({ databaseUrl: valve.url, port, env });
  await page.getByText("Live", { exact: true }).waitFor();
  await stage.call(`/v1/instances/${instanceId}/pause`, { method: "POST" });
  await page.locator("tr", { hasText: instanceId }).getByText("Paused").waitFor();
});
