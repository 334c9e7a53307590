import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openApiStage, type ApiStage } from "../support/api-stage.ts";
import type { OutcomeName } from "../../src/simulator/outcomes/outcomes.ts";
import { eventually } from "../support/eventually.ts";
import { parseCsv } from "../support/stage.ts";

/** The longest that the provider gives. */
const instanceId = "110100000112";

interface Contact {
  readonly status: string;
  readonly avatar: { readonly url: string | null; readonly version: string | null } | null;
  readonly missing: { readonly reason: string; readonly detail: string } | null;
  readonly imageSha256: string | null;
  readonly lastError: string | null;
  readonly attempts: number;
}

const withoutUrl = { status: "present", avatar: { url: null } };
const toPath = (chatId: string) => `/v1/instances/${instanceId}/contacts/${chatId}`;

async function refresh(stage: ApiStage, digits: string): Promise<Contact> {
  const path = `${toPath(`79001${digits}@c.us`)}/refresh?wait=30s`;
  const answer = await stage.call(path, { method: "POST", deadlineMs: 40_000 });
  expect(answer.status).toBe(200);
  return answer.json() as unknown as Contact;
}

/** The versions that the feed tells of a contact, e.g. `>/a`: there was none before. */
async function readChanges(stage: ApiStage, chatId: string): Promise<string[]> {
  const { items } = (await stage.call(`${toPath(chatId)}/history`)).json();
  return (items as { from: string | null; to: string | null }[])
    .map(({ from, to }) => `${from ?? ""}>${to ?? ""}`)
    .toReversed();
}

/** The contact's answers from now on. */
const script = (stage: ApiStage, chatId: string, answer: OutcomeName) =>
  stage.simulator.script({ chatId, answers: [answer], times: "forever" });

describe("without images", () => {
  let stage: ApiStage;

  beforeAll(async () => {
    stage = await openApiStage();
    await stage.addInstance(instanceId);
    // Restricted in what it sends: it can still read.
    stage.simulator.setState(instanceId, "suspended");
    await stage.startWorker();
  });
  afterAll(() => stage.close());

  test("absent is said to mean none set, or no account, in each place", async () => {
    expect(await refresh(stage, "990002")).toMatchObject({
      status: "absent",
      missing: { reason: "no-picture", detail: "not set, or no WhatsApp account" },
    });
    const document = await stage.call("/openapi.json");
    expect(document.text).toContain("`absent` (not set, or no WhatsApp account)");
  });

  test.each([
    ["an image beside an empty URL", "990036"],
    ["an image in the place of the URL", "990037"],
  ])("%s is present, and why nothing is shown is told", async (_, digits) => {
    const contact = await refresh(stage, digits);
    expect(contact).toMatchObject({ ...withoutUrl, missing: { reason: "not-kept" }, imageSha256: null });
    expect(contact.avatar?.version).toMatch(/^sha256:/);
    expect(contact.lastError).toContain("AVATARS_IMAGES is off");
  });

  test("a data URI is present, and its own URL", async () => {
    const { status, avatar, missing } = await refresh(stage, "990033");
    expect({ status, missing }).toEqual({ status: "present", missing: null });
    expect(avatar?.url).toMatch(/^data:image\/png;base64,/);
  });

  test("words in the place of a URL and of an image are none of both", async () => {
    expect(await refresh(stage, "990024")).toMatchObject({ status: "absent", lastError: null });
  });

  test("an SVG, in either form, is no picture, and no proof that there is none", async () => {
    for (const digits of ["990038", "990039"]) {
      const path = `${toPath(`79001${digits}@c.us`)}/refresh?wait=0`;
      expect((await stage.call(path, { method: "POST" })).status).toBe(202);
    }
    for (const digits of ["990038", "990039"]) {
      await eventually(async () => {
        const contact = (await stage.call(toPath(`79001${digits}@c.us`))).json() as unknown as Contact;
        expect(contact).toMatchObject({ status: "unknown", avatar: null });
        expect(contact.attempts).toBeGreaterThan(0);
        expect(contact.lastError).toContain("not understood");
      });
    }
    // The contacts were charged, since the state was looked at: suspended is one that works.
    const instance = await stage.call(`/v1/instances/${instanceId}`);
    expect(instance.json()).toMatchObject({ state: "active", stateSeen: "suspended" });
  });

  test("results tell of a picture without a URL, and that nothing of it is kept", async () => {
    const posted = await stage.call("/v1/batches", {
      method: "POST",
      json: { instanceId, chatIds: ["79002990036@c.us"] },
    });
    const path = `/v1/batches/${String(posted.json()["id"])}/results.csv`;
    const row = await eventually(async () => {
      const [read] = parseCsv((await stage.call(path)).text);
      expect(read).toMatchObject({ status: "present" });
      return read;
    });
    expect(row).toMatchObject({ avatar_url: "", image_sha256: "" });
    expect(row?.["last_error"]).toContain("no URL");
  });

  test("a picture of MAX changes with its r, and with nothing else in its URL", async () => {
    const digits = "100001";
    const chatId = `79001${digits}@c.us`;
    script(stage, chatId, "present-max");
    const first = await refresh(stage, digits);
    const again = await refresh(stage, digits);
    expect(again.avatar?.url).not.toBe(first.avatar?.url);
    expect(again.avatar?.version).toMatch(/^\/i\?r=/);
    const before = `>${first.avatar?.version}`;
    expect(await readChanges(stage, chatId)).toEqual([before]);
    stage.simulator.setTruth({ chatId, picture: 1 });
    const changed = await refresh(stage, digits);
    expect(await readChanges(stage, chatId)).toEqual([
      before,
      `${first.avatar?.version}>${changed.avatar?.version}`,
    ]);
  });

  test("whether a picture of an unknown host changes is unknown, and no change is invented", async () => {
    const digits = "100002";
    const chatId = `79001${digits}@c.us`;
    script(stage, chatId, "present-elsewhere");
    const first = await refresh(stage, digits);
    const again = await refresh(stage, digits);
    expect([first.avatar?.version, again.avatar?.version]).toEqual([null, null]);
    expect(again.avatar?.url).not.toBe(first.avatar?.url);
    expect(await readChanges(stage, chatId)).toEqual([">unknown"]);
    script(stage, chatId, "present");
    const known = (await refresh(stage, digits)).avatar?.version;
    script(stage, chatId, "present-elsewhere");
    await refresh(stage, digits);
    stage.simulator.setTruth({ chatId, picture: 1 });
    script(stage, chatId, "present");
    const changed = (await refresh(stage, digits)).avatar?.version;
    script(stage, chatId, "absent");
    await refresh(stage, digits);
    expect(await readChanges(stage, chatId)).toEqual([">unknown", `${known}>${changed}`, `${changed}>`]);
  });

  test.each([
    ["783500000112", "https://7835.api.greenapi.com", "WhatsApp Business API"],
    ["310000000112", "https://3100.api.green-api.com/v3", "MAX"],
  ])("instance %s is added, and said to have no avatars that are read", async (id, apiUrl, words) => {
    const json = { id, apiUrl, token: "anything" };
    const added = await stage.call("/v1/instances", { method: "POST", json });
    expect([added.status, added.json()["remark"]]).toEqual([201, expect.stringContaining(words)]);
  });
});

