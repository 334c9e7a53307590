import type { IncomingMessage, ServerResponse } from "node:http";
import type { Decision } from "./world/decide-reply.ts";
import type { Answer } from "./outcomes/reply.ts";
import type { Simulation, World } from "./world/world.ts";

/** A call on the wire, from its arrival to its end, in the log and among the calls in flight. */
export class Exchange {
  readonly #simulation: Simulation;
  readonly #world: World;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #logIndex: number;
  readonly #arrivedMs: number;
  #timer: NodeJS.Timeout | undefined;
  #settled = false;
  /** The outcome that keeps the client waiting. */
  #stalledAs: string | undefined;

  constructor(
    simulation: Simulation,
    wire: { request: IncomingMessage; response: ServerResponse },
    arrival: { logIndex: number; arrivedMs: number },
  ) {
    this.#simulation = simulation;
    this.#world = simulation.world;
    this.#request = wire.request;
    this.#response = wire.response;
    this.#logIndex = arrival.logIndex;
    this.#arrivedMs = arrival.arrivedMs;
    simulation.inFlight += 1;
    simulation.peakInFlight = Math.max(simulation.peakInFlight, simulation.inFlight);
    wire.response.once("close", () => this.#close());
  }

  /** Does what was decided, after its delay. */
  perform(decision: Decision): void {
    if (this.#settled) return;
    if (decision.delayMs <= 0) this.#play(decision);
    else this.#timer = setTimeout(() => this.#play(decision), decision.delayMs);
  }

  /** The log is written before the first byte leaves: who has the answer finds the call in the log. */
  #play({ name, reply }: Decision): void {
    switch (reply.kind) {
      case "answer":
        this.#settle(reply.status, name);
        sendAnswer(this.#response, reply);
        return;
      case "reset":
        this.#settle(0, name);
        this.#request.socket.resetAndDestroy();
        return;
      case "cut":
        this.#settle(0, name);
        this.#response.writeHead(reply.answer.status, toHeaders(reply.answer));
        this.#response.write(reply.answer.body.slice(0, reply.answer.body.length / 2), () => {
          this.#request.socket.destroy();
        });
        return;
      case "stall":
        this.#stalledAs = name;
        this.#world.log.finish(this.#logIndex, 0, name, 0);
        return;
      default:
        reply satisfies never;
    }
  }

  #close(): void {
    clearTimeout(this.#timer);
    if (this.#stalledAs === undefined) this.#settle(499, "client-closed");
    else this.#settle(0, this.#stalledAs);
  }

  #settle(status: number, name: string): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#simulation.inFlight -= 1;
    const { callsByStatus, log } = this.#world;
    callsByStatus.set(status, (callsByStatus.get(status) ?? 0) + 1);
    log.finish(this.#logIndex, status, name, performance.now() - this.#arrivedMs);
  }
}

/** Sends a whole answer. A script's own `content-length` is sent as it is, right or wrong. */
export function sendAnswer(response: ServerResponse, answer: Answer): void {
  response.writeHead(answer.status, toHeaders(answer));
  response.end(answer.body);
}

function toHeaders(answer: Answer): Record<string, string> {
  return { "content-length": String(Buffer.byteLength(answer.body)), ...answer.headers };
}
