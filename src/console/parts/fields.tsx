import type { ComponentChildren } from "preact";
import type { InstanceStatus } from "../data/live.ts";
import { useLive } from "../data/use-data.ts";
import { texts } from "../words/texts.ts";

/** A field of a form with its name, and a hint below. */
export function TextField({
  name,
  label,
  hint,
  value,
  onValue,
  type = "text",
  inputMode,
  placeholder,
  isRequired = false,
}: {
  readonly name: string;
  readonly label: string;
  readonly hint?: string;
  readonly value: string;
  readonly onValue: (value: string) => void;
  readonly type?: "text" | "number" | "search" | "url";
  readonly inputMode?: "text" | "decimal" | "numeric" | "tel";
  readonly placeholder?: string;
  readonly isRequired?: boolean;
}) {
  return (
    <label class="field">
      {label}
      <input
        name={name}
        inputMode={inputMode}
        placeholder={placeholder}
        autocomplete="off"
        required={isRequired}
        // Not for all types, says the type of each: the browser leaves out what is of no use.
        {...({ type, ...(type === "number" && { step: "any", min: 0 }) } as object)}
        value={value}
        onInput={(event) => onValue(event.currentTarget.value)}
      />
      {hint !== undefined && <span class="hint">{hint}</span>}
    </label>
  );
}

export function SelectField({
  name,
  label,
  value,
  onValue,
  children,
}: {
  readonly name: string;
  readonly label: string;
  readonly value: string;
  readonly onValue: (value: string) => void;
  /** Its options. */
  readonly children: ComponentChildren;
}) {
  return (
    <label class="field">
      {label}
      <select name={name} value={value} onChange={(event) => onValue(event.currentTarget.value)}>
        {children}
      </select>
    </label>
  );
}

function nameInstance({ label, instanceId }: Pick<InstanceStatus, "label" | "instanceId">): string {
  return label === null ? instanceId : `${label} (${instanceId})`;
}

/** The choice of one instance, or of all. */
export function InstanceField({
  value,
  onValue,
  all,
}: {
  readonly value: string;
  readonly onValue: (value: string) => void;
  /** The words for no instance in particular; undefined: one must be chosen. */
  readonly all?: string;
}) {
  const { instances } = useLive();
  return (
    <SelectField name="instance" label={texts.common.instance} value={value} onValue={onValue}>
      {all !== undefined && <option value="">{all}</option>}
      {[...instances.values()].map((status) => (
        <option key={status.instanceId} value={status.instanceId}>
          {nameInstance(status)}
        </option>
      ))}
    </SelectField>
  );
}
