import { connect } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import type { LoggedCall } from "../../src/simulator/world/call-log.ts";
import { outcomeNames, type OutcomeName } from "../../src/simulator/outcomes/outcomes.ts";
import type { SimulatorOptions } from "../../src/simulator/world/simulator-options.ts";
import { type Simulator, startSimulator } from "../../src/simulator/start-simulator.ts";
import { findOverfullSecond } from "../support/sliding-second.ts";

const instanceId = "1101000001";
const token = "d75b3a66374942c5b3c019c698abc2067e151558acbd412345";
const chatId = "79001234567@c.us";
const running: Simulator[] = [];

/** Quick and without a budget, unless a test is about these. */
async function start(options: SimulatorOptions = {}): Promise<Simulator> {
  const quiet = { latencyMs: 0, troubledShare: 0, requestsPerSecond: 10_000, stateRequestsPerSecond: 10_000 };
  const simulator = await startSimulator({ ...quiet, ...options });
  running.push(simulator);
  return simulator;
}

afterEach(async () => {
  await Promise.all(running.splice(0).map((simulator) => simulator.close()));
});

interface Received {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The body as JSON; undefined where it is none. */
  readonly json: unknown;
}

interface CallOptions {
  readonly instanceId?: string;
  readonly token?: string;
  readonly signal?: AbortSignal;
}

async function call(simulator: Simulator, chat: string, options: CallOptions = {}): Promise<Received> {
  const url = `${simulator.url}/waInstance${options.instanceId ?? instanceId}/getAvatar/${options.token ?? token}`;
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ chatId: chat }),
    signal: options.signal ?? null,
  });
  return receive(response);
}

async function receive(response: Response): Promise<Received> {
  const text = await response.text();
  return { status: response.status, headers: response.headers, text, json: toJson(text) };
}

function toJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

async function readState(simulator: Simulator, id = instanceId): Promise<Received> {
  return receive(await fetch(`${simulator.url}/waInstance${id}/getStateInstance/${token}`));
}

async function control(simulator: Simulator, order: string, body?: unknown): Promise<Received> {
  const [method = "", path = ""] = order.split(" ");
  const init = body === undefined ? { method } : { method, body: JSON.stringify(body) };
  return receive(await fetch(`${simulator.url}/__control${path}`, init));
}

const picture = expect.stringMatching(
  /^https:\/\/pps\.whatsapp\.net\/v\/t61\.24694-24\/[\d_]+_n\.jpg\?ccb=11-4&oh=[\w-]+&oe=[0-9A-F]{8}&_nc_sid=\w+/,
) as unknown;
const elsewhere = expect.stringMatching(
  /^https:\/\/pictures\.example\.net\/avatar\?of=[\w-]+&signature=[\d.]+$/,
) as unknown;
const fails = Symbol("no answer");

function apiError(status: number, message: string | RegExp) {
  const path = `/waInstance${instanceId}/getAvatar/${token}`;
  const timestamp = expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/) as unknown;
  const text: unknown = typeof message === "string" ? message : expect.stringMatching(message);
  return { status, json: { statusCode: status, timestamp, path, message: text } };
}

function ok(json: unknown) {
  return { status: 200, json };
}

function spent(status: string): unknown {
  return { invokeStatus: expect.objectContaining({ method: "getavatar", status }) as unknown };
}

