/** The names that the settings of the command line, from where the messages of the intake come, have over HTTP. */
const parameters: Readonly<Record<string, string>> = {
  "--column": "the parameter column",
  "--ref-column": "the parameter refColumn",
  "--default-country": "the parameter defaultCountry",
  "--strict": "strict=true",
  "--encoding": "the parameter encoding",
  "--sheet": "the parameter sheet",
};

/** A message of the intake in the terms of the API. */
export function toApiWords(message: string): string {
  return message.replace(
    /(--(?:ref-column|column|default-country|strict|encoding|sheet))(?: NAME)?/g,
    (_, name: string) => parameters[name] ?? name,
  );
}
