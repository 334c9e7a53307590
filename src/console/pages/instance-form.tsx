import { useState } from "preact/hooks";
import type { Instance as InstanceSettings, InstanceChanges } from "../../client/wire.ts";
import { call } from "../data/api.ts";
import type { InstanceStatus } from "../data/live.ts";
import { TextField } from "../parts/fields.tsx";
import { Panel } from "../parts/page.tsx";
import { Problem } from "../parts/problem.tsx";
import { useToasts } from "../parts/toasts.tsx";
import { texts } from "../words/texts.ts";

const words = texts.instance;

type Numbers = "requestsPerSecond" | "maxInFlight" | "resyncShare" | "resyncDayShare";
const numbers = ["requestsPerSecond", "maxInFlight", "resyncShare", "resyncDayShare"] as const;
/** People write per cents, the API has shares of 1. */
const scales: Readonly<Record<Numbers, number>> = {
  requestsPerSecond: 1,
  maxInFlight: 1,
  resyncShare: 100,
  resyncDayShare: 100,
};

type Draft = Readonly<Record<Numbers | "label", string>>;

/** The settings of an instance that may be changed while it is worked on. An empty field is the default. */
export function InstanceForm({
  settings,
  status,
  onSaved,
}: {
  readonly settings: InstanceSettings;
  readonly status: InstanceStatus | undefined;
  readonly onSaved: () => void;
}) {
  const toasts = useToasts();
  const [draft, setDraft] = useState(() => toDraft(settings));
  const [error, setError] = useState<unknown>();
  const [isSaving, setIsSaving] = useState(false);
  const set = (name: keyof Draft) => (value: string) => setDraft((before) => ({ ...before, [name]: value }));

  async function save(event: Event): Promise<void> {
    event.preventDefault();
    setIsSaving(true);
    setError(undefined);
    try {
      const body = toChanges(draft);
      await call("PATCH", `v1/instances/${encodeURIComponent(settings.id)}`, { body });
      toasts.say(texts.common.saved);
      onSaved();
    } catch (cause) {
      setError(cause);
    } finally {
      setIsSaving(false);
    }
  }

  const hints: Readonly<Record<Numbers, string>> = {
    requestsPerSecond: words.rateHint,
    maxInFlight: words.inFlightHint,
    resyncShare: words.shareHint,
    resyncDayShare: words.dayShareHint,
  };
  return (
    <Panel title={words.settings}>
      <form class="form body" onSubmit={(event) => void save(event)}>
        <TextField name="label" label={words.label} value={draft.label} onValue={set("label")} />
        <div class="pair">
          {numbers.map((name) => (
            <TextField
              key={name}
              name={name}
              label={words.fields[name]}
              hint={hints[name]}
              type="number"
              inputMode="decimal"
              placeholder={
                name === "requestsPerSecond" && status
                  ? String(status.requestsPerSecond)
                  : texts.common.defaultValue
              }
              value={draft[name]}
              onValue={set(name)}
            />
          ))}
        </div>
        <Problem error={error} />
        <div class="actions">
          <button class="primary" type="submit" disabled={isSaving}>
            {texts.common.save}
          </button>
        </div>
      </form>
    </Panel>
  );
}

function toDraft(settings: InstanceSettings): Draft {
  const text = (name: Numbers) => {
    const value = settings[name];
    return value === null ? "" : String(Number((value * scales[name]).toFixed(2)));
  };
  return {
    label: settings.label ?? "",
    requestsPerSecond: text("requestsPerSecond"),
    maxInFlight: text("maxInFlight"),
    resyncShare: text("resyncShare"),
    resyncDayShare: text("resyncDayShare"),
  };
}

function toChanges(draft: Draft): InstanceChanges {
  const value = (name: Numbers) => (draft[name].trim() === "" ? null : Number(draft[name]) / scales[name]);
  return {
    label: draft.label.trim() === "" ? null : draft.label.trim(),
    requestsPerSecond: value("requestsPerSecond"),
    maxInFlight: value("maxInFlight"),
    resyncShare: value("resyncShare"),
    resyncDayShare: value("resyncDayShare"),
  };
}
