import type { IncomingMessage, ServerResponse } from "node:http";
import { PictureExchange } from "./picture-exchange.ts";
import { decidePicture } from "./world/decide-picture.ts";
import type { Simulation } from "./world/world.ts";

/** Which picture a request is for. */
export interface PictureRoute {
  /** The path without the query. */
  readonly version: string;
  /** The path and the query. */
  readonly target: string;
  /** Whether it comes from a redirect to the loopback. */
  readonly redirected: boolean;
}

const pictureTarget = /^(?:(\/redirected)|\/elsewhere)?((\/v\/t61\.24694-24\/[\d_]{1,60}_n\.jpg)(?:\?.*)?)$/;

/** Reads `GET /v/t61.24694-24/{digits}_n.jpg?…`, and the same with HEAD and below `/redirected` or `/elsewhere`. */
export function findPictureRoute(verb: string, requestPath: string): PictureRoute | undefined {
  if (verb !== "GET" && verb !== "HEAD") return undefined;
  const [, redirect, target, version] = pictureTarget.exec(requestPath) ?? [];
  if (target === undefined || version === undefined) return undefined;
  return { version, target, redirected: redirect !== undefined };
}

/** Serves one picture as WhatsApp's CDN does, or the fault that it is to suffer. */
export function servePicture(
  simulation: Simulation,
  route: PictureRoute,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  request.resume();
  const arrivedMs = performance.now();
  const { world, pictures } = simulation;
  const { book, log } = world.pictures;
  const { version } = route;
  const chatId = book.findChatId(version);
  const logIndex = log.open(performance.timeOrigin + arrivedMs, version, chatId);
  const wire = { ...route, chatId, port: request.socket.localPort ?? 0, attempt: book.countRequest(version) };
  const exchange = new PictureExchange(simulation, { request, response }, { logIndex, arrivedMs, version });
  exchange.perform(decidePicture(world, pictures.painter, wire, Date.now()));
}
