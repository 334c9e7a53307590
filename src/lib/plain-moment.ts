/** The ends of what ISO 8601 writes with four digits, and what every client can read. */
export const firstMoment = new Date("0001-01-01T00:00:00.000Z");
export const lastMoment = new Date("9999-12-31T23:59:59.999Z");

/** The moment, or the nearest one of the years 1 to 9999; of a date that is none the last. */
export function toPlainMoment(date: Date): Date {
  const time = date.getTime();
  if (time < firstMoment.getTime()) return firstMoment;
  return time <= lastMoment.getTime() ? date : lastMoment;
}
