import { afterEach, describe, expect, test } from "vitest";
import type { ListedContact } from "../../src/simulator/world/contact-list.ts";
import type { SimulatorOptions } from "../../src/simulator/world/simulator-options.ts";
import { type Simulator, startSimulator } from "../../src/simulator/start-simulator.ts";

const instanceId = "1101000001";
const token = "d75b3a66374942c5b3c019c698abc2067e151558acbd412345";
const running: Simulator[] = [];

/** Quick, and without a budget unless a test is about that. */
async function start(options: SimulatorOptions = {}): Promise<Simulator> {
  const simulator = await startSimulator({ latencyMs: 0, contactsRequestsPerSecond: 10_000, ...options });
  running.push(simulator);
  return simulator;
}

afterEach(async () => {
  await Promise.all(running.splice(0).map((simulator) => simulator.close()));
});

interface Listed {
  readonly status: number;
  readonly text: string;
}

async function list(simulator: Simulator, query = "", id = instanceId): Promise<Listed> {
  const answer = await fetch(`${simulator.url}/waInstance${id}/getContacts/${token}${query}`);
  return { status: answer.status, text: await answer.text() };
}

async function listContacts(simulator: Simulator, query = "", id = instanceId): Promise<ListedContact[]> {
  return JSON.parse((await list(simulator, query, id)).text) as ListedContact[];
}

async function control(simulator: Simulator, order: string, body?: unknown) {
  const [method = "", path = ""] = order.split(" ");
  const init = body === undefined ? { method } : { method, body: JSON.stringify(body) };
  const answer = await fetch(`${simulator.url}/__control${path}`, init);
  return { status: answer.status, json: await answer.json() };
}

const countBy = (contacts: readonly ListedContact[], pattern: RegExp) =>
  contacts.filter(({ id }) => pattern.test(id)).length;

describe("the contact list of an instance", () => {
  test("has users, groups, a broadcast and a newsletter, each once", async () => {
    const contacts = await listContacts(await start());
    expect(new Set(contacts.map(({ id }) => id)).size).toBe(100);
    expect(countBy(contacts, /^7\d{10}@c\.us$/)).toBe(90);
    expect(countBy(contacts, /^(120363\d{10}|7\d{10}-\d{10})@g\.us$/)).toBe(8);
    expect(countBy(contacts, /^(status@broadcast|\d+@newsletter)$/)).toBe(2);
    expect(contacts.find(({ type }) => type === "user")).toEqual({
      id: expect.any(String) as unknown,
      name: expect.any(String) as unknown,
      contactName: expect.stringMatching(/./) as unknown,
      type: "user",
    });
  });

  test("is the same for the same seed, and another for another seed or instance", async () => {
    const [one, again, other] = await Promise.all([start(), start(), start({ seed: 2 })]);
    const contacts = await listContacts(one);
    expect(await listContacts(again)).toEqual(contacts);
    expect(one.contacts(instanceId)).toEqual(contacts);
    expect(await listContacts(other)).not.toEqual(contacts);
    expect(await listContacts(one, "", "1101000002")).not.toEqual(contacts);
  });

  test("is as long as it is told to be, for all or for one", async () => {
    const simulator = await start({ contacts: { users: 3, groups: 2, others: 1 } });
    expect(await listContacts(simulator)).toHaveLength(6);
    const contacts = { users: 0, groups: 0, others: 0 };
    await control(simulator, "PUT /contacts", { contacts, instanceId });
    expect(await list(simulator)).toEqual({ status: 200, text: "[]" });
    expect(await listContacts(simulator, "", "1101000002")).toHaveLength(6);
    simulator.setContacts({ users: 1, groups: 0, others: 0 });
    expect(await listContacts(simulator, "", "1101000002")).toHaveLength(1);
    const { json } = await control(simulator, "GET /contacts?instanceId=1101000002");
    expect(json).toEqual(simulator.contacts("1101000002"));
  });

  test.each([
    ["?group=true", ["group"], 8],
    ["?group=false", ["user"], 90],
    ["?group=false&count=5", ["user"], 5],
    ["?count=1000", ["broadcast", "group", "newsletter", "user"], 100],
    ["?count=few&group=maybe", ["broadcast", "group", "newsletter", "user"], 100],
  ])("%s gives the part that it asks for", async (query, types, count) => {
    const contacts = await listContacts(await start(), query);
    expect([...new Set(contacts.map(({ type }) => type))].toSorted()).toEqual(types);
    expect(contacts).toHaveLength(count);
  });

  test.each([
    [{ users: 900_001, groups: 0, others: 0 }, '"users" in the contacts must be a number from 0 to 900000'],
    [{ users: 1, groups: 0 }, '"others" in the contacts is missing'],
    [undefined, "the contacts must be a JSON object"],
  ])("cannot be %j", async (contacts, error) => {
    const answer = await control(await start(), "PUT /contacts", { contacts });
    expect(answer).toEqual({ status: 400, json: { error } });
  });
});

describe("getContacts", () => {
  test("is limited by itself, to one in any second", async () => {
    const simulator = await start({ contactsRequestsPerSecond: 1, stateRequestsPerSecond: 1 });
    const state = fetch(`${simulator.url}/waInstance${instanceId}/getStateInstance/${token}`);
    const calls = [list(simulator), list(simulator), list(simulator, "", "1101000002")];
    const statuses = (await Promise.all(calls)).map(({ status }) => status);
    expect([new Set(statuses.slice(0, 2)), statuses[2]]).toEqual([new Set([200, 429]), 200]);
    expect((await state).status).toBe(200);
    expect(simulator.readLog({ method: "getContacts", outcome: "limited" })).toHaveLength(1);
  });

  test("is written into the log without a chat", async () => {
    const simulator = await start();
    await list(simulator);
    expect(simulator.readLog({ method: "getContacts" })).toMatchObject([
      { instanceId, chatId: "", status: 200, outcome: "contacts" },
    ]);
  });

  test("plays its own scripts: empty first, then in a disguise, then a page", async () => {
    const simulator = await start();
    const answers = [{ status: 200, body: [] }, "disguised-401", "html-200"];
    await control(simulator, "PUT /scripts", { method: "getContacts", answers });
    expect((await list(simulator)).text).toBe("[]");
    expect(JSON.parse((await list(simulator)).text)).toEqual({ code: 401, description: "Unauthorized" });
    expect((await list(simulator)).text).toMatch(/^<html>/);
    expect(await listContacts(simulator)).toHaveLength(100);
  });

  test.each([
    ["starting", 400, "in starting process"],
    ["notAuthorized", 400, "not authorized"],
    ["expired", 400, "expired"],
    ["authorized", 200, "@c.us"],
  ])("of an instance that is %s is answered with %i", async (state, status, text) => {
    const simulator = await start();
    simulator.setState(instanceId, state);
    expect(await list(simulator)).toEqual({ status, text: expect.stringContaining(text) as unknown });
  });

  test("with a wrong token is a 401, and posted it is a 404", async () => {
    const simulator = await start({ token: "another" });
    expect(await list(simulator)).toEqual({ status: 401, text: "" });
    const url = `${simulator.url}/waInstance${instanceId}/getContacts/${token}`;
    expect((await fetch(url, { method: "POST" })).status).toBe(404);
  });
});
