import { posix } from "node:path";
import { toBroken, toUnsupported } from "./broken-workbook.ts";
import type { WorkbookPackage } from "./open-package.ts";
import { createXmlReader, type XmlHandlers } from "./read-xml.ts";

/** A sheet with cells. */
export interface Sheet {
  readonly name: string;
  /** The part that has its rows. */
  readonly part: string;
  readonly isHidden: boolean;
}

export interface WorkbookMap {
  /** In the order of their tabs. */
  readonly sheets: readonly Sheet[];
  /** The part that has the shared strings, where there is one. */
  readonly stringsPart: string | undefined;
}

interface Relationship {
  readonly id: string;
  /** The last part of its type: `worksheet`. */
  readonly type: string;
  readonly target: string;
}

/** Unzipped. A workbook with ten thousand named ranges has a tenth of it. */
const maxBytes = 16 * 1024 * 1024;
const maxSheets = 10_000;
const contentTypes = "[content_types].xml";

/**
 * Finds the sheets of a workbook.
 * @throws UserError `unsupported-file` for macros, and for what is no workbook; `broken-workbook`
 */
export async function findSheets(workbook: WorkbookPackage): Promise<WorkbookMap> {
  refuseOthers(workbook.names);
  const roots = await readRelationships(workbook, "");
  const main = roots.find(({ type }) => type === "officeDocument")?.target ?? "xl/workbook.xml";
  refuseMacros(workbook.names, await readMainType(workbook, main));
  const parts = await readRelationships(workbook, main);
  const sheets = await readSheets(workbook, main, parts);
  const stringsPart = parts.find(({ type }) => type === "sharedStrings")?.target;
  return {
    sheets,
    stringsPart: workbook.names.has(stringsPart?.toLowerCase() ?? "") ? stringsPart : undefined,
  };
}

const others: ReadonlyArray<readonly [name: string, what: string]> = [
  ["xl/workbook.bin", "an Excel workbook of the binary kind (.xlsb)"],
  ["content.xml", "an OpenDocument file (.ods)"],
  ["index/document.iwa", "a document of Numbers"],
];

function refuseOthers(names: ReadonlySet<string>): void {
  for (const [name, what] of others) {
    if (names.has(name)) throw toUnsupported(what, "save it as an Excel workbook (.xlsx), or as CSV");
  }
  if (names.has(contentTypes) && [...names].some((name) => name.startsWith("xl/"))) return;
  throw toUnsupported("a zip archive that holds no Excel workbook", "unpack it, and give the file in it");
}

function refuseMacros(names: ReadonlySet<string>, mainType: string): void {
  const hasMacros =
    /macroenabled/i.test(mainType) || [...names].some((name) => name.endsWith("vbaproject.bin"));
  if (hasMacros) {
    throw toUnsupported(
      "an Excel workbook with macros (.xlsm)",
      "save it as .xlsx, without macros, or as CSV",
    );
  }
}

/** The media type of the main part. */
async function readMainType(workbook: WorkbookPackage, main: string): Promise<string> {
  let found = "";
  await readPart(workbook, contentTypes, {
    open(name, { PartName, ContentType }) {
      if (name === "Override" && PartName?.toLowerCase() === `/${main.toLowerCase()}`)
        found = ContentType ?? "";
    },
  });
  return found;
}

async function readSheets(
  workbook: WorkbookPackage,
  main: string,
  parts: readonly Relationship[],
): Promise<Sheet[]> {
  const byId = new Map(parts.map((part) => [part.id, part]));
  const sheets: Sheet[] = [];
  await readPart(workbook, main, {
    open(element, attributes) {
      if (element !== "sheet") return;
      const id = Object.entries(attributes).find(([name]) => name.endsWith(":id"))?.[1];
      const part = id === undefined ? undefined : byId.get(id);
      // Sheets of charts and dialogs have no cells.
      if (part?.type !== "worksheet") return;
      const { name = "", state = "visible" } = attributes;
      if (sheets.length >= maxSheets) throw toBroken(`it has more than ${maxSheets} sheets`);
      sheets.push({ name, part: part.target, isHidden: state !== "visible" });
    },
  });
  if (sheets.length === 0) throw toBroken("it has no sheet");
  return sheets;
}

/** What a part refers to; empty: the whole workbook. */
async function readRelationships(workbook: WorkbookPackage, source: string): Promise<Relationship[]> {
  const { dir, base } = posix.parse(source);
  const found: Relationship[] = [];
  await readPart(workbook, posix.join(dir, "_rels", `${base}.rels`), {
    open(name, { Id = "", Type = "", Target = "", TargetMode = "" }) {
      if (name !== "Relationship" || TargetMode === "External") return;
      const type = Type.slice(Type.lastIndexOf("/") + 1);
      found.push({ id: Id, type, target: posix.resolve("/", dir, Target).slice(1) });
    },
  });
  return found;
}

async function readPart(
  workbook: WorkbookPackage,
  part: string,
  handlers: Pick<XmlHandlers, "open">,
): Promise<void> {
  const xml = createXmlReader(part, { text: () => {}, close: () => {}, ...handlers });
  for await (const piece of workbook.read(part, maxBytes)) xml.write(piece);
  xml.end();
}
