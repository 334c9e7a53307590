import { z } from "zod";

/** The environment's variable of each setting. */
const variables = z.registry<{ readonly name: string }>();

/** A setting: what is read from a variable of the environment. `kind` is its alone. */
export function setting<Kind extends z.ZodType>(name: string, kind: Kind): Kind {
  variables.add(kind, { name });
  return kind;
}

type Part = z.core.$ZodType;

/** Each setting in it, in the order of the schema, with what it is when its variable is not set. */
export function listSettings(part: Part): readonly { readonly name: string; readonly fallback: unknown }[] {
  if (part instanceof z.ZodObject) return Object.values<Part>(part.shape).flatMap(listSettings);
  return [{ name: toName(part), fallback: z.safeParse(part, undefined).data }];
}

/** What the schema parses: the variables' texts, each in the place of its setting. */
export function toTree(part: Part, env: NodeJS.ProcessEnv): unknown {
  if (!(part instanceof z.ZodObject)) return env[toName(part)];
  return Object.fromEntries(
    Object.entries<Part>(part.shape).map(([key, inner]) => [key, toTree(inner, env)]),
  );
}

/** The variable of the setting at a path of `toTree`'s answer. */
export function findVariable(part: Part | undefined, [key, ...rest]: readonly PropertyKey[]): string {
  if (!(part instanceof z.ZodObject) || key === undefined) return toName(part);
  return findVariable((part.shape as Record<PropertyKey, Part>)[key], rest);
}

/** @throws TypeError for a part of a schema that is neither an object nor a setting */
function toName(part: Part | undefined): string {
  const { name } = (part && variables.get(part)) ?? {};
  if (name === undefined) throw new TypeError("a setting without a variable");
  return name;
}
