import type { FastifyReply, FastifyRequest } from "fastify";
import type { ImageFacts, ImageSize } from "../../../domain/images/image.ts";
import { ApiError } from "../../answers/problem.ts";
import { getKey } from "../../requests/access.ts";
import { toCallerAddress } from "../../requests/caller-address.ts";
import { createPlaces, type Places } from "../../requests/places.ts";
import { whenClosed } from "../../requests/when-closed.ts";
import type { ImageQuery } from "../../schemas/image-query.ts";

/** The image of a contact, as it is shown at its address. */
export interface AddressedImage {
  readonly contactId: number;
  /** Undefined: there is none to show. */
  readonly image: ImageFacts | undefined;
}

/** Images as routes serve them. */
export interface ServedImages {
  /** The contact whose address ends with the token; undefined: the token was not made here. */
  readToken(token: string): number | undefined;
  /** Undefined: the contact was erased. */
  find(contactId: number): Promise<AddressedImage | undefined>;
  /** The bytes of the image, or of one of its sizes; undefined: they are lost, and wanted again. */
  read(image: ImageFacts, size: ImageSize | undefined): Promise<Buffer | undefined>;
  /** An SVG. */
  drawSilhouette(contactId: number, size: number): string;
  /** A PNG. */
  readonly blank: Buffer;
}

export interface ImageRoutePorts {
  /** Undefined: images are off. */
  readonly images: ServedImages | undefined;
}

/** Images in memory on their way to their readers, KiB: some hundred of the usual size for one caller, more for all. */
const memoryKib = { total: 64 * 1024, perKey: 24 * 1024, what: "KiB of images" };

const defaultSilhouette = 256;

/** For the browser alone that asked: an image is of a person. */
const shortly = "private, max-age=300";
const forLong = "private, max-age=86400, immutable";

/** Whatever the bytes are, a browser shows them as an image or not at all. */
const safeHeaders = {
  "x-content-type-options": "nosniff",
  "content-security-policy": "default-src 'none'; sandbox",
  "cross-origin-resource-policy": "cross-origin",
  "referrer-policy": "no-referrer",
  "x-robots-tag": "noindex",
} as const;

/** @throws ApiError `not-found` */
export function getImages({ images }: ImageRoutePorts): ServedImages {
  if (images) return images;
  throw new ApiError("not-found", "images are off here: AVATARS_IMAGES says where they are kept");
}

/** Counts the memory of the images that a route serves: a caller who reads slowly fills its own share. */
export function createImageMemory(): Places {
  return createPlaces(memoryKib);
}

/** A request for the image of a contact, whichever door it came by. */
interface ImageRequest {
  readonly images: ServedImages;
  /** See {@link createImageMemory}. */
  readonly memory: Places;
  readonly contactId: number;
  /** The last part of the address, to which an old `v` is redirected. */
  readonly path: string;
  /** The answer where there is no such contact any more. */
  readonly erased: ApiError;
}

/**
 * Answers with the image of a contact, with what the query asks for in its place, or with 304.
 * @throws ApiError `erased`, `not-found`, `unavailable`
 */
export async function answerImage(
  { images, memory, contactId, path, erased }: ImageRequest,
  request: FastifyRequest & { readonly query: ImageQuery },
  reply: FastifyReply,
): Promise<FastifyReply> {
  void reply.headers(safeHeaders);
  const { query } = request;
  const found = await images.find(contactId);
  if (found === undefined) throw erased;
  const { image } = found;
  if (image === undefined) return answerFallback({ images, contactId }, request, reply);
  const hash = image.sha256.toString("hex");
  const version = hash.slice(0, 16);
  if (query.v !== undefined && query.v !== version) return redirect(path, { ...query, v: version }, reply);
  const etag = toEtag(hash, query.size);
  const keep = () =>
    reply.header("cache-control", query.v === undefined ? shortly : forLong).header("etag", etag);
  if (isKnown(request, etag)) return keep().code(304).send();
  if (request.method === "HEAD" && query.size === undefined)
    return keep().type(image.type).header("content-length", image.bytes).send();
  const leave = memory.tryTake(request.apiKey?.id ?? toCallerAddress(request), Math.ceil(image.bytes / 1024));
  if (leave === undefined) return answerBusy({ images, contactId }, request, reply);
  whenClosed(reply.raw, leave);
  const bytes = await readOrLose(images, image, query, reply);
  if (bytes === undefined) return answerFallback({ images, contactId }, request, reply, "no-store");
  return send(keep(), image.type, bytes);
}

