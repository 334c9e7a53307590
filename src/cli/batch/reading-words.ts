import type { Reading } from "../../domain/requests/reading.ts";
import { toCounted } from "../terminal/counted.ts";

const mostColumns = 10;

/**
 * How an input was read, for people: `read as CSV in windows-1251; numbers in "Mobile", "Work"; 3 lines gave several contacts`.
 * @param several records that gave more than one contact
 */
export function describeReading(
  { unit, format, encoding, sheet, columns, refColumn }: Reading,
  several: number,
): string {
  const names = columns.slice(0, mostColumns).map((name) => `"${name}"`);
  if (columns.length > names.length) names.push(`${columns.length - names.length} more`);
  const how = [
    "read",
    ...(format === undefined ? [] : ["as", format]),
    ...(encoding === undefined ? [] : ["in", encoding]),
    ...(sheet === undefined ? [] : [`of sheet "${sheet}"`]),
  ];
  return [
    how.join(" "),
    ...(names.length === 0 ? [] : [`numbers in ${names.join(", ")}`]),
    ...(refColumn === undefined ? [] : [`reference in "${refColumn}"`]),
    `${toCounted(several, unit)} gave several contacts`,
  ].join("; ");
}
