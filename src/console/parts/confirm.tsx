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
  useEffect(() => {
    const before = document.activeElement;
    dialog.current?.showModal();
    return () => void setTimeout(() => giveFocus(before));
  }, []);
  return (
    <dialog ref={dialog} aria-label={title} onClose={onClose}>
      <div class="form">
        <h2>{title}</h2>
        {children}
      </div>
    </dialog>
  );
}

/** Gives the focus back to what had it, or to the page where that is gone; it stays where it is by now, if anywhere. */
function giveFocus(before: Element | null): void {
  if (document.activeElement !== document.body) return;
  const next = before?.isConnected ? before : document.getElementById("content");
  if (next instanceof HTMLElement) next.focus();
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
  const opener = useRef<HTMLButtonElement>(null);
  // What was confirmed may take the button away, with the focus on it.
  useEffect(
    () => () => {
      if (opener.current === document.activeElement) document.getElementById("content")?.focus();
    },
    [],
  );

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
      <button ref={opener} type="button" class={isDanger ? "danger" : ""} onClick={() => setIsOpen(true)}>
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
