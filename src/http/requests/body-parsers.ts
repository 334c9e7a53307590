import type { FastifyInstance, FastifyRequest } from "fastify";
import { toExcerpt } from "../../domain/chat-id.ts";
import { assertJsonBounds } from "./json-bounds.ts";
import { ApiError } from "../answers/problem.ts";

/** The media types that are taken as a stream, by the routes that take streams. */
const streamTypes = [
  "application/x-ndjson",
  "text/csv",
  "text/plain",
  "text/vcard",
  "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
];

/**
 * Reads bodies where a route takes one: JSON, or a stream, which the route reads by itself. JSON is UTF-8 or refused, since
 * text that was guessed would be stored wrongly. It has bounds, since it is read in one go. A body that comes with a request
 * that needs none is not looked at. Clients add content types, and bodies, out of habit.
 */
export function addBodyParsers(app: FastifyInstance): void {
  const parseJson = app.getDefaultJsonParser("error", "error");
  const utf8 = new TextDecoder("utf-8", { fatal: true });

  app.removeAllContentTypeParsers();
  app.addContentTypeParser("application/json", { parseAs: "buffer" }, (request, bytes, done) => {
    if (!isPlain(request)) return done(unsupported(request));
    let text: string;
    try {
      assertJsonBounds(bytes as Buffer);
      text = utf8.decode(bytes as Buffer);
    } catch (cause) {
      if (cause instanceof ApiError) return done(cause);
      return done(new ApiError("malformed-body", "the body is not UTF-8, as JSON has to be", { cause }));
    }
    // The parser answers by `done`, like this one.
    void parseJson(request, text, done);
  });
  app.addContentTypeParser(streamTypes, (request, payload, done) => {
    if (request.routeOptions.config.streams && (isPlain(request) || isGzipped(request))) done(null, payload);
    else done(unsupported(request));
  });
  app.addContentTypeParser("*", (request, _payload, done) => {
    if (takesBody(request)) done(unsupported(request));
    else done(null, undefined);
  });
  app.addHook("onRequest", async (request) => {
    // Nothing but the last of these parsers takes it then.
    if (!takesBody(request)) delete request.raw.headers["content-type"];
  });
}

/** Does the route want the body of its requests? */
export function takesBody({ routeOptions }: FastifyRequest): boolean {
  return routeOptions.config.streams === true || routeOptions.schema?.body !== undefined;
}

function isPlain({ headers }: FastifyRequest): boolean {
  return /^(identity)?$/i.test(headers["content-encoding"] ?? "");
}

/** A stream is unzipped where it begins like gzip, whether it says so or not. */
function isGzipped({ headers }: FastifyRequest): boolean {
  return /^(x-)?gzip$/i.test(headers["content-encoding"] ?? "");
}

function unsupported({ headers, routeOptions }: FastifyRequest): ApiError {
  const taken = ["application/json", ...(routeOptions.config.streams ? streamTypes : [])].join(", ");
  const came = (name: "content-type" | "content-encoding") => toExcerpt(headers[name] ?? "none", 80);
  return new ApiError(
    "unsupported-media-type",
    `Content-Type ${came("content-type")}, Content-Encoding ${came("content-encoding")}: what is taken here is ${taken}${routeOptions.config.streams ? ", a stream also with gzip" : ""}`,
  );
}
