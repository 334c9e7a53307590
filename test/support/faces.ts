import { createHash } from "node:crypto";
import type { Random } from "../../src/simulator/outcomes/random.ts";
import type { Simulator } from "../../src/simulator/start-simulator.ts";

/** The pictures that chats of the simulator have, and have had: people who change them at random. */
export interface Faces {
  /** One person at random takes another picture, or none, hides it, or has it put at another path. */
  change(): void;
  /** Whether these are the bytes of the chat's picture in this version, as an answer told it. */
  isOf(chatId: string, version: string, bytes: Buffer): boolean;
}

/** By shares of the changes: another picture, the same one at another path, none, hidden. */
const [another, moved, none] = [0.6, 0.75, 0.88];

export function createFaces(
  simulator: Simulator,
  instanceId: string,
  chatIds: readonly string[],
  random: Random,
): Faces {
  /** Of each chat the hash of its picture, by the path. */
  const known = new Map<string, Map<string, string>>();
  const pictures = new Map<string, number>();

  const note = (chatId: string) => {
    const picture = simulator.picture(instanceId, chatId);
    if (picture === undefined) return;
    const paths = known.get(chatId) ?? new Map<string, string>();
    known.set(chatId, paths.set(picture.version, picture.sha256));
  };
  for (const chatId of chatIds) note(chatId);

  return {
    change() {
      const chatId = chatIds[Math.floor(random() * chatIds.length)] ?? "";
      const picture = pictures.get(chatId) ?? 0;
      const next = picture + 1;
      const draw = random();
      if (draw < another) {
        pictures.set(chatId, next);
        simulator.setTruth({ chatId, picture: next });
      } else if (draw < moved) {
        // Numbers that no picture of its own ever has.
        simulator.setTruth({ chatId, picture, address: 1_000_000 + Math.floor(random() * 1_000_000) });
      } else {
        simulator.setTruth({ chatId, picture, kind: draw < none ? "absent" : "hidden" });
      }
      note(chatId);
    },
    isOf(chatId, version, bytes) {
      // An answer with the picture itself is known by its base64.
      if (version.startsWith("sha256:")) return version === `sha256:${toHash(bytes.toString("base64"))}`;
      return known.get(chatId)?.get(version) === toHash(bytes);
    },
  };
}

function toHash(content: Buffer | string): string {
  return createHash("sha256").update(content).digest("hex");
}
