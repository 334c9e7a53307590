import type { ImageFacts } from "../../domain/images/image.ts";
import type { SettledImage } from "../../domain/images/image-taking.ts";
import { sleep } from "../../lib/deadline.ts";

/** What a process has taken and not written yet. */
export interface SettleBuffer {
  /** @param onEnd called when the row is written, or could not be: nothing reads the bytes from then on */
  add(settled: SettledImage, bytes: Buffer | undefined, onEnd: () => void): void;
  /** Resolves when nothing waits to be written. */
  drain(): Promise<void>;
}

export interface SettleBufferPorts {
  /** Writes rows; calls `ensureStored` before it commits. */
  readonly settle: (
    settled: readonly SettledImage[],
    ensureStored: (images: readonly ImageFacts[]) => Promise<void>,
  ) => Promise<void>;
  readonly isStored: (image: ImageFacts) => Promise<boolean>;
  readonly putBytes: (image: ImageFacts, bytes: Buffer) => Promise<void>;
  /** Rows could not be written: they stay wanted, and their images are taken again. */
  readonly onFailed: (count: number, error: unknown) => void;
}

interface Held {
  readonly settled: SettledImage;
  readonly bytes: Buffer | undefined;
  readonly onEnd: () => void;
}

/** One statement for many rows; a person does not notice the wait. */
const flushAfterMs = 100;
const mostAtOnce = 100;

export function createSettleBuffer(ports: SettleBufferPorts): SettleBuffer {
  let waiting: Held[] = [];
  let flushing: Promise<void> | undefined;
  let isDraining = false;

  async function flush(): Promise<void> {
    while (waiting.length > 0) {
      if (waiting.length < mostAtOnce && !isDraining) await sleep(flushAfterMs);
      const batch = takeBatch();
      await write(ports, batch);
      for (const { onEnd } of batch) onEnd();
    }
    flushing = undefined;
  }

  /** One statement writes a contact once: a second try of it waits for the next. */
  function takeBatch(): Held[] {
    const batch = new Map<number, Held>();
    const later: Held[] = [];
    for (const each of waiting) {
      const { contactId } = each.settled.wanted;
      if (batch.size < mostAtOnce && !batch.has(contactId)) batch.set(contactId, each);
      else later.push(each);
    }
    waiting = later;
    return [...batch.values()];
  }

  return {
    add(settled, bytes, onEnd) {
      waiting.push({ settled, bytes, onEnd });
      flushing ??= flush();
    },
    async drain() {
      isDraining = true;
      await flushing;
    },
  };
}

async function write(ports: SettleBufferPorts, batch: readonly Held[]): Promise<void> {
  const bytesOf = new Map(
    batch.flatMap(({ settled: { settlement }, bytes }) =>
      settlement.kind === "taken" && bytes ? [[settlement.image.sha256.toString("hex"), bytes] as const] : [],
    ),
  );
  const ensureStored = async (images: readonly ImageFacts[]) =>
    void (await Promise.all(
      images.map(async (image) => {
        const bytes = bytesOf.get(image.sha256.toString("hex"));
        if (bytes && !(await ports.isStored(image))) await ports.putBytes(image, bytes);
      }),
    ));
  try {
    await ports.settle(
      batch.map(({ settled }) => settled),
      ensureStored,
    );
  } catch (error) {
    ports.onFailed(batch.length, error);
  }
}
