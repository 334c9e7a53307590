/** A table for people, the numbers in it formatted already. Columns but the first and the last go to the right. */
export interface Table {
  readonly header: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

export function toMarkdown({ header, rows }: Table): string {
  const marks = header.map((_title, column) => (isLeft(column, header) ? "---" : "---:"));
  return [header, marks, ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

export function toText({ header, rows }: Table): string {
  const widths = header.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const toLine = (cells: readonly string[]) =>
    cells
      .map((cell, column) => {
        const width = widths[column] ?? 0;
        return isLeft(column, header) ? cell.padEnd(width) : cell.padStart(width);
      })
      .join("  ")
      .trimEnd();
  return [header, widths.map((width) => "-".repeat(width)), ...rows].map(toLine).join("\n");
}

function isLeft(column: number, header: readonly string[]): boolean {
  return column === 0 || column === header.length - 1;
}

/** A verdict on a target, as tables and texts have it. Undefined: there is no target. */
export function mark(isMet: boolean | undefined): string {
  if (isMet === undefined) return "–";
  return isMet ? "met" : "MISSED";
}
