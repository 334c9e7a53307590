import type { IncomingMessage, ServerResponse } from "node:http";
import type { PictureAnswer, PictureReply } from "./outcomes/picture-reply.ts";
import type { PictureDecision } from "./world/decide-picture.ts";
import type { PictureWorld } from "./world/picture-world.ts";
import type { PictureService, Simulation } from "./world/world.ts";

interface Arrival {
  readonly logIndex: number;
  readonly arrivedMs: number;
  readonly version: string;
}

const zeros = Buffer.alloc(65_536);
/** Those that end in the whole picture, when they come to their end. */
const wholeOutcomes: ReadonlySet<string> = new Set(["served", "slow", "redirect-followed"]);

/**
 * One request of a picture on the wire, from its arrival to its end. It ends before its last byte leaves: a client that has the
 * whole picture finds it in the log, and is in flight with it no more.
 */
export class PictureExchange {
  readonly #service: PictureService;
  readonly #world: PictureWorld;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #arrival: Arrival;
  #timer: NodeJS.Timeout | undefined;
  #settled = false;
  /** Whether all of the body was given to the connection. */
  #ended = false;
  #bytes = 0;
  /** How it is to end, once its answer has begun. */
  #begun: { readonly status: number; readonly outcome: string } | undefined;

  constructor(
    simulation: Simulation,
    wire: { request: IncomingMessage; response: ServerResponse },
    arrival: Arrival,
  ) {
    this.#service = simulation.pictures;
    this.#world = simulation.world.pictures;
    this.#request = wire.request;
    this.#response = wire.response;
    this.#arrival = arrival;
    this.#world.totals.requests += 1;
    this.#service.inFlight += 1;
    this.#service.peakInFlight = Math.max(this.#service.peakInFlight, this.#service.inFlight);
    wire.response.once("close", () => this.#close());
  }

  /** Does what was decided, after its delay. */
  perform(decision: PictureDecision): void {
    if (decision.delayMs <= 0) this.#play(decision);
    else this.#timer = setTimeout(() => this.#play(decision), decision.delayMs);
  }

  #play({ name, reply }: PictureDecision): void {
    this.#begin(name, reply);
    switch (reply.kind) {
      case "answer":
        this.#response.writeHead(reply.status, reply.headers);
        return this.#end(reply.body);
      case "drip":
        this.#response.writeHead(reply.answer.status, reply.answer.headers);
        return this.#drip(toPieces(reply.answer.body, reply.pieces), reply.pauseMs);
      case "cut":
        return this.#cut(reply.answer);
      case "flood":
        this.#response.writeHead(reply.status, reply.headers);
        this.#write(reply.head);
        return this.#flood(reply.bytes);
      case "reset":
        this.#settle();
        this.#request.socket.resetAndDestroy();
        return;
      case "stall":
        return;
      default:
        reply satisfies never;
    }
  }

  /** The log has the name from here on, whatever becomes of the answer. */
  #begin(outcome: string, reply: PictureReply): void {
    this.#begun = { status: toStatus(reply), outcome };
    this.#world.log.finish(this.#arrival.logIndex, { ...this.#begun, bytes: 0, tookMs: 0 });
  }

  #write(bytes: Uint8Array): boolean {
    this.#bytes += bytes.length;
    return this.#response.write(bytes);
  }

  #end(bytes: Uint8Array): void {
    this.#bytes += bytes.length;
    this.#ended = true;
    this.#settle();
    this.#response.end(bytes);
  }

  #drip([piece = zeros.subarray(0, 0), ...rest]: readonly Uint8Array[], pauseMs: number): void {
    if (rest.length === 0) return this.#end(piece);
    this.#write(piece);
    this.#timer = setTimeout(() => this.#drip(rest, pauseMs), pauseMs);
  }

  #cut({ status, headers, body }: PictureAnswer): void {
    const half = body.subarray(0, body.length >> 1);
    this.#bytes += half.length;
    this.#settle();
    this.#response.writeHead(status, headers);
    this.#response.write(half, () => this.#request.socket.destroy());
  }

  /** Writes as fast as the client reads, so that it takes no memory here. */
  #flood(total: number): void {
    while (!this.#settled) {
      const left = total - this.#bytes;
      if (left <= zeros.length) return this.#end(zeros.subarray(0, left));
      if (this.#write(zeros)) continue;
      this.#response.once("drain", () => this.#flood(total));
      return;
    }
  }

  #close(): void {
    clearTimeout(this.#timer);
    this.#begun ??= { status: 499, outcome: "client-closed" };
    this.#settle();
  }

  #settle(): void {
    if (this.#settled || this.#begun === undefined) return;
    this.#settled = true;
    this.#service.inFlight -= 1;
    const { status, outcome } = this.#begun;
    const { totals, log, book } = this.#world;
    totals.bytes += this.#bytes;
    totals.byStatus.set(status, (totals.byStatus.get(status) ?? 0) + 1);
    totals.byOutcome.set(outcome, (totals.byOutcome.get(outcome) ?? 0) + 1);
    if (this.#ended && wholeOutcomes.has(outcome)) book.countServed(this.#arrival.version);
    const tookMs = performance.now() - this.#arrival.arrivedMs;
    log.finish(this.#arrival.logIndex, { status, outcome, bytes: this.#bytes, tookMs });
  }
}

function toStatus(reply: PictureReply): number {
  switch (reply.kind) {
    case "answer":
    case "flood":
      return reply.status;
    case "drip":
    case "cut":
      return reply.answer.status;
    case "reset":
    case "stall":
      return 0;
    default:
      return reply satisfies never;
  }
}

function toPieces(body: Uint8Array, pieces: number): Uint8Array[] {
  const bytes = Math.max(1, Math.ceil(body.length / pieces));
  return Array.from({ length: Math.ceil(body.length / bytes) }, (_, index) =>
    body.subarray(index * bytes, (index + 1) * bytes),
  );
}
