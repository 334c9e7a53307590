import { openApp } from "../../app/app.ts";
import { readConfig } from "../../config.ts";
import type { ImageCheck } from "../../domain/views/image-check.ts";
import { UserError } from "../../lib/errors.ts";
import { exitCodes, writeHint, writeJson, type CommandIo } from "../terminal/io.ts";
import { chooseWords } from "../terminal/counted.ts";

export interface CheckImagesOptions {
  readonly repair: boolean;
  readonly json: boolean;
}

/** `avatars images check` */
export async function checkKeptImages({ repair, json }: CheckImagesOptions, io: CommandIo): Promise<number> {
  const app = await openApp(readConfig(), {
    defaultLogLevel: "warn",
    maxConnections: 4,
    migrate: false,
    signal: io.signal,
  });
  try {
    const place = await app.images.describe();
    const check = await app.images.check({ repair, signal: io.signal }, app.operator);
    if (place === undefined || check === undefined)
      throw new UserError("images-off", "images are off: AVATARS_IMAGES says where they are kept");
    if (json) writeJson(io.stdout, check);
    else for (const line of formatCheck(check, place, repair)) writeHint(io, io.stdout, line);
    const faults = check.missing + check.unshown + check.orphans;
    return faults === 0 || repair ? exitCodes.done : exitCodes.incomplete;
  } finally {
    await app.close();
  }
}

function formatCheck(check: ImageCheck, place: string, repair: boolean): string[] {
  const { images, bytes, sizes, missing, asked, unshown, orphans } = check;
  const mended = (words: string) => (repair ? `: ${words}` : "");
  const lines = [
    `${count(images, "picture")} and ${count(sizes, "smaller size")}, ${(bytes / 1e6).toFixed(1)} MB without these; ${place}`,
    ...(missing > 0
      ? [
          `${count(missing, "is", "are")} missing${mended(count(asked, "contact has its own taken again", "contacts have theirs taken again"))}`,
        ]
      : []),
    ...(unshown > 0 ? [`${count(unshown, "is", "are")} shown by no contact${mended("removed")}`] : []),
    ...(orphans > 0
      ? [`${count(orphans, "file belongs", "files belong")} to no picture${mended("removed")}`]
      : []),
  ];
  if (lines.length === 1) return [...lines, "nothing is wrong"];
  return repair ? lines : [...lines, "to mend it: avatars images check --repair"];
}

function count(number: number, one: string, many?: string): string {
  return `${number.toLocaleString("en")} ${chooseWords(number, one, many)}`;
}
