import { selectContacts } from "./contact-list.ts";
import { drawLatencyMs } from "./latency.ts";
import type { Avatar, Call } from "../outcomes/outcome-spec.ts";
import { getOutcome, type OutcomeName } from "../outcomes/outcomes.ts";
import { createRandomOf, drawShare, type Random } from "../outcomes/random.ts";
import { type Reply, toApiError, toJson } from "../outcomes/reply.ts";
import { playAnswer } from "./scripts.ts";
import type { Method } from "./simulator-options.ts";
import { getContactList, type Instance, type World } from "./world.ts";

/** A call as it came off the wire. */
export interface WireCall {
  readonly method: Method;
  readonly token: string;
  readonly requestPath: string;
  readonly body: WireBody;
  /** Whether the limiter let it through. */
  readonly accepted: boolean;
  /** How the call is told of the chat's picture. */
  readonly findAvatar: AvatarFinder;
}

/** Tells of the picture of a call's chat; `random` is the call's. */
export type AvatarFinder = (
  chat: { readonly instanceId: string; readonly chatId: string },
  random: Random,
) => Avatar;

/** The request's body: `chatId` is undefined where it is missing or not a text. */
export type WireBody =
  | { readonly kind: "json"; readonly chatId: string | undefined }
  | { readonly kind: "malformed" }
  | { readonly kind: "too-large" };

/** What is sent, after how long, and under which name it goes into the log. */
export interface Decision {
  readonly name: string;
  readonly reply: Reply;
  readonly delayMs: number;
}

const chatIdFormats = /^(?:\d{5,20}@c\.us|\d{5,25}(?:-\d{5,20})?@g\.us|\d{5,25}@lid)$/;

/**
 * Decides what a call is answered. The order: limiter, script, token, instance's state, validation of the body, convention of
 * chat ids, fault, trouble, truth.
 */
export function decideReply(world: World, instance: Instance, wire: WireCall, nowMs: number): Decision {
  const chatId = (wire.body.kind === "json" ? wire.body.chatId : undefined) ?? "";
  const attempt = wire.accepted
    ? instance.attempts.count(wire.method === "getAvatar" ? chatId : wire.method)
    : 0;
  const random = createRandomOf(`${wire.method} ${instance.id} ${chatId} ${attempt}`, world.seed);
  const avatar = wire.findAvatar({ instanceId: instance.id, chatId }, random);
  const call: Call = { chatId, requestPath: wire.requestPath, nowMs, avatar, random };
  if (!wire.accepted) {
    return { name: "limited", reply: getOutcome("throttled-429").respond(call), delayMs: 0 };
  }
  const delayMs = drawLatencyMs(world.latency, random);
  const scripted = world.scripts.take(wire.method, instance.id, chatId);
  if (scripted !== undefined) {
    const played = playAnswer(scripted, call);
    return { ...played, delayMs: played.delayMs ?? delayMs };
  }
  const refusal = findRefusal(world, instance, wire, call);
  if (refusal !== undefined) return { ...refusal, delayMs };
  if (wire.method === "getStateInstance") {
    const reply = toJson({ stateInstance: instance.reportedState ?? instance.state });
    return { name: "state", reply, delayMs };
  }
  if (wire.method === "getContacts") {
    const query = new URLSearchParams(wire.requestPath.split("?", 2)[1] ?? "");
    const reply = toJson(selectContacts(getContactList(world, instance), query));
    return { name: "contacts", reply, delayMs };
  }
  const name = decideOutcome(world, instance, call, attempt);
  return { name, reply: getOutcome(name).respond(call), delayMs };
}

interface NamedReply {
  readonly name: string;
  readonly reply: Reply;
}

function findRefusal(world: World, instance: Instance, wire: WireCall, call: Call): NamedReply | undefined {
  const token = instance.token ?? world.token;
  if (token !== undefined && wire.token !== token) return toNamed("unauthorized-401", call);
  const byState = findStateRefusal(instance.state, wire.method);
  if (byState !== undefined) return toNamed(byState, call);
  if (wire.method !== "getAvatar") return undefined;
  return findBodyRefusal(wire.body, call);
}

function toNamed(name: OutcomeName, call: Call): NamedReply {
  return { name, reply: getOutcome(name).respond(call) };
}

/** Without a refusal: `authorized`, `yellowCard`, `suspended` and states that are not documented. */
function findStateRefusal(state: string, method: Method): OutcomeName | undefined {
  if (state === "expired") return "expired-400";
  if (state === "deleted") return "deleted-400";
  if (method === "getStateInstance") return undefined;
  switch (state) {
    case "starting":
      return "starting-400";
    case "notAuthorized":
    case "blocked":
    case "sleepMode":
    case "pendingCode":
    case "pendingPassword":
      return "not-authorized-400";
    default:
      return undefined;
  }
}

function findBodyRefusal(body: WireBody, call: Call): NamedReply | undefined {
  if (body.kind === "too-large") {
    return { name: "malformed-body", reply: toApiError(413, "request entity too large", call) };
  }
  if (body.kind === "malformed") {
    return { name: "malformed-body", reply: toApiError(400, "Unexpected token in JSON", call) };
  }
  if (body.chatId === undefined) {
    return {
      name: "validation-400",
      reply: toApiError(400, "Validation failed. Details: 'chatId' must be a string", call),
    };
  }
  return chatIdFormats.test(body.chatId) ? undefined : toNamed("validation-400", call);
}

function decideOutcome(world: World, instance: Instance, call: Call, attempt: number): OutcomeName {
  const plan = world.truths.plan(instance.id, call.chatId);
  if (plan.source === "digits") return plan.outcome;
  const fault = drawShare(instance.faults ?? world.faults, call.random);
  if (fault !== undefined) return fault;
  const trouble = plan.source === "change" ? undefined : drawTrouble(world, call.chatId, attempt);
  if (trouble !== undefined) return trouble;
  const { base64Share } = world.pictures.tuning;
  // No draw without a share: what follows from the same seed stays as it was.
  if (plan.outcome !== "present" || base64Share === 0) return plan.outcome;
  return call.random() < base64Share ? "present-base64" : "present";
}

/** A troubled chat fails once or twice, the same way each time, before its truth is told. */
function drawTrouble(world: World, chatId: string, attempt: number): OutcomeName | undefined {
  if (attempt > 2) return undefined;
  const random = createRandomOf(`trouble of ${chatId}`, world.seed);
  if (random() >= world.troubledShare) return undefined;
  const failures = random() < 0.5 ? 1 : 2;
  if (attempt > failures) return undefined;
  return random() < 0.6 ? "chat-timeout" : "bad-gateway-502";
}
