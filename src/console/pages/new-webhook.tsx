import { useState } from "preact/hooks";
import type { AddedWebhook, NewWebhook as Wish, Webhook } from "../../client/wire.ts";
import { call } from "../data/api.ts";
import { Dialog } from "../parts/confirm.tsx";
import { InstanceField, TextField } from "../parts/fields.tsx";
import { Problem } from "../parts/problem.tsx";
import { texts } from "../words/texts.ts";

const words = texts.webhooks;
type Type = Webhook["types"][number];
const types = Object.keys(words.types) as Type[];

/** Asks where events are sent, and which. */
export function NewWebhook({
  onClose,
  onAdded,
}: {
  readonly onClose: () => void;
  readonly onAdded: (added: AddedWebhook) => void;
}) {
  const [url, setUrl] = useState("");
  const [label, setLabel] = useState("");
  const [chosen, setChosen] = useState<ReadonlySet<Type>>(new Set(types));
  const [instance, setInstance] = useState("");
  const [isWorking, setIsWorking] = useState(false);
  const [error, setError] = useState<unknown>();

  async function add(event: Event): Promise<void> {
    event.preventDefault();
    setError(undefined);
    setIsWorking(true);
    const body: Wish = {
      url: url.trim(),
      label: label.trim() || null,
      types: [...chosen],
      instanceIds: instance === "" ? null : [instance],
    };
    try {
      onAdded(await call<AddedWebhook>("POST", "v1/webhooks", { body }));
    } catch (cause) {
      setError(cause);
      setIsWorking(false);
    }
  }

  function toggle(type: Type): void {
    const changed = new Set(chosen);
    if (!changed.delete(type)) changed.add(type);
    setChosen(changed);
  }

  return (
    <Dialog title={words.add} onClose={onClose}>
      <form class="form" onSubmit={(event) => void add(event)}>
        <TextField
          name="url"
          type="url"
          isRequired
          label={words.url}
          hint={words.urlHint}
          value={url}
          onValue={setUrl}
        />
        <div class="pair">
          <TextField name="label" label={words.label} value={label} onValue={setLabel} />
          <InstanceField value={instance} onValue={setInstance} all={texts.common.all} />
        </div>
        <fieldset>
          <legend>{words.columns.types}</legend>
          {types.map((type) => (
            <label key={type} class="check">
              <input type="checkbox" checked={chosen.has(type)} onChange={() => toggle(type)} />
              <span>
                <strong>{type}</strong> <span class="muted">{words.types[type]}</span>
              </span>
            </label>
          ))}
        </fieldset>
        <Problem error={error} />
        <div class="actions">
          <button type="button" onClick={onClose}>
            {texts.common.cancel}
          </button>
          <button class="primary" type="submit" disabled={chosen.size === 0 || isWorking}>
            {words.add}
          </button>
        </div>
      </form>
    </Dialog>
  );
}
