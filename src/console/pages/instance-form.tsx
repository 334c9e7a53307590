import { useState } from "preact/hooks";
import type { Instance as InstanceSettings, InstanceChanges } from "../../client/wire.ts";
import { call } from "../data/api.ts";
import type { InstanceStatus } from "../data/live.ts";
import { CareFields, type CareDraft } from "../parts/care-fields.tsx";
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

type Draft = Readonly<Record<Numbers | "label", string>> & CareDraft;

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
  const change = (changed: Partial<Draft>) => setDraft((before) => ({ ...before, ...changed }));

  async function save(event: Event): Promise<void> {
    event.preventDefault();
    setIsSaving(true);
    setError(undefined);
    try {
      const body = toChanges(draft, toDraft(settings));
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
        <TextField
          name="label"
          label={words.label}
          value={draft.label}
          onValue={(label) => change({ label })}
        />
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
              onValue={(value) => change({ [name]: value })}
            />
          ))}
        </div>
        <CareFields draft={draft} onChange={change} />
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
    callsPerDay: settings.callsPerDay === null ? "" : String(settings.callsPerDay),
    quietHours: settings.quietHours ?? "",
    timeZone: settings.timeZone ?? "",
    quietInteractive: settings.quietInteractive,
  };
}

/** What the form has changed: the rest may have been changed by others since it was loaded. */
function toChanges(draft: Draft, before: Draft): InstanceChanges {
  const scaled = (name: Numbers) => (draft[name].trim() === "" ? null : Number(draft[name]) / scales[name]);
  const text = (name: "label" | "quietHours" | "timeZone") => draft[name].trim() || null;
  const all: InstanceChanges = {
    label: text("label"),
    requestsPerSecond: scaled("requestsPerSecond"),
    maxInFlight: scaled("maxInFlight"),
    resyncShare: scaled("resyncShare"),
    resyncDayShare: scaled("resyncDayShare"),
    callsPerDay: draft.callsPerDay.trim() === "" ? null : Number(draft.callsPerDay),
    quietHours: text("quietHours"),
    timeZone: text("timeZone"),
    quietInteractive: draft.quietInteractive,
  };
  const isChanged = (name: string) => draft[name as keyof Draft] !== before[name as keyof Draft];
  return Object.fromEntries(Object.entries(all).filter(([name]) => isChanged(name)));
}