/**
 * Answers with the bytes of an image that never changes: its address has its hash. Undefined: they are lost.
 * @throws ApiError `unavailable`, `rate-limited`
 */
export async function answerBytes(
  {
    images,
    memory,
    image,
  }: { readonly images: ServedImages; readonly memory: Places; readonly image: ImageFacts },
  request: FastifyRequest & { readonly query: Pick<ImageQuery, "size"> },
  reply: FastifyReply,
): Promise<FastifyReply | undefined> {
  const { size } = request.query;
  const etag = toEtag(image.sha256.toString("hex"), size);
  void reply.headers(safeHeaders);
  const keep = () => reply.header("cache-control", forLong).header("etag", etag);
  if (isKnown(request, etag)) return keep().code(304).send();
  whenClosed(reply.raw, memory.take(getKey(request).id, Math.ceil(image.bytes / 1024)));
  const bytes = await readOrLose(images, image, { size, fallback: "404" }, reply);
  if (bytes !== undefined) return send(keep(), image.type, bytes);
  void reply.header("cache-control", "no-store");
  return undefined;
}

/** A store that is away is no reason for a broken image where the query asks for something in its place. */
async function readOrLose(
  images: ServedImages,
  image: ImageFacts,
  { size, fallback }: ImageQuery,
  reply: FastifyReply,
): Promise<Buffer | undefined> {
  try {
    return await images.read(image, size);
  } catch (cause) {
    if (fallback !== "404") return undefined;
    void reply.header("cache-control", "no-store");
    throw new ApiError("unavailable", "the store of images does not answer", { retryAfterS: 5, cause });
  }
}

/** A list shows a drawing meanwhile, and asks again when it is drawn anew. */
function answerBusy(
  of: { readonly images: ServedImages; readonly contactId: number },
  request: FastifyRequest & { readonly query: ImageQuery },
  reply: FastifyReply,
): FastifyReply {
  void reply.header("cache-control", "no-store");
  if (request.query.fallback === "404")
    throw new ApiError("unavailable", "too many images are on their way to you: read some first", {
      retryAfterS: 1,
    });
  return answerFallback(of, request, reply, "no-store");
}

function answerFallback(
  { images, contactId }: { readonly images: ServedImages; readonly contactId: number },
  request: FastifyRequest & { readonly query: ImageQuery },
  reply: FastifyReply,
  cacheControl: string = shortly,
): FastifyReply {
  const { fallback, size = defaultSilhouette } = request.query;
  void reply.header("cache-control", cacheControl);
  if (fallback === "404") throw new ApiError("not-found", "this contact shows no image");
  if (fallback === "blank") return send(reply, "image/png", images.blank);
  return send(reply, "image/svg+xml", Buffer.from(images.drawSilhouette(contactId, size)));
}

/** Node leaves the body of an answer to HEAD out, and its length in. */
function send(reply: FastifyReply, type: string, bytes: Buffer): FastifyReply {
  return reply.type(type).header("content-length", bytes.length).send(bytes);
}

function redirect(path: string, { size, fallback, v }: ImageQuery, reply: FastifyReply): FastifyReply {
  const query = new URLSearchParams({ v: String(v), fallback });
  if (size !== undefined) query.set("size", String(size));
  // Relative to the address: a proxy may have put a prefix before it.
  return reply.header("cache-control", shortly).redirect(`${path}?${query.toString()}`, 302);
}

function toEtag(hash: string, size: ImageSize | undefined): string {
  return `"${hash.slice(0, 32)}${size === undefined ? "" : `-${size}`}"`;
}

function isKnown({ headers }: FastifyRequest, etag: string): boolean {
  const given = headers["if-none-match"];
  if (given === undefined || given.length > 1_000) return false;
  return given.split(",").some((each) => each.trim().replace(/^W\//, "") === etag || each.trim() === "*");
}
