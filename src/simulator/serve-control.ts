import type { IncomingMessage, ServerResponse } from "node:http";
import type { LogFilter } from "./world/call-log.ts";
import type { ListedContact } from "./world/contact-list.ts";
import type { SimulatorControl } from "./control/control.ts";
import {
  clearKinds,
  ControlInputError,
  Input,
  methods,
  omitUndefined,
  parseContactListSize,
  parseFaults,
  parseScript,
  parseTarget,
} from "./control/control-input.ts";
import { sendAnswer } from "./exchange.ts";
import { getOutcome, outcomeNames } from "./outcomes/outcomes.ts";
import { defaultLogLimit, type Order, pictureOrders } from "./picture-orders.ts";
import { parseJson, readBody } from "./read-body.ts";
import { toJson } from "./outcomes/reply.ts";
import type { Truth, TruthChange } from "./world/truth.ts";

export const controlPrefix = "/__control";

const maxBodyBytes = 1024 * 1024;

/** Every order by verb and path below `/__control`. What returns nothing is answered `{"ok": true}`. */
const orders: Readonly<Record<string, Order>> = {
  "GET /": () => Object.keys(orders),
  "GET /outcomes": listOutcomes,
  "PUT /scripts": (control, body) => control.script(parseScript(body)),
  "DELETE /scripts": (control, query) => control.clearScripts(parseTarget(query)),
  "PUT /state": setState,
  "PUT /rate": setRate,
  "PUT /latency": setLatency,
  "PUT /faults": setFaults,
  "PUT /token": setToken,
  "PUT /truth": (control, body) => control.setTruth(parseTruthChange(body)),
  "GET /truth": readTruth,
  "PUT /contacts": setContacts,
  "GET /contacts": readContacts,
  "POST /drop-connections": dropConnections,
  "GET /log": readLog,
  "DELETE /log": (control) => control.clearLog(),
  "GET /stats": (control) => control.stats(),
  "POST /reset": (control) => control.reset(),
  ...pictureOrders,
};

/** Serves one request to the control endpoint: 200 and JSON, or 4xx and `{"error": …}`. */
export async function serveControl(
  control: SimulatorControl,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const read = await readBody(request, maxBodyBytes);
  if (read.kind === "aborted") return;
  if (read.kind === "too-large") {
    return sendAnswer(response, toJson({ error: `the body is larger than ${maxBodyBytes} bytes` }, 413));
  }
  const [path = "", query = ""] = (request.url ?? "").slice(controlPrefix.length).split("?", 2);
  const key = `${request.method} ${path === "" ? "/" : path}`;
  const order = Object.hasOwn(orders, key) ? orders[key] : undefined;
  if (order === undefined) {
    return sendAnswer(response, toJson({ error: `no order "${key}": GET ${controlPrefix} lists them` }, 404));
  }
  const byQuery = request.method === "GET" || request.method === "DELETE";
  const input = byQuery ? Object.fromEntries(new URLSearchParams(query)) : parseJson(read.text);
  try {
    sendAnswer(response, toJson(order(control, input, request) ?? { ok: true }));
  } catch (error) {
    const status = error instanceof ControlInputError ? 400 : 500;
    sendAnswer(response, toJson({ error: error instanceof Error ? error.message : "unknown" }, status));
  }
}

function listOutcomes() {
  return outcomeNames.map((name) => {
    const { digits, means, clear = null } = getOutcome(name);
    return { name, digits, means, clear };
  });
}

function setState(control: SimulatorControl, body: unknown): void {
  const input = new Input(body, ["instanceId", "state", "reportedState"]);
  control.setState(input.getText("instanceId"), input.getText("state"), input.findText("reportedState"));
}

function setRate(control: SimulatorControl, body: unknown): void {
  const input = new Input(body, ["requestsPerSecond", "instanceId"]);
  control.setRate(input.getNumber("requestsPerSecond", 0), input.findText("instanceId"));
}

function setLatency(control: SimulatorControl, body: unknown): void {
  const input = new Input(body, ["latencyMs", "latencySpread", "tailShare", "tailLatencyMs"]);
  const latency = {
    latencyMs: input.findNumber("latencyMs", 0),
    latencySpread: input.findNumber("latencySpread", 0, 10),
    tailShare: input.findNumber("tailShare", 0, 1),
    tailLatencyMs: input.findNumber("tailLatencyMs", 0),
  };
  control.setLatency(omitUndefined(latency));
}

function setFaults(control: SimulatorControl, body: unknown): void {
  const input = new Input(body, ["faults", "instanceId"]);
  control.setFaults(parseFaults(input.get("faults")), input.findText("instanceId"));
}

function setToken(control: SimulatorControl, body: unknown): void {
  const input = new Input(body, ["token", "instanceId"]);
  const token = input.get("token") === null ? undefined : input.getText("token");
  control.setToken(token, input.findText("instanceId"));
}

function parseTruthChange(body: unknown): TruthChange {
  const input = new Input(body, ["chatId", "instanceId", "kind", "picture", "address"]);
  const rest = {
    instanceId: input.findText("instanceId"),
    kind: input.findOneOf("kind", clearKinds),
    picture: input.findNumber("picture", 0),
    address: input.findNumber("address", 0),
  };
  return { chatId: input.getText("chatId"), ...omitUndefined(rest) };
}

function readTruth(control: SimulatorControl, query: unknown): Truth {
  const input = new Input(query, ["instanceId", "chatId"], "the query");
  return control.truth(input.getText("instanceId"), input.getText("chatId"));
}

function setContacts(control: SimulatorControl, body: unknown): void {
  const input = new Input(body, ["contacts", "instanceId"]);
  control.setContacts(parseContactListSize(input.get("contacts")), input.findText("instanceId"));
}

function readContacts(control: SimulatorControl, query: unknown): readonly ListedContact[] {
  return control.contacts(new Input(query, ["instanceId"], "the query").getText("instanceId"));
}

function dropConnections(control: SimulatorControl, _body: unknown, request: IncomingMessage) {
  return { dropped: control.dropConnections(request.socket) };
}

function readLog(control: SimulatorControl, query: unknown) {
  const input = new Input(
    query,
    ["instanceId", "chatId", "method", "outcome", "status", "fromIndex", "limit"],
    "the query",
  );
  const filter = {
    instanceId: input.findText("instanceId"),
    chatId: input.findText("chatId"),
    method: input.findOneOf("method", methods),
    outcome: input.findText("outcome"),
    status: input.findDigits("status"),
    fromIndex: input.findDigits("fromIndex"),
    limit: input.findDigits("limit") ?? defaultLogLimit,
  };
  return control.readLog(omitUndefined(filter) satisfies LogFilter);
}
