import {
  findPictureOutcomeByDigits,
  getPictureOutcome,
  type PictureOutcomeName,
  type PictureRequest,
} from "../outcomes/picture-outcomes.ts";
import type { PictureReply } from "../outcomes/picture-reply.ts";
import { createRandomOf, drawShare } from "../outcomes/random.ts";
import { judgeSignedUrl } from "../outcomes/signed-url.ts";
import type { Picture, Painter } from "../pictures/painter.ts";
import { playPicture } from "./picture-scripts.ts";
import type { World } from "./world.ts";

/** What is sent for a picture, after how long, and under which name it goes into the log. */
export interface PictureDecision {
  readonly name: string;
  readonly reply: PictureReply;
  readonly delayMs: number;
}

/** The request of a picture as it came off the wire. */
export interface WirePicture {
  /** The path without the query. */
  readonly version: string;
  readonly chatId: string;
  /** The path and the query, without the prefix of a redirect. */
  readonly target: string;
  /** Whether the client comes from the redirect to the loopback. */
  readonly redirected: boolean;
  /** On which port the simulator was asked. */
  readonly port: number;
  /** How often this version was asked for, from 1. */
  readonly attempt: number;
}

/**
 * Decides how the request of a picture ends. In this order: a followed redirect, a script, the signature of the URL, the
 * convention of chat ids, a fault, the picture.
 */
export function decidePicture(
  world: World,
  painter: Painter,
  wire: WirePicture,
  nowMs: number,
): PictureDecision {
  const { tuning, scripts, faults } = world.pictures;
  const random = createRandomOf(`picture ${wire.version} ${wire.attempt}`, world.seed);
  const delayMs = tuning.pictureLatencyMs * (0.5 + random());
  const draw = () => drawPictureAt(world, painter, wire.version);
  const request: PictureRequest = { target: wire.target, port: wire.port, draw, dripMs: tuning.dripMs };
  const toNamed = (name: PictureOutcomeName) => ({
    name,
    reply: getPictureOutcome(name).respond(request),
    delayMs,
  });
  if (wire.redirected) return { ...toNamed("served"), name: "redirect-followed" };
  const scripted = scripts.take(wire.chatId, wire.version);
  if (scripted !== undefined) return { ...playPicture(scripted, request), delayMs };
  const verdict = judgeSignedUrl(wire.target, world.seed, nowMs);
  if (verdict !== "good") return toNamed(`${verdict}-403`);
  return toNamed(findPictureOutcomeByDigits(wire.chatId) ?? drawShare(faults, random) ?? "served");
}

/** The picture that lies at a path. */
export function drawPictureAt(world: World, painter: Painter, version: string): Picture {
  return painter.draw(world.truths.getPictureSeed(version));
}
