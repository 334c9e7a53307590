import { useContext, useState } from "preact/hooks";
import type { ApiKey, MadeApiKey, NewApiKey } from "../../client/wire.ts";
import { call } from "../data/api.ts";
import { OwnKeyContext } from "../data/own-key.ts";
import { Dialog } from "../parts/confirm.tsx";
import { InstanceField, SelectField, TextField } from "../parts/fields.tsx";
import { Problem } from "../parts/problem.tsx";
import { formatDay } from "../words/format.ts";
import { texts } from "../words/texts.ts";

const words = texts.keys;
type Scope = ApiKey["scopes"][number];

/** Asks what a new key may do; it can have no right that the own one has not. */
export function NewKey({
  onClose,
  onMade,
}: {
  readonly onClose: () => void;
  readonly onMade: (made: MadeApiKey) => void;
}) {
  const own = useContext(OwnKeyContext);
  const [label, setLabel] = useState("");
  const [scopes, setScopes] = useState<ReadonlySet<Scope>>(new Set(["read"]));
  const [instance, setInstance] = useState("");
  const lives = toLives(own?.expiresAt ?? null, Date.now());
  const [chosen, setChosen] = useState<string>();
  const days = chosen ?? lives[0]?.[0] ?? "";
  const [error, setError] = useState<unknown>();

  async function add(event: Event): Promise<void> {
    event.preventDefault();
    setError(undefined);
    const body: NewApiKey = {
      label: label.trim() || null,
      scopes: [...scopes],
      instanceIds: instance === "" ? null : [instance],
      expiresInDays: toDays(days, own?.expiresAt ?? null, Date.now()),
    };
    try {
      onMade(await call<MadeApiKey>("POST", "v1/keys", { body }));
    } catch (cause) {
      setError(cause);
    }
  }

  function toggle(scope: Scope): void {
    const changed = new Set(scopes);
    if (!changed.delete(scope)) changed.add(scope);
    setScopes(changed);
  }

  return (
    <Dialog title={words.add} onClose={onClose}>
      <form class="form" onSubmit={(event) => void add(event)}>
        <TextField name="label" label={words.label} hint={words.labelHint} value={label} onValue={setLabel} />
        <fieldset>
          <legend>{words.columns.scopes}</legend>
          {own?.scopes.map((scope) => (
            <label key={scope} class="check">
              <input type="checkbox" checked={scopes.has(scope)} onChange={() => toggle(scope)} />
              <span>
                <strong>{scope}</strong> <span class="muted">{words.scopes[scope]}</span>
              </span>
            </label>
          ))}
        </fieldset>
        <div class="pair">
          <InstanceField value={instance} onValue={setInstance} all={texts.common.all} />
          <SelectField name="days" label={words.columns.expires} value={days} onValue={setChosen}>
            {lives.map(([value, name]) => (
              <option key={value} value={value}>
                {name}
              </option>
            ))}
          </SelectField>
        </div>
        <Problem error={error} />
        <div class="actions">
          <button type="button" onClick={onClose}>
            {texts.common.cancel}
          </button>
          <button class="primary" type="submit" disabled={scopes.size === 0}>
            {words.add}
          </button>
        </div>
      </form>
    </Dialog>
  );
}

const dayMs = 86_400_000;
/** As long as the key of the session lives. */
const asOwn = "own";

/** The lives that a key may have, with their names: none is longer than that of the key that makes it. */
function toLives(ownEnd: string | null, nowMs: number): (readonly [string, string])[] {
  if (ownEnd === null) return [["", words.never], ...words.lives];
  const leftMs = new Date(ownEnd).getTime() - nowMs;
  return [
    [asOwn, words.asOwn(formatDay(ownEnd))],
    ...words.lives.filter(([days]) => Number(days) * dayMs < leftMs),
  ];
}

/** Whole hundredths of days, a little less than the life that is left: the request takes its time, too. */
function toDays(chosen: string, ownEnd: string | null, nowMs: number): number | null {
  if (chosen !== asOwn || ownEnd === null) return chosen === "" ? null : Number(chosen);
  const left = (new Date(ownEnd).getTime() - nowMs - spareMs) / dayMs;
  return Math.max(0.01, Math.floor(left * 100) / 100);
}

const spareMs = 60_000;