describe("with images", () => {
  let stage: ApiStage;

  beforeAll(async () => {
    stage = await openApiStage({ images: true });
    await stage.addInstance(instanceId);
    await stage.startWorker();
  });
  afterAll(() => stage.close());

  test.each([
    ["present-elsewhere", "100001"],
    ["present-elsewhere-fixed", "100002"],
  ] as const)("%s: the bytes of a picture tell whether it changes", async (outcome, digits) => {
    const chatId = `79001${digits}@c.us`;
    stage.simulator.setTruth({ chatId, kind: "present" });
    script(stage, chatId, outcome);
    const showsPicture = async () => {
      const sha256 = stage.simulator.picture(instanceId, chatId)?.sha256 ?? "";
      await eventually(async () => {
        const contact = (await stage.call(toPath(chatId))).json();
        expect(contact).toMatchObject({ imageSha256: sha256, avatar: { version: `sha256:${sha256}` } });
      });
      return `sha256:${sha256}`;
    };
    const countTaken = () =>
      stage.simulator.countPictures({ chatId }).reduce((sum, { served }) => sum + served, 0);
    await refresh(stage, digits);
    const first = await showsPicture();
    await refresh(stage, digits);
    await eventually(() => expect(countTaken()).toBe(2));
    stage.simulator.setTruth({ chatId, picture: 1, address: 0 });
    await refresh(stage, digits);
    const second = await showsPicture();
    expect(second).not.toBe(first);
    expect(await readChanges(stage, chatId)).toEqual([`>${first}`, `${first}>${second}`]);
  });

  test.each(["990033", "990036", "990037"])(
    "a picture that came without a URL (…%s) is shown",
    async (digits) => {
      const contact = await refresh(stage, digits);
      expect(contact).toMatchObject({ ...withoutUrl, lastError: null });
      await eventually(async () => {
        const shown = (await stage.call(toPath(`79001${digits}@c.us`))).json();
        expect(shown).toMatchObject({ imageSha256: expect.any(String), missing: null });
      });
    },
  );
});
