/**
 * What a look at a contact brings that was last looked at `days` ago and changes `rate` times a day: for how many days, in the
 * mean, the stored avatar will be right that would otherwise be wrong (Azar, Horvitz, Lubetzky, Peres, Shahaf, PNAS 2018). It
 * grows with the days, up to 1 / rate.
 */
export function worthOfLook(rate: number, days: number): number {
  const expected = rate * days;
  // For small ones the difference below has no digits left: half of its square is its series' first term.
  if (expected < 1e-5) return (rate * days * days) / 2;
  return (1 - Math.exp(-expected) * (1 + expected)) / rate;
}
