import { appendText, unescapeText } from "./cell-text.ts";
import type { WorkbookPackage } from "./open-package.ts";
import { createXmlReader } from "./read-xml.ts";
import type { StringTable } from "./string-table.ts";

/** Unzipped. A million names and a million numbers take a tenth of it. */
const maxBytes = 512 * 1024 * 1024;

/** Reads the strings that the cells of a workbook share, in their order. Longer ones than a cell holds are cut. */
export async function readSharedStrings(
  workbook: WorkbookPackage,
  part: string,
  table: StringTable,
): Promise<void> {
  let strings: string[] = [];
  let text = "";
  let isText = false;
  let isAid = false;
  const xml = createXmlReader(part, {
    open(name) {
      if (name === "si") text = "";
      else if (name === "t") isText = true;
      else if (name === "rPh") isAid = true;
    },
    text(piece) {
      if (isText && !isAid) text = appendText(text, piece);
    },
    close(name) {
      if (name === "si") strings.push(unescapeText(text));
      else if (name === "t") isText = false;
      else if (name === "rPh") isAid = false;
    },
  });
  for await (const piece of workbook.read(part, maxBytes)) {
    xml.write(piece);
    await table.add(strings);
    strings = [];
  }
  xml.end();
}
