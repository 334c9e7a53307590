import {
  type CountryCode,
  getCountries,
  getCountryCallingCode,
  Metadata,
  type NumberingPlan,
} from "libphonenumber-js/max";

interface CallingCodePlan {
  /** Counts of national digits that are possible in every country of this calling code. */
  readonly lengths: ReadonlySet<number>;
  /** What libphonenumber would take for a trunk prefix and might strip or rewrite. */
  readonly trunkPrefixes: readonly RegExp[];
}

// Not in the library's types, though its own parser reads it.
type FullNumberingPlan = NumberingPlan & { nationalPrefixForParsing(): string | null | undefined };

let plans: ReadonlyMap<string, CallingCodePlan> | undefined;

/**
 * True where libphonenumber would read `+digits` as a possible number and hand the same digits back.
 * False says nothing: ask the library.
 *
 * It costs a twentieth of a parse, and nearly every row of an export is of this kind. It is made of the
 * library's own metadata, and a test holds it against the library.
 */
export function isPlainInternational(digits: string): boolean {
  plans ??= readPlans();
  for (let length = 1; length <= 3; length++) {
    const plan = plans.get(digits.slice(0, length));
    if (plan === undefined) continue;
    const national = digits.slice(length);
    return plan.lengths.has(national.length) && !plan.trunkPrefixes.some((prefix) => prefix.test(national));
  }
  return false;
}

function readPlans(): Map<string, CallingCodePlan> {
  const members = new Map<string, FullNumberingPlan[]>();
  for (const country of getCountries()) {
    const code = getCountryCallingCode(country);
    members.set(code, [...(members.get(code) ?? []), readPlan(country)]);
  }
  return new Map([...members].map(([code, plans]) => [code, mergePlans(plans)]));
}

function readPlan(country: CountryCode): FullNumberingPlan {
  const metadata = new Metadata();
  metadata.selectNumberingPlan(country);
  return metadata.numberingPlan as FullNumberingPlan;
}

function mergePlans(plans: readonly FullNumberingPlan[]): CallingCodePlan {
  const prefixes = new Set(plans.map((plan) => plan.nationalPrefixForParsing()));
  const [first = [], ...others] = plans.map((plan) => plan.possibleLengths());
  return {
    lengths: new Set(first.filter((length) => others.every((lengths) => lengths.includes(length)))),
    trunkPrefixes: [...prefixes].flatMap((prefix) => (prefix ? [new RegExp(`^(?:${prefix})`)] : [])),
  };
}
