import { texts } from "../words/texts.ts";
import { TextField } from "./fields.tsx";

const words = texts.care;

/** When an instance is left alone, as people write it: an empty text is none. */
export interface CareDraft {
  readonly callsPerDay: string;
  /** `22:00-07:00`. */
  readonly quietHours: string;
  /** Of the days and the quiet hours. */
  readonly timeZone: string;
  /** A person who waits is answered in quiet hours, too. */
  readonly quietInteractive: boolean;
}

export function CareFields({
  draft,
  onChange,
}: {
  readonly draft: CareDraft;
  readonly onChange: (change: Partial<CareDraft>) => void;
}) {
  return (
    <fieldset>
      <legend>{words.title}</legend>
      <div class="pair">
        <TextField
          name="callsPerDay"
          label={words.perDay}
          hint={words.perDayHint}
          type="number"
          inputMode="numeric"
          placeholder={words.noCap}
          value={draft.callsPerDay}
          onValue={(callsPerDay) => onChange({ callsPerDay })}
        />
        <TextField
          name="quietHours"
          label={words.quiet}
          hint={words.quietHint}
          placeholder={words.noQuiet}
          value={draft.quietHours}
          onValue={(quietHours) => onChange({ quietHours })}
        />
        <TextField
          name="timeZone"
          label={words.zone}
          hint={words.zoneHint}
          placeholder="UTC"
          value={draft.timeZone}
          onValue={(timeZone) => onChange({ timeZone })}
        />
      </div>
      <label class="check">
        <input
          name="quietInteractive"
          type="checkbox"
          checked={draft.quietInteractive}
          onChange={(event) => onChange({ quietInteractive: event.currentTarget.checked })}
        />
        <span>{words.interactive}</span>
      </label>
    </fieldset>
  );
}
