import { Counter, Gauge, type Registry } from "prom-client";
import type { ImageGauges } from "../domain/views/image-gauges.ts";

/** What is told of images that are taken, as far as it is counted. */
export interface CountedImages {
  imageTried(fields: { outcome: string; error: string | undefined; bytes: number }): void;
  imagesSettled(counts: { sameImage: number; otherImage: number }): void;
  imagesRemoved(fields: { images: number }): void;
}

/** Images that this process takes, and those that are kept. */
export function createImageMetrics(registry: Registry): {
  readonly events: CountedImages;
  /** Undefined: they are not counted yet, or images are off. */
  show(gauges: ImageGauges | undefined): void;
} {
  const { tries, bytes, sameImage, otherImage, removed } = createCounters(registry);
  const { wanted, oldest, images, stored, shown, ratio } = createGauges(registry);
  const all = [wanted, oldest, images, stored, shown, ratio];
  return {
    events: {
      imageTried({ outcome, error, bytes: count }) {
        tries.inc({ outcome, error: error ?? "" });
        bytes.inc(count);
      },
      imagesSettled(counts) {
        sameImage.inc(counts.sameImage);
        otherImage.inc(counts.otherImage);
      },
      imagesRemoved: (fields) => removed.inc(fields.images),
    },
    show(gauges) {
      for (const gauge of all) gauge.remove();
      if (gauges === undefined) return;
      wanted.set(gauges.wanted);
      oldest.set(gauges.oldestWantedSeconds);
      images.set(gauges.images);
      stored.set(gauges.bytes);
      shown.set(gauges.shown);
      ratio.set(gauges.present === 0 ? 1 : Math.min(1, gauges.shown / gauges.present));
    },
  };
}

function createCounters(registry: Registry) {
  const create = (name: string, help: string, labelNames: readonly string[] = []) =>
    new Counter({ name: `avatars_${name}`, help, labelNames: [...labelNames], registers: [registry] });
  return {
    tries: create(
      "image_tries_total",
      "Tries to take an image that have ended: taken, refused, expired (its URL is dead), failed (tried again)",
      ["outcome", "error"],
    ),
    bytes: create("image_bytes_total", "Bytes of images that were taken"),
    sameImage: create("image_same_total", "Images that were the known one under another URL: no change"),
    otherImage: create("image_other_total", "Images that were another one under the known URL: a change"),
    removed: create("images_removed_total", "Images that no contact showed any more and that were removed"),
  };
}

function createGauges(registry: Registry) {
  const create = (name: string, help: string) =>
    new Gauge({ name: `avatars_images_${name}`, help, registers: [registry] });
  return {
    wanted: create("wanted", "Avatars whose image is to be taken"),
    oldest: create("oldest_wanted_seconds", "How long the oldest of them is overdue"),
    images: create("stored", "Images that are kept, each once"),
    stored: create("stored_bytes", "Their bytes, without sizes"),
    shown: create("shown", "Contacts that show an image"),
    ratio: create("mirrored_ratio", "The share of the contacts with a picture whose image is kept"),
  };
}
