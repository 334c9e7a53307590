import type { Socket } from "node:net";
import { errors } from "undici";
import { type TimerWheel, WheelEntry } from "../../lib/timer-wheel.ts";
import type { Exchange } from "./exchange.ts";
import type { SocketOpener } from "./open-socket.ts";
import { type ReadReply, ReplyReader } from "./reply-reader.ts";

export interface ConnectionPorts {
  readonly opener: SocketOpener;
  readonly rests: TimerWheel<HttpConnection>;
  readonly maxBodyBytes: number;
  /** It can have another exchange. */
  readonly onFree: (connection: HttpConnection) => void;
  /** It can have none any more. */
  readonly onClosed: (connection: HttpConnection) => void;
}

const connectTimeoutMs = 10_000;

/**
 * A connection with one exchange at a time, HTTP/1.1 without pipelining. Written by hand, since all that undici and Node do beyond
 * that costs some three times as much as the call itself.
 */
export class HttpConnection extends WheelEntry {
  readonly #ports: ConnectionPorts;
  readonly #socket: Socket;
  readonly #reader: ReplyReader;
  readonly #hangUp = (): void => void this.#socket.destroy();
  #exchange: Exchange | undefined;
  #isOpen = false;
  #isClosing = false;

  /** Opens with its first exchange. */
  constructor(ports: ConnectionPorts, exchange: Exchange) {
    super();
    this.#ports = ports;
    this.#exchange = exchange;
    this.#reader = new ReplyReader(ports.maxBodyBytes);
    const { socket, openEvent } = ports.opener.open((bytes) => this.#read(bytes));
    this.#socket = socket;
    ports.rests.start(this, connectTimeoutMs);
    socket.once(openEvent, () => this.#opened());
    socket.on("error", (error) => this.#fail(error));
    socket.on("end", () => this.#ended());
    socket.on("close", () => {
      this.#fail(new errors.SocketError("other side closed"));
      ports.rests.stop(this);
      ports.onClosed(this);
    });
  }

  /** A connection that was closed is told of by `onClosed`, but perhaps not yet. */
  get isUsable(): boolean {
    return !this.#socket.destroyed;
  }

  /** Only while it is free. */
  start(exchange: Exchange): void {
    this.#ports.rests.stop(this);
    this.#socket.ref();
    this.#exchange = exchange;
    this.#write(exchange);
  }

  /** After the exchange that it has. */
  close(): void {
    this.#isClosing = true;
    if (this.#exchange === undefined) this.#hangUp();
  }

  /** It rested for too long, or did not open in time. */
  override onDue(): void {
    if (!this.#isOpen) this.#fail(new errors.ConnectTimeoutError());
    this.#hangUp();
  }

  #opened(): void {
    this.#isOpen = true;
    this.#ports.rests.stop(this);
    if (this.#exchange) this.#write(this.#exchange);
  }

  #write(exchange: Exchange): void {
    if (!exchange.leaves(this.#hangUp)) return this.#rest(defaultRestMs);
    const { method, path, body } = exchange.request;
    const head = `${method} ${path} HTTP/1.1\r\nhost: ${this.#ports.opener.host}${sameHeaders}`;
    if (body === undefined) return void this.#socket.write(`${head}\r\n\r\n`, "latin1");
    const length = Buffer.byteLength(body);
    // What is ASCII alone, as nearly all is, need not be encoded.
    const encoding = length === body.length ? "latin1" : "utf8";
    this.#socket.write(`${head}${postedHeaders}${length}\r\n\r\n${body}`, encoding);
  }

  #read(bytes: Buffer): void {
    // What nothing has asked for must not be taken for the next reply.
    if (this.#exchange === undefined) return this.#hangUp();
    let reply: ReadReply | undefined;
    try {
      reply = this.#reader.read(bytes);
    } catch (error) {
      this.#fail(error);
      return this.#hangUp();
    }
    if (reply) this.#finish(reply);
  }

  #ended(): void {
    const reply = this.#exchange && this.#reader.end();
    if (reply) this.#finish(reply);
    else this.#hangUp();
  }

  #finish(reply: ReadReply): void {
    const exchange = this.#exchange;
    this.#rest(reply.restMs);
    exchange?.reply(reply);
  }

  #rest(forMs: number): void {
    this.#exchange = undefined;
    if (forMs <= 0 || this.#isClosing) return this.#hangUp();
    this.#ports.rests.start(this, forMs);
    // What rests keeps no process alive.
    this.#socket.unref();
    this.#ports.onFree(this);
  }

  #fail(error: unknown): void {
    const exchange = this.#exchange;
    this.#exchange = undefined;
    exchange?.fail(error, this.#reader.status);
  }
}

/** After a request that did not leave: the server has said nothing of its patience. */
const defaultRestMs = 4_000;
const sameHeaders = "\r\nconnection: keep-alive\r\naccept: application/json\r\nuser-agent: contact-avatars";
const postedHeaders = "\r\ncontent-type: application/json\r\ncontent-length: ";