/** What arrives at the client, for every outcome there is. */
const arrivals: Record<OutcomeName, object | typeof fails> = {
  present: ok({ urlAvatar: picture, available: true }),
  absent: ok({ urlAvatar: "", available: true }),
  hidden: ok({ urlAvatar: "", available: false }),
  untold: ok({ urlAvatar: "" }),
  "chat-timeout": ok(expect.objectContaining({ reason: "get avatar timeout limit exceeded" })),
  "bad-request-200": ok(expect.objectContaining({ reason: "bad request data" })),
  "rate-overlimit": ok(expect.objectContaining({ reason: "rate-overlimit" })),
  "disguised-401": ok({ code: 401, description: "Unauthorized" }),
  "status-false-timeout": ok({ status: false, reason: "get avatar timeout limit exceeded" }),
  "status-false-invalid": ok({ status: false, reason: "bad request data" }),
  "status-false-unknown": ok({ status: false, reason: "something went wrong" }),
  "url-null": ok({ urlAvatar: null, available: true }),
  "url-blank": ok({ urlAvatar: "   ", available: true }),
  "url-undefined": ok({ urlAvatar: "undefined", available: false }),
  "url-missing": ok({ available: false }),
  "present-2020": ok({ existsWhatsapp: true, urlAvatar: picture }),
  "untold-2020": ok({ existsWhatsapp: false, urlAvatar: "" }),
  "present-2026": ok({ urlAvatar: picture, base64Avatar: expect.any(String) as unknown, available: true }),
  "present-data-uri": ok({
    urlAvatar: expect.stringMatching(/^data:image\/png;base64,/) as unknown,
    available: true,
  }),
  "present-expired": ok({ urlAvatar: picture, available: true }),
  "present-without-expiry": ok({ urlAvatar: expect.not.stringContaining("oe=") as unknown, available: true }),
  "present-base64": ok({
    urlAvatar: "",
    base64Avatar: expect.stringMatching(/^iVBOR/) as unknown,
    available: true,
  }),
  "present-raw-base64": ok({ urlAvatar: expect.stringMatching(/^iVBOR/) as unknown, available: true }),
  "svg-base64": ok({
    urlAvatar: "",
    base64Avatar: expect.stringMatching(/^PHN2Zy/) as unknown,
    available: true,
  }),
  "svg-data-uri": ok({
    urlAvatar: expect.stringMatching(/^data:image\/svg\+xml;base64,PHN2Zy/) as unknown,
    available: true,
  }),
  "base64-null": ok({ urlAvatar: "undefined", base64Avatar: "null", available: true }),
  "present-max": ok({
    urlAvatar: expect.stringMatching(/^https:\/\/i\.oneme\.ru\/i\?fn=w_\d+&r=[\w-]+$/) as unknown,
  }),
  "present-elsewhere": ok({ urlAvatar: elsewhere }),
  "present-elsewhere-fixed": ok({ urlAvatar: elsewhere }),
  "html-200": { status: 200, json: undefined, text: expect.stringMatching(/^<html>/) as unknown },
  "truncated-200": { status: 200, json: undefined, text: expect.stringMatching(/^{"urlAvatar"/) as unknown },
  "empty-200": { status: 200, text: "" },
  "bad-request-400": apiError(400, "bad request data"),
  "validation-400": apiError(400, /^Validation failed\. Details: 'chatId' must be /),
  "starting-400": apiError(400, "instance in starting process try later"),
  "not-authorized-400": apiError(400, "instance is starting or not authorized"),
  "account-not-authorized-400": { status: 400, text: "instance account not authorized" },
  "expired-400": apiError(400, /^Instance account is expired/),
  "deleted-400": apiError(400, "Instance is deleted"),
  "unknown-400": apiError(400, "internal check failed"),
  "unauthorized-401": { status: 401, text: "" },
  "forbidden-403": { status: 403, text: expect.stringMatching(/^<html>/) as unknown },
  "not-found-404": apiError(404, /^Cannot POST \/waInstance/),
  "throttled-429": { status: 429 },
  "throttled-429-seconds": { status: 429 },
  "throttled-429-date": { status: 429 },
  "quota-466": { status: 466, json: spent("QUOTE_EXCEEDED") },
  "quota-466-respelt": { status: 466, json: spent("QUOTA_EXCEEDED") },
  "correspondents-466": {
    status: 466,
    json: {
      invokeStatus: expect.objectContaining({ status: "QUOTE_ALLOWED" }) as unknown,
      correspondentsStatus: expect.objectContaining({
        status: "CORRESPONDENTS_QUOTE_EXCEEDED",
        description: expect.stringMatching(/(\d{11}@c\.us,){2}\d{11}@c\.us/) as unknown,
      }) as unknown,
    },
  },
  "client-closed-499": { status: 499 },
  "server-error-500": apiError(500, "Internal server error"),
  "bad-gateway-502": { status: 502, text: expect.stringMatching(/^<html>/) as unknown },
  "unavailable-503": { status: 503 },
  "gateway-timeout-504": { status: 504 },
  "connection-reset": fails,
  "connection-cut": fails,
  stall: fails,
};

/** Calls, and expects what `name` stands for; gives up on a stalled call as soon as the log shows it. */
async function expectArrival(simulator: Simulator, name: OutcomeName, chat: string): Promise<void> {
  const arrival = arrivals[name];
  if (arrival !== fails) {
    expect(await call(simulator, chat)).toMatchObject(arrival);
  } else {
    const patience = new AbortController();
    const answer = call(simulator, chat, { signal: patience.signal });
    const rejection = expect(answer).rejects.toThrow();
    await expect.poll(() => simulator.readLog({ chatId: chat, outcome: name })).toHaveLength(1);
    if (name === "stall") patience.abort();
    await rejection;
  }
  expect(simulator.readLog({ chatId: chat }).map((logged) => logged.outcome)).toEqual([name]);
}

describe("every outcome", () => {
  test.each(outcomeNames)("%s is told to a chat with its digits", async (name) => {
    const simulator = await start();
    const listed = (await control(simulator, "GET /outcomes")).json as { name: string; digits: string }[];
    const digits = listed.find((outcome) => outcome.name === name)?.digits ?? "";
    expect(digits).toMatch(/^99\d{4}$/);
    await expectArrival(simulator, name, `79001${digits}@c.us`);
  });

  test.each(outcomeNames)("%s is told once when a script asks for it over HTTP", async (name) => {
    const simulator = await start();
    const order = await control(simulator, "PUT /scripts", { instanceId, chatId, answers: [name] });
    expect(order).toMatchObject({ status: 200, json: { ok: true } });
    await expectArrival(simulator, name, chatId);
    expect(await call(simulator, chatId)).toMatchObject({ status: 200 });
    expect(simulator.readLog({ chatId })).toHaveLength(2);
  });

  test("digits are told apart, and no outcome lacks its own", async () => {
    const simulator = await start();
    const listed = (await control(simulator, "GET /outcomes")).json as { digits: string }[];
    expect(new Set(listed.map((outcome) => outcome.digits)).size).toBe(outcomeNames.length);
  });

  test("Retry-After comes in seconds, as a date, and not at all", async () => {
    const simulator = await start();
    const answers = ["throttled-429-seconds", "throttled-429-date", "throttled-429"] as const;
    simulator.script({ answers });
    const seconds = await call(simulator, chatId);
    const date = await call(simulator, chatId);
    const none = await call(simulator, chatId);
    expect(seconds.headers.get("retry-after")).toBe("2");
    expect(Date.parse(date.headers.get("retry-after") ?? "")).toBeGreaterThan(Date.now());
    expect(none.headers.has("retry-after")).toBe(false);
  });
});

describe("the limiter", () => {
  const rate = 40;

  /** For each accepted call, how many others were accepted in the second up to it, by the log's own stamps. */
  function expectStrict(calls: readonly LoggedCall[]): void {
    const accepted = calls.filter((logged) => logged.outcome !== "limited").map((logged) => logged.at);
    for (const [position, at] of accepted.entries()) {
      const earlier = accepted[position - rate];
      if (earlier !== undefined) expect(at - earlier).toBeGreaterThanOrEqual(999.999);
    }
    for (const refused of calls.filter((logged) => logged.outcome === "limited")) {
      const before = accepted.filter((at) => at < refused.at && refused.at - at < 1000.001);
      expect(before.length).toBeGreaterThanOrEqual(rate);
    }
  }

  test("bursts and a hurried client get the rate in any sliding second, and not a call more", async () => {
    const simulator = await start({ requestsPerSecond: rate });
    const burst = await Promise.all(Array.from({ length: 3 * rate }, () => call(simulator, chatId)));
    // More where the burst takes longer than a second: that none is one too many is seen below, by the log.
    let served = burst.filter((answer) => answer.status === 200).length;
    expect(served).toBeGreaterThanOrEqual(rate);
    const enough = served + 1.5 * rate;
    while (served < enough) {
      const answers = await Promise.all([call(simulator, chatId), call(simulator, chatId)]);
      served += answers.filter((answer) => answer.status === 200).length;
    }
    const calls = simulator.readLog();
    expect(calls.map((logged) => logged.at)).toEqual(calls.map((logged) => logged.at).sort((a, b) => a - b));
    expectStrict(calls);
    const stats = simulator.stats();
    const refused = calls.filter((logged) => logged.outcome === "limited").length;
    expect(stats).toMatchObject({ calls: calls.length, refused, answered429: refused, inFlight: 0 });
    const moments = calls.map((logged) => logged.at);
    expect(findOverfullSecond(moments, stats.maxCallsInAnySecond)).toBeUndefined();
    expect(findOverfullSecond(moments, stats.maxCallsInAnySecond - 1)).toBeDefined();
  });

  test("each instance has its own budget and its own rate", async () => {
    const simulator = await start({ requestsPerSecond: 2 });
    await control(simulator, "PUT /rate", { requestsPerSecond: 0, instanceId: "7" });
    await control(simulator, "PUT /rate", { requestsPerSecond: 3 });
    const statuses = async (id: string) => {
      const answers = [1, 2, 3].map(() => call(simulator, "79001990002@c.us", { instanceId: id }));
      return (await Promise.all(answers)).map((answer) => answer.status);
    };
    expect(await Promise.all([statuses("7"), statuses("8"), statuses("9")])).toEqual([
      [429, 429, 429],
      [200, 200, 200],
      [200, 200, 200],
    ]);
    expect(simulator.stats().instances).toMatchObject({
      "7": { calls: 3, refused: 3 },
      "8": { calls: 3, refused: 0, maxCallsInAnySecond: 3 },
    });
  });

  test("getStateInstance is limited by itself, to one a second", async () => {
    const simulator = await start({ stateRequestsPerSecond: 1, requestsPerSecond: 1 });
    const [state, avatar] = await Promise.all([readState(simulator), call(simulator, "79001990002@c.us")]);
    expect([state.status, avatar.status]).toEqual([200, 200]);
    const states = [readState(simulator), readState(simulator), readState(simulator)];
    await Promise.all(states);
    const first = simulator.readLog({ method: "getStateInstance" });
    for (const refused of first.filter((logged) => logged.status === 429)) {
      expect(first.some((logged) => logged.status === 200 && refused.at - logged.at < 1000.001)).toBe(true);
    }
    expect(first).toHaveLength(4);
  });
});

describe("the truth", () => {
  const chats = Array.from({ length: 400 }, (_, index) => `${79_011_000_000 + index * 37}@c.us`);

  async function askAll(simulator: Simulator): Promise<Received[]> {
    return Promise.all(chats.map((chat) => call(simulator, chat)));
  }

  test("what is answered is the truth, in the shares of a real address book", async () => {
    const simulator = await start();
    const counts = { present: 0, absent: 0, hidden: 0, invalid: 0, unanswered: 0 };
    const answers = await askAll(simulator);
    for (const [index, chat] of chats.entries()) {
      const truth = simulator.truth(instanceId, chat);
      counts[truth.kind] += 1;
      const { json, text } = answers[index] ?? { json: undefined, text: "" };
      if (truth.kind === "present") {
        const url = new URL((json as { urlAvatar: string }).urlAvatar);
        expect(url.pathname).toBe(truth.version);
        const daysLeft = (parseInt(url.searchParams.get("oe") ?? "", 16) * 1000 - Date.now()) / 86_400_000;
        expect(daysLeft).toBeGreaterThan(1.9);
        expect(daysLeft).toBeLessThan(10.1);
      } else if (truth.kind === "invalid") expect(text).toContain("bad request data");
      else expect(json).toEqual({ urlAvatar: "", available: truth.kind === "absent" });
    }
    expect(counts.present).toBeGreaterThan(200);
    expect(Math.min(counts.absent, counts.hidden)).toBeGreaterThan(30);
    expect(counts.invalid).toBeGreaterThan(0);
    expect(counts.unanswered).toBe(0);
  });

  test("the same seed gives the same run, in whatever order calls arrive; another seed another", async () => {
    const options = { troubledShare: 0.2, defaultFaults: { "chat-timeout": 0.1, "connection-reset": 0.05 } };
    const run = async (seed: number, order: readonly string[]) => {
      const simulator = await start({ ...options, seed });
      for (let round = 0; round < 3; round += 1) {
        await Promise.allSettled(order.map((chat) => call(simulator, chat)));
      }
      const log = simulator.readLog();
      return new Map(
        order
          .toSorted()
          .map((chat) => [
            chat,
            log.filter((logged) => logged.chatId === chat).map((logged) => logged.outcome),
          ]),
      );
    };
    const some = chats.slice(0, 150);
    const first = await run(5, some);
    expect(await run(5, some.toReversed())).toEqual(first);
    expect(await run(6, some)).not.toEqual(first);
    expect([...first.values()].flat()).toContain("connection-reset");
  });

  test("a troubled chat fails at most twice, then tells its truth", async () => {
    const simulator = await start({ troubledShare: 1 });
    await askAll(simulator);
    const first = simulator.readLog().map((logged) => logged.outcome);
    expect(new Set(first)).toEqual(new Set(["chat-timeout", "bad-gateway-502"]));
    await askAll(simulator);
    simulator.clearLog();
    await askAll(simulator);
    for (const { chatId: chat, outcome } of simulator.readLog()) {
      const { kind } = simulator.truth(instanceId, chat);
      expect(outcome).toMatch(kind === "invalid" ? /^bad-request-/ : kind);
    }
  });

  test("two answers for one picture differ, their path does not; a new picture has a new path", async () => {
    const simulator = await start();
    const ask = async () => ((await call(simulator, chatId)).json as { urlAvatar: string }).urlAvatar;
    simulator.setTruth({ chatId, kind: "present" });
    const [one, two] = [await ask(), await ask()];
    expect(one).not.toBe(two);
    expect(new URL(one).pathname).toBe(new URL(two).pathname);
    await control(simulator, "PUT /truth", { chatId, instanceId, picture: 1 });
    const three = await ask();
    expect(new URL(three).pathname).not.toBe(new URL(one).pathname);
    const told = await control(simulator, `GET /truth?instanceId=${instanceId}&chatId=${chatId}`);
    expect(told.json).toEqual({ kind: "present", version: new URL(three).pathname });
    await control(simulator, "PUT /truth", { chatId, instanceId, kind: "hidden" });
    expect((await call(simulator, chatId)).json).toEqual({ urlAvatar: "", available: false });
    expect(simulator.truth("7", chatId)).toMatchObject({ kind: "present" });
  });

  test("a chat whose digits ask for trouble has no clear truth", async () => {
    const simulator = await start();
    expect(simulator.truth(instanceId, "79001990005@c.us")).toEqual({ kind: "unanswered" });
    expect(simulator.truth(instanceId, "79001994001@c.us")).toEqual({ kind: "invalid" });
    expect(simulator.truth(instanceId, "79001990033@c.us")).toEqual({ kind: "present", version: undefined });
  });

  test("fault shares take the truth's place for as long as they are set", async () => {
    const simulator = await start({ defaultFaults: { "empty-200": 1 } });
    expect(await call(simulator, chatId)).toMatchObject({ status: 200, text: "" });
    await control(simulator, "PUT /faults", { faults: { "server-error-500": 1 }, instanceId });
    expect(await call(simulator, chatId)).toMatchObject({ status: 500 });
    expect(await call(simulator, chatId, { instanceId: "7" })).toMatchObject({ text: "" });
    await control(simulator, "PUT /faults", { faults: {}, instanceId });
    expect((await call(simulator, "79001990002@c.us")).json).toEqual({ urlAvatar: "", available: true });
  });

  test("fault shares that make no sense are refused at the start", async () => {
    await expect(startSimulator({ defaultFaults: { stall: 0.7, present: 0.7 } })).rejects.toThrow(
      "add up to",
    );
  });
});

describe("instances", () => {
  test.each([
    ["authorized", 200],
    ["yellowCard", 200],
    ["suspended", 200],
    ["somethingNew", 200],
    ["starting", 400],
    ["sleepMode", 400],
    ["notAuthorized", 400],
    ["blocked", 400],
    ["pendingCode", 400],
    ["pendingPassword", 400],
  ])("an instance that is %s says so, and answers getAvatar with %i", async (state, status) => {
    const simulator = await start();
    await control(simulator, "PUT /state", { instanceId, state });
    expect((await readState(simulator)).json).toEqual({ stateInstance: state });
    expect(await call(simulator, "79001990002@c.us")).toMatchObject({ status });
    expect((await readState(simulator, "7")).json).toEqual({ stateInstance: "authorized" });
  });

  test("an expired and a deleted instance refuse both methods and echo the token", async () => {
    const simulator = await start();
    for (const state of ["expired", "deleted"]) {
      simulator.setState(instanceId, state);
      for (const answer of [await call(simulator, chatId), await readState(simulator)]) {
        expect(answer.status).toBe(400);
        expect(answer.json).toMatchObject({ path: expect.stringContaining(token) as unknown });
        expect(answer.text).toContain(state);
      }
    }
  });

  test("an instance may claim a state that it is not in", async () => {
    const simulator = await start();
    const lie = { instanceId, state: "authorized", reportedState: "notAuthorized" };
    await control(simulator, "PUT /state", lie);
    expect((await readState(simulator)).json).toEqual({ stateInstance: "notAuthorized" });
    expect(await call(simulator, "79001990002@c.us")).toMatchObject({ status: 200 });
  });

  test("where a token is set every other one is answered 401", async () => {
    const simulator = await start({ token });
    expect(await call(simulator, "79001990002@c.us")).toMatchObject({ status: 200 });
    expect(await call(simulator, chatId, { token: "other" })).toMatchObject({ status: 401, text: "" });
    await control(simulator, "PUT /token", { token: "other", instanceId });
    expect(await call(simulator, chatId)).toMatchObject({ status: 401 });
    await control(simulator, "PUT /token", { token: null, instanceId });
    await control(simulator, "PUT /token", { token: null });
    expect(await call(simulator, "79001990002@c.us", { token: "any" })).toMatchObject({ status: 200 });
  });
});

describe("scripts", () => {
  const absent = "79001990002@c.us";

  test("the narrower target goes first, and each gives its answers in order", async () => {
    const simulator = await start();
    simulator.script({ answers: ["unavailable-503"], times: "forever" });
    simulator.script({ instanceId, answers: ["server-error-500", "bad-gateway-502"], times: 2 });
    simulator.script({ chatId: absent, answers: [{ status: 418, body: "raw", headers: { "x-raw": "1" } }] });
    simulator.script({ instanceId, chatId: absent, answers: [{ outcome: "client-closed-499", delayMs: 1 }] });
    const statuses: number[] = [];
    for (let index = 0; index < 7; index += 1) statuses.push((await call(simulator, absent)).status);
    expect(statuses).toEqual([499, 418, 500, 502, 500, 502, 503]);
    expect(simulator.readLog({ outcome: "raw" })).toHaveLength(1);
    await control(simulator, "DELETE /scripts");
    expect(await call(simulator, absent)).toMatchObject({ status: 200 });
  });

  test("clearing a target clears its parts and leaves the rest", async () => {
    const simulator = await start();
    for (const target of [{ instanceId, chatId: absent }, { instanceId }, { chatId: absent }]) {
      simulator.script({ ...target, answers: ["server-error-500"], times: "forever" });
    }
    await control(simulator, `DELETE /scripts?instanceId=${instanceId}`);
    expect((await call(simulator, absent)).status).toBe(500);
    expect((await call(simulator, "79002990002@c.us")).status).toBe(200);
    simulator.clearScripts({ chatId: absent });
    expect((await call(simulator, absent)).status).toBe(200);
  });

  test("a script speaks for getStateInstance only when it says so", async () => {
    const simulator = await start();
    simulator.script({ method: "getStateInstance", answers: ["connection-reset", "bad-gateway-502"] });
    expect((await call(simulator, absent)).status).toBe(200);
    await expect(readState(simulator)).rejects.toThrow();
    expect((await readState(simulator)).status).toBe(502);
    expect((await readState(simulator)).status).toBe(200);
  });

  test("dropping connections ends stalled calls, but not the connection that asks for it", async () => {
    const simulator = await start();
    simulator.script({ answers: ["stall"], times: "forever" });
    const stalled = [1, 2, 3].map(() => expect(call(simulator, absent)).rejects.toThrow());
    await expect.poll(() => simulator.readLog({ outcome: "stall" })).toHaveLength(3);
    expect(simulator.stats()).toMatchObject({ inFlight: 3, peakInFlight: 3 });
    const { json } = await control(simulator, "POST /drop-connections");
    expect((json as { dropped: number }).dropped).toBeGreaterThanOrEqual(3);
    await Promise.all(stalled);
    await expect.poll(() => simulator.stats().inFlight).toBe(0);
    expect(simulator.stats().callsByStatus).toEqual({ "0": 3 });
  });
});

describe("the wire", () => {
  const url = (simulator: Simulator) => `${simulator.url}/waInstance${instanceId}/getAvatar/${token}`;

  test.each([
    ["no JSON", "{chatId"],
    ["nothing", ""],
    ["a JSON text", '"79001234567@c.us"'],
    ["null", "null"],
    ["no chatId", "{}"],
    ["a chatId that is a number", '{"chatId":79001234567}'],
    ["a chatId without a server", '{"chatId":"79001234567"}'],
    ["a channel", '{"chatId":"120363043968066561@newsletter"}'],
    ["a path", '{"chatId":"../../etc/passwd"}'],
  ])("a body that holds %s is a 400 that echoes the token", async (_what, body) => {
    const simulator = await start();
    const answer = await receive(await fetch(url(simulator), { method: "POST", body }));
    expect(answer).toMatchObject({
      status: 400,
      json: { statusCode: 400, path: url(simulator).slice(simulator.url.length) },
    });
  });

  test.each([
    "79001990002@c.us",
    "11001990002-1581234048@g.us",
    "120363043968066561@g.us",
    "123456789012345@lid",
  ])("%s is a valid chat", async (chat) => {
    const simulator = await start();
    simulator.setTruth({ chatId: chat, kind: "absent" });
    expect((await call(simulator, chat)).json).toEqual({ urlAvatar: "", available: true });
  });

  test("a huge body is refused, here and at the control endpoint", async () => {
    const simulator = await start();
    const body = JSON.stringify({ chatId, filler: "x".repeat(3_000_000) });
    expect((await fetch(url(simulator), { method: "POST", body })).status).toBe(413);
    expect((await fetch(`${simulator.url}/__control/rate`, { method: "PUT", body })).status).toBe(413);
    expect((await call(simulator, "79001990002@c.us")).status).toBe(200);
  });

  test("what is not HTTP does not stop the server", async () => {
    const simulator = await start();
    const socket = connect(simulator.port, "127.0.0.1");
    const ended = new Promise((resolve) => socket.once("close", resolve));
    socket.on("error", () => undefined).resume();
    socket.write("\u0000\u0001 nonsense\r\n\r\n");
    await ended;
    expect((await call(simulator, "79001990002@c.us")).status).toBe(200);
  });

  test.each([
    ["GET", `/waInstance${instanceId}/getAvatar/${token}`],
    ["POST", `/waInstance${instanceId}/getAvatar`],
    ["POST", `/waInstance/getAvatar/${token}`],
    ["POST", `/waInstance${instanceId}/sendMessage/${token}`],
    ["POST", `/waInstance${instanceId}/getStateInstance/${token}`],
    ["GET", "/elsewhere"],
  ])("%s %s is a 404", async (method, path) => {
    const simulator = await start();
    expect((await fetch(simulator.url + path, { method })).status).toBe(404);
    expect(simulator.readLog()).toEqual([]);
  });

  test("the root says what this is", async () => {
    const simulator = await start();
    expect((await receive(await fetch(simulator.url))).text).toMatch(/^A simulator of GREEN-API/);
    expect((await fetch(simulator.url, { method: "HEAD" })).status).toBe(200);
  });

  test("a client that hangs up is logged as 499 and is no longer in flight", async () => {
    const simulator = await start({ latencyMs: 50_000, latencySpread: 0, tailShare: 0 });
    const patience = new AbortController();
    const rejection = expect(call(simulator, chatId, { signal: patience.signal })).rejects.toThrow();
    await expect.poll(() => simulator.readLog({ outcome: "pending" })).toHaveLength(1);
    patience.abort();
    await rejection;
    await expect.poll(() => simulator.readLog({ status: 499 })).toMatchObject([{ outcome: "client-closed" }]);
    expect(simulator.stats().inFlight).toBe(0);
  });

  test("closing ends stalled and delayed calls at once, and twice is harmless", async () => {
    const simulator = await start({ latencyMs: 50_000, latencySpread: 0 });
    simulator.script({ chatId, answers: ["stall"] });
    const calls = [chatId, "79001990002@c.us"].map((chat) => expect(call(simulator, chat)).rejects.toThrow());
    await expect.poll(() => simulator.stats().inFlight).toBe(2);
    await Promise.all([simulator.close(), simulator.close()]);
    await simulator.close();
    await Promise.all(calls);
    await expect(fetch(simulator.url)).rejects.toThrow();
  });

  test("with jitter the stamps are still those of the arrivals, in order", async () => {
    const simulator = await start({ jitterMs: 20 });
    await Promise.all(Array.from({ length: 50 }, () => call(simulator, "79001990002@c.us")));
    const stamps = simulator.readLog().map((logged) => logged.at);
    expect(stamps).toHaveLength(50);
    expect(stamps).toEqual(stamps.toSorted((a, b) => a - b));
  });
});

describe("the control endpoint", () => {
  test("the log and the statistics tell every call, and can be emptied", async () => {
    const simulator = await start();
    const before = performance.timeOrigin + performance.now();
    await call(simulator, "79001990002@c.us");
    await call(simulator, "79001995000@c.us");
    await readState(simulator);
    const log = (await control(simulator, "GET /log")).json as LoggedCall[];
    expect(log).toMatchObject([
      { instanceId, method: "getAvatar", chatId: "79001990002@c.us", status: 200, outcome: "absent" },
      { instanceId, method: "getAvatar", chatId: "79001995000@c.us", status: 500 },
      { instanceId, method: "getStateInstance", chatId: "", status: 200, outcome: "state" },
    ]);
    expect(log[0]?.at).toBeGreaterThanOrEqual(before - 0.01);
    expect((await control(simulator, "GET /log?status=500&limit=5")).json).toHaveLength(1);
    expect((await control(simulator, "GET /log?fromIndex=1&limit=1")).json).toMatchObject([{ index: 1 }]);
    expect((await control(simulator, "GET /stats")).json).toMatchObject({
      calls: 2,
      stateCalls: 1,
      refused: 0,
      callsByStatus: { "200": 2, "500": 1 },
      eventLoopLagMs: { max: expect.any(Number) as unknown },
    });
    expect(JSON.stringify(log)).not.toContain(token);
    await control(simulator, "DELETE /log");
    expect((await control(simulator, "GET /log")).json).toEqual([]);
    expect((await control(simulator, "GET /stats")).json).toMatchObject({ calls: 0, peakInFlight: 0 });
  });

  test("latency is set in part, and a reset brings everything back", async () => {
    const simulator = await start();
    const latency = { latencyMs: 30, latencySpread: 0, tailShare: 0 };
    await control(simulator, "PUT /latency", latency);
    await control(simulator, "PUT /state", { instanceId, state: "blocked" });
    await control(simulator, "PUT /scripts", { answers: ["stall"], times: "forever" });
    await control(simulator, "DELETE /scripts");
    await call(simulator, "79001990002@c.us");
    const [slow] = simulator.readLog();
    expect(slow?.tookMs).toBeGreaterThanOrEqual(28);
    await control(simulator, "POST /reset");
    expect(simulator.readLog()).toEqual([]);
    expect((await call(simulator, "79001990002@c.us")).status).toBe(200);
  });

  test.each([
    ["PUT /scripts", { answers: ["nonsense"] }, 'unknown outcome "nonsense"'],
    ["PUT /scripts", {}, '"answers" in the body must be a list'],
    ["PUT /scripts", { answers: [{ status: 99 }] }, '"status" in an answer must be a number from 200 to 599'],
    [
      "PUT /scripts",
      { answers: [{ status: 200, headers: { "a b": "1" } }] },
      'the header "a b" cannot be sent',
    ],
    ["PUT /scripts", { answers: [], times: "often" }, '"times" in the body must be a number'],
    ["PUT /scripts", { answers: [], chatid: "1" }, 'the body has an unknown member "chatid"'],
    ["PUT /scripts", { answers: [], method: "sendMessage" }, '"method" in the body must be one of'],
    ["PUT /state", { instanceId }, '"state" in the body is missing'],
    ["PUT /rate", { requestsPerSecond: "10" }, '"requestsPerSecond" in the body must be a number'],
    ["PUT /latency", { latencyMs: -1 }, '"latencyMs" in the body must be a number'],
    ["PUT /faults", { faults: { stall: 2 } }, '"stall" in the faults must be a number from 0 to 1'],
    ["PUT /faults", { faults: { stall: 0.6, absent: 0.6 } }, "the faults add up to 1.2"],
    ["PUT /faults", { faults: [] }, "the faults must be an object"],
    ["PUT /token", {}, '"token" in the body is missing'],
    ["PUT /truth", { chatId, kind: "maybe" }, '"kind" in the body must be one of'],
    ["PUT /rate", [], "the body must be a JSON object"],
    ["GET /log?limit=many", undefined, '"limit" in the query must be a whole number'],
    ["GET /truth", undefined, '"instanceId" in the query is missing'],
  ])("%s with %j is a 400 that says why", async (order, body, error) => {
    const simulator = await start();
    const answer = await control(simulator, order, body);
    expect(answer.status).toBe(400);
    expect((answer.json as { error: string }).error).toContain(error);
  });

  test("an unknown order is a 404, and the root lists the known ones", async () => {
    const simulator = await start();
    expect((await control(simulator, "PUT /nothing", {})).status).toBe(404);
    expect((await control(simulator, "GET ")).json).toContain("PUT /scripts");
  });
});
