import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { createControl, type SimulatorControl } from "./control/control.ts";
import { parseFaults } from "./control/control-input.ts";
import { parsePictureFaults } from "./control/picture-input.ts";
import { watchEventLoopLag } from "./control/event-loop-lag.ts";
import { sendAnswer } from "./exchange.ts";
import { toApiError, toText } from "./outcomes/reply.ts";
import { Painter } from "./pictures/painter.ts";
import { findCallRoute, serveCall } from "./serve-call.ts";
import { findPictureRoute, servePicture } from "./serve-picture.ts";
import { controlPrefix, serveControl } from "./serve-control.ts";
import { type Settings, type SimulatorOptions, toSettings } from "./world/simulator-options.ts";
import { createWorld, type Simulation } from "./world/world.ts";

/** A running simulator of GREEN-API. */
export interface Simulator extends SimulatorControl {
  /** Without a trailing slash, e.g. `http://127.0.0.1:40123`: an instance's `apiUrl`. */
  readonly url: string;
  readonly port: number;
  /** Ends every connection at once, stalled ones too. Twice is harmless. */
  close(): Promise<void>;
}

/** Longer than clients keep a connection in their pools, so that it is never the server who ends it first. */
const keepAliveTimeoutMs = 75_000;

const everyAddress: ReadonlySet<string> = new Set(["0.0.0.0", "::"]);
const hostPattern = /^(?:[\w.-]{1,253}|\[[\da-f:.]{2,45}\])(?::\d{1,5})?$/i;

const greeting = `A simulator of GREEN-API for contact-avatars: getAvatar, getStateInstance and getContacts, no real WhatsApp behind it.
POST /waInstance{id}/getAvatar/{token}, GET /waInstance{id}/getStateInstance/{token},
GET /waInstance{id}/getContacts/{token}; GET ${controlPrefix} lists the controls.
`;

/**
 * Starts GREEN-API as documented, as an HTTP server of its own. Resolves when it listens; rejects where the
 * port is taken (Node's `EADDRINUSE`) or the fault shares make no sense.
 */
export async function startSimulator(options: SimulatorOptions = {}): Promise<Simulator> {
  const settings = toSettings(options);
  parseFaults(settings.defaultFaults);
  parsePictureFaults(settings.pictureFaults);
  const sockets = new Set<Socket>();
  const dropConnections = (except?: Socket) => resetAll(sockets, except);
  const server = createServer({ keepAliveTimeout: keepAliveTimeoutMs });
  await listen(server, settings.port, settings.host);
  const port = getPort(server);
  const host = settings.host.includes(":") ? `[${settings.host}]` : settings.host;
  const url = `http://${host}:${port}`;
  const simulation = createSimulation(settings, url);
  const lag = watchEventLoopLag();
  const control = createControl({ simulation, settings, lag, dropConnections });
  server.on("connection", (socket) => trackSocket(sockets, socket));
  server.on("request", (request, response) => serve(simulation, control, request, response));
  let closing: Promise<void> | undefined;
  return {
    ...control,
    url,
    port,
    close() {
      lag.stop();
      closing ??= closeServer(server);
      return closing;
    },
  };
}

function createSimulation(settings: Settings, url: string): Simulation {
  const findOrigin = (host: string | undefined) => {
    if (!settings.pictures) return undefined;
    if (settings.picturesAt !== undefined) return settings.picturesAt;
    // An address that stands for all of this machine leads nowhere: clients know a name that led here.
    return everyAddress.has(settings.host) && hostPattern.test(host ?? "") ? `http://${host}` : url;
  };
  const isServedHere = settings.pictures && settings.picturesAt === undefined;
  const pictures = { painter: new Painter(), findOrigin, isServedHere, inFlight: 0, peakInFlight: 0 };
  return { world: createWorld(settings), inFlight: 0, peakInFlight: 0, pictures };
}

function serve(
  simulation: Simulation,
  control: SimulatorControl,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const { method: verb = "", url: requestPath = "" } = request;
  const route = findCallRoute(verb, requestPath);
  if (route !== undefined) return serveCall(simulation, route, request, response);
  const picture = simulation.pictures.isServedHere ? findPictureRoute(verb, requestPath) : undefined;
  if (picture !== undefined) return servePicture(simulation, picture, request, response);
  if (requestPath === controlPrefix || /^\/__control[/?]/.test(requestPath)) {
    void serveControl(control, request, response);
    return;
  }
  request.resume();
  const isGreeting = requestPath === "/" && (verb === "GET" || verb === "HEAD");
  const nowMs = Date.now();
  const answer = isGreeting
    ? toText(greeting)
    : toApiError(404, `Cannot ${verb} ${requestPath}`, { requestPath, nowMs });
  sendAnswer(response, answer);
}

async function listen(server: Server, port: number, host: string): Promise<void> {
  server.listen(port, host);
  await once(server, "listening");
}

function getPort(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === "string")
    throw new Error("the simulator does not listen on a port");
  return address.port;
}

function trackSocket(sockets: Set<Socket>, socket: Socket): void {
  sockets.add(socket);
  socket.once("close", () => sockets.delete(socket));
}

function resetAll(sockets: ReadonlySet<Socket>, except: Socket | undefined): number {
  const dropped = [...sockets].filter((socket) => socket !== except);
  for (const socket of dropped) socket.resetAndDestroy();
  return dropped.length;
}

async function closeServer(server: Server): Promise<void> {
  const closed = once(server, "close");
  server.close();
  server.closeAllConnections();
  await closed;
}
