import { useEffect, useRef, useState } from "preact/hooks";
import { goTo, toHash } from "../data/hash-route.ts";
import { uploadBatch } from "../data/upload.ts";
import { useLive } from "../data/use-data.ts";
import { DropZone } from "../parts/drop-zone.tsx";
import { InstanceField, SelectField, TextField } from "../parts/fields.tsx";
import { Panel } from "../parts/page.tsx";
import { Problem } from "../parts/problem.tsx";
import { useToasts } from "../parts/toasts.tsx";
import { formatNumber, formatShare } from "../words/format.ts";
import { texts } from "../words/texts.ts";

const words = texts.batches;

/** Makes a batch of a file: it is sent while the bar grows, and then followed. */
export function NewBatch({ instanceId }: { readonly instanceId: string }) {
  const { instances } = useLive();
  const toasts = useToasts();
  const [file, setFile] = useState<File>();
  const [chosen, setChosen] = useState(instanceId);
  const [label, setLabel] = useState("");
  const [priority, setPriority] = useState("1");
  const [country, setCountry] = useState("");
  const [share, setShare] = useState<number>();
  const [error, setError] = useState<unknown>();
  const stopped = useRef(new AbortController());
  useEffect(() => () => stopped.current.abort(), []);
  const instance = chosen || (instances.keys().next().value ?? "");

  async function send(event: Event): Promise<void> {
    event.preventDefault();
    if (!file) return;
    stopped.current = new AbortController();
    setError(undefined);
    setShare(0);
    try {
      const batch = await uploadBatch({
        file,
        query: {
          instanceId: instance,
          label: label.trim() || file.name.slice(0, 200),
          priority,
          defaultCountry: country.trim().toUpperCase(),
        },
        onProgress: setShare,
        signal: stopped.current.signal,
      });
      toasts.say(words.accepted(formatNumber(batch.counts.accepted), formatNumber(batch.counts.rejected)));
      goTo(toHash(["batches", batch.id]));
    } catch (cause) {
      if (!stopped.current.signal.aborted) setError(cause);
    } finally {
      setShare(undefined);
    }
  }

  return (
    <Panel title={words.upload}>
      <form class="form body" onSubmit={(event) => void send(event)}>
        <DropZone file={file} onFile={setFile} />
        {file && (
          <>
            <div class="pair">
              <InstanceField value={instance} onValue={setChosen} />
              <TextField
                name="label"
                label={words.label}
                value={label}
                placeholder={file.name}
                onValue={setLabel}
              />
              <SelectField name="priority" label={words.priority} value={priority} onValue={setPriority}>
                {words.priorities.map((name, value) => (
                  <option key={name} value={String(value)}>
                    {name}
                  </option>
                ))}
              </SelectField>
              <TextField
                name="country"
                label={words.country}
                hint={words.countryHint}
                value={country}
                onValue={setCountry}
              />
            </div>
            <Problem error={error} />
            {share !== undefined && (
              <label class="field">
                {share < 1 ? words.sending(formatShare(share)) : words.reading}
                <progress max={1} value={share} />
              </label>
            )}
            <div class="actions">
              <button class="primary" type="submit" disabled={share !== undefined || instance === ""}>
                {words.start}
              </button>
              {share !== undefined && (
                <button type="button" onClick={() => stopped.current.abort()}>
                  {texts.common.cancel}
                </button>
              )}
            </div>
          </>
        )}
      </form>
    </Panel>
  );
}
