import { strToU8, zipSync } from "fflate";

/** A cell: a text, a number as Excel writes it, or its XML, where `{r}` is its reference. */
export type Cell = string | number | { readonly xml: string } | null;

export interface SheetInput {
  readonly name: string;
  readonly rows: readonly (readonly Cell[])[];
  readonly state?: "hidden" | "veryHidden";
  /** In place of the rows. */
  readonly xml?: string;
}

const main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
const relations = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
const packageRelations = "http://schemas.openxmlformats.org/package/2006/relationships";
const declaration = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n';

/** The parts of an Excel workbook by their names, its texts shared as Excel shares them. */
export function toWorkbookParts(sheets: readonly SheetInput[]): Record<string, string> {
  const shared: string[] = [];
  const parts = sheets.map((sheet) => sheet.xml ?? toSheetXml(sheet.rows, shared));
  return {
    "[Content_Types].xml": `${declaration}<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="xml" ContentType="application/xml"/><Override PartName="/xl/workbook.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/></Types>`,
    "_rels/.rels": toRelations([["r1", "officeDocument", "xl/workbook.xml"]]),
    "xl/workbook.xml": `${declaration}<workbook xmlns="${main}" xmlns:r="${relations}"><sheets>${sheets
      .map(
        ({ name, state }, index) =>
          `<sheet name="${escape(name)}" sheetId="${index + 1}"${state === undefined ? "" : ` state="${state}"`} r:id="s${index + 1}"/>`,
      )
      .join("")}</sheets></workbook>`,
    "xl/_rels/workbook.xml.rels": toRelations([
      ...sheets.map((_, index): Relation => [
        `s${index + 1}`,
        "worksheet",
        `worksheets/sheet${index + 1}.xml`,
      ]),
      ["strings", "sharedStrings", "/xl/sharedStrings.xml"],
    ]),
    "xl/sharedStrings.xml": `${declaration}<sst xmlns="${main}">${shared.map((text) => `<si><t xml:space="preserve">${escape(text)}</t></si>`).join("")}</sst>`,
    ...Object.fromEntries(parts.map((xml, index) => [`xl/worksheets/sheet${index + 1}.xml`, xml])),
  };
}

/** A workbook as a file. */
export function toWorkbook(...sheets: SheetInput[]): Buffer {
  return zipParts(toWorkbookParts(sheets));
}

/** An archive of these parts, in their order; at level 0 nothing is packed. */
export function zipParts(parts: Readonly<Record<string, string | Uint8Array>>, level: 0 | 6 = 6): Buffer {
  const entries = Object.entries(parts).map(([name, part]): [string, Uint8Array] => [
    name,
    typeof part === "string" ? strToU8(part) : part,
  ]);
  return Buffer.from(zipSync(Object.fromEntries(entries), { level }));
}

/** A sheet with this XML as its rows. */
export function toSheetPart(rows: string): string {
  return `${declaration}<worksheet xmlns="${main}"><sheetData>${rows}</sheetData></worksheet>`;
}

function toSheetXml(rows: SheetInput["rows"], shared: string[]): string {
  return toSheetPart(
    rows
      .map((cells, row) => {
        const xml = cells.map((cell, column) => toCellXml(cell, `${toLetters(column)}${row + 1}`, shared));
        return xml.join("") === "" ? "" : `<row r="${row + 1}">${xml.join("")}</row>`;
      })
      .join(""),
  );
}

function toCellXml(cell: Cell, reference: string, shared: string[]): string {
  if (cell === null) return "";
  if (typeof cell === "number") return `<c r="${reference}"><v>${cell}</v></c>`;
  if (typeof cell === "object") return cell.xml.replace("{r}", `r="${reference}"`);
  if (!shared.includes(cell)) shared.push(cell);
  return `<c r="${reference}" t="s"><v>${shared.indexOf(cell)}</v></c>`;
}

function toLetters(column: number): string {
  const rest = Math.floor(column / 26);
  return `${rest === 0 ? "" : toLetters(rest - 1)}${String.fromCharCode(65 + (column % 26))}`;
}

type Relation = [id: string, type: string, target: string];

function toRelations(items: readonly Relation[]): string {
  const rows = items.map(
    ([id, type, target]) => `<Relationship Id="${id}" Type="${relations}/${type}" Target="${target}"/>`,
  );
  return `${declaration}<Relationships xmlns="${packageRelations}">${rows.join("")}</Relationships>`;
}

function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
}
