import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { texts } from "../words/texts.ts";
import { Problem } from "./problem.tsx";

/** A dialog on top of the page: the browser keeps the focus in it, and Escape closes it. */
export function Dialog({
  title,
  onClose,
  children,
}: {
  readonly title: string;
  readonly onClose: () => void;
  readonly children: ComponentChildren;
}) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} aria-label={title} onClose={onClose}>
      <div class="form">
        <h2>{title}</h2>
        {children}
      </div>
    </dialog>
  );
}

/** A button that asks before it does what cannot be undone. */
export function Confirmed({
  label,
  question,
  isDanger = false,
  onConfirm,
}: {
  readonly label: string;
  readonly question: string;
  readonly isDanger?: boolean;
  /** What it rejects with is told in the dialog. */
  readonly onConfirm: () => Promise<void>;
}) {
  const [isOpen, setIsOpen] = useState(false);
  const [isWorking, setIsWorking] = useState(false);
  const [error, setError] = useState<unknown>();

  async function confirm(): Promise<void> {
    setIsWorking(true);
    setError(undefined);
    try {
      await onConfirm();
      setIsOpen(false);
    } catch (cause) {
      setError(cause);
    } finally {
      setIsWorking(false);
    }
  }

  return (
    <>
      <button type="button" class={isDanger ? "danger" : ""} onClick={() => setIsOpen(true)}>
        {label}
      </button>
      {isOpen && (
        <Dialog title={label} onClose={() => setIsOpen(false)}>
          <p>{question}</p>
          <Problem error={error} />
          <div class="actions">
            <button type="button" onClick={() => setIsOpen(false)}>
              {texts.common.cancel}
            </button>
            <button
              type="button"
              class={isDanger ? "danger" : "primary"}
              disabled={isWorking}
              onClick={() => void confirm()}
            >
              {label}
            </button>
          </div>
        </Dialog>
      )}
    </>
  );
}
