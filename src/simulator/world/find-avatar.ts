import { drawLifetimeMs, pixelBase64, toAvatarUrl } from "../outcomes/avatar-url.ts";
import type { Avatar } from "../outcomes/outcome-spec.ts";
import type { Random } from "../outcomes/random.ts";
import { toSignedUrl } from "../outcomes/signed-url.ts";
import { drawPictureAt } from "./decide-picture.ts";
import type { PictureService, World } from "./world.ts";

/**
 * The picture of a chat as a call is told of it: at `origin` a file of its own, and a path that the book knows from then on.
 * Without an origin its URL is WhatsApp's, and its file one pixel.
 */
export function findAvatar(
  world: World,
  { painter }: PictureService,
  origin: string | undefined,
  chat: { readonly instanceId: string; readonly chatId: string },
  random: Random,
): Avatar {
  const path = world.truths.getAvatarPath(chat.instanceId, chat.chatId);
  const lifetimeMs = () => world.pictures.tuning.urlLifetimeMs ?? drawLifetimeMs(random);
  if (origin === undefined) {
    const toUrl = (expiresAtMs: number | undefined) => toAvatarUrl(path, expiresAtMs, random);
    const toUrlElsewhere = (signing: Random) =>
      `https://pictures.example.net/avatar?of=${Buffer.from(chat.chatId).toString("base64url")}&signature=${signing()}`;
    return {
      lifetimeMs,
      path,
      toUrl,
      toUrlElsewhere,
      draw: () => ({ type: "image/png", base64: pixelBase64 }),
    };
  }
  const draw = () => {
    const { type, bytes } = drawPictureAt(world, painter, path);
    return { type, base64: bytes.toString("base64") };
  };
  const toUrl = (expiresAtMs: number | undefined) => {
    world.pictures.book.name(path, chat.chatId);
    return toSignedUrl({ origin, path, expiresAtMs, seed: world.seed }, random);
  };
  const toUrlElsewhere = (signing: Random) => {
    world.pictures.book.name(path, chat.chatId);
    const parts = { origin: `${origin}/elsewhere`, path, expiresAtMs: undefined, seed: world.seed };
    return toSignedUrl(parts, signing);
  };
  return { lifetimeMs, path, toUrl, toUrlElsewhere, draw };
}
