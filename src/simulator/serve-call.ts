import type { IncomingMessage, ServerResponse } from "node:http";
import { methods } from "./control/control-input.ts";
import { decideReply, type WireBody, type WireCall } from "./world/decide-reply.ts";
import { findAvatar } from "./world/find-avatar.ts";
import { Exchange } from "./exchange.ts";
import { type BodyRead, parseJson, readBody } from "./read-body.ts";
import type { Method } from "./world/simulator-options.ts";
import { getInstance, type Instance, type Simulation, type World } from "./world/world.ts";

/** Which call a request is. */
export interface CallRoute {
  readonly instanceId: string;
  readonly method: Method;
  readonly token: string;
}

const maxBodyBytes = 64 * 1024;
const verbs: Readonly<Record<Method, string>> = {
  getAvatar: "POST",
  getStateInstance: "GET",
  getContacts: "GET",
};

/** Reads `POST /waInstance{id}/getAvatar/{token}`, and the same with GET for the methods without a body. */
export function findCallRoute(verb: string, requestPath: string): CallRoute | undefined {
  const match = /^\/waInstance(\d{1,20})\/(\w+)\/([^/?#]+)(?:\?.*)?$/.exec(requestPath);
  const [, instanceId, name, token] = match ?? [];
  const method = methods.find((known) => known === name);
  if (instanceId === undefined || token === undefined || method === undefined) return undefined;
  return verbs[method] === verb ? { instanceId, method, token } : undefined;
}

/** Serves one call of GREEN-API, after the network's jitter. */
export function serveCall(
  simulation: Simulation,
  route: CallRoute,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const { jitterMs, jitterRandom } = simulation.world;
  if (jitterMs === 0) return receiveCall(simulation, route, request, response);
  const timer = setTimeout(
    () => receiveCall(simulation, route, request, response),
    jitterMs * jitterRandom(),
  );
  response.once("close", () => clearTimeout(timer));
}

/** Stamps the arrival and passes the limiter before anything else, then reads the body. */
function receiveCall(
  simulation: Simulation,
  route: CallRoute,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const arrivedMs = performance.now();
  const { world } = simulation;
  const { instanceId, method, token } = route;
  const instance = getInstance(world, instanceId);
  const accepted = instance.limiters[method].take(arrivedMs, getRate(world, instance, method));
  const logIndex = world.log.open(performance.timeOrigin + arrivedMs, instanceId, method);
  const exchange = new Exchange(simulation, { request, response }, { logIndex, arrivedMs });
  void readBody(request, maxBodyBytes).then((read) => {
    if (read.kind !== "aborted") {
      const body = toWireBody(read);
      if (body.kind === "json") world.log.setChatId(logIndex, body.chatId ?? "");
      const origin = simulation.pictures.findOrigin(request.headers.host);
      const wire: WireCall = {
        method,
        token,
        requestPath: request.url ?? "",
        body,
        accepted,
        findAvatar: (chat, random) => findAvatar(world, simulation.pictures, origin, chat, random),
      };
      exchange.perform(decideReply(world, instance, wire, Date.now()));
    }
    return undefined;
  });
}

/** Calls in a sliding second. */
function getRate(world: World, instance: Instance, method: Method): number {
  switch (method) {
    case "getAvatar":
      return instance.requestsPerSecond ?? world.requestsPerSecond;
    case "getStateInstance":
      return world.stateRequestsPerSecond;
    case "getContacts":
      return world.contactsRequestsPerSecond;
    default:
      return method satisfies never;
  }
}

function toWireBody(read: Exclude<BodyRead, { kind: "aborted" }>): WireBody {
  if (read.kind === "too-large") return read;
  const value = parseJson(read.text);
  if (typeof value !== "object" || value === null) return { kind: "malformed" };
  const chatId = "chatId" in value && typeof value.chatId === "string" ? value.chatId : undefined;
  return { kind: "json", chatId };
}
