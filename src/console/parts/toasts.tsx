import { createContext } from "preact";
import { useCallback, useContext, useMemo, useRef, useState } from "preact/hooks";
import type { ComponentChildren } from "preact";
import { toWords } from "./problem.tsx";

interface Toast {
  readonly id: number;
  readonly text: string;
  readonly isBad: boolean;
}

interface Toasts {
  say(text: string): void;
  /** Says why something did not work. */
  complain(error: unknown): void;
}

const ToastContext = createContext<Toasts>({ say: () => undefined, complain: () => undefined });
const shownMs = 8_000;

/** Short words on what was just done, read out by screen readers. */
export function ToastArea({ children }: { readonly children: ComponentChildren }) {
  const [toasts, setToasts] = useState<readonly Toast[]>([]);
  const next = useRef(0);
  const add = useCallback((text: string, isBad: boolean) => {
    const id = (next.current += 1);
    setToasts((all) => [...all.slice(-3), { id, text, isBad }]);
    setTimeout(() => setToasts((all) => all.filter((toast) => toast.id !== id)), shownMs);
  }, []);
  const value = useMemo(
    () => ({
      say: (text: string) => add(text, false),
      complain: (error: unknown) => add(toWords(error), true),
    }),
    [add],
  );
  return (
    <ToastContext.Provider value={value}>
      {children}
      <div class="toasts" role="status" aria-live="polite">
        {toasts.map(({ id, text, isBad }) => (
          <p key={id} class={`toast${isBad ? " bad" : ""}`}>
            {text}
          </p>
        ))}
      </div>
    </ToastContext.Provider>
  );
}

export function useToasts(): Toasts {
  return useContext(ToastContext);
}
