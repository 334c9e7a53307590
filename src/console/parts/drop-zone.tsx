import { useRef, useState } from "preact/hooks";
import { texts } from "../words/texts.ts";
import { Icon } from "./icons.tsx";

const words = texts.batches;

/** A place where a file is dropped, or chosen by keyboard. */
export function DropZone({
  file,
  onFile,
}: {
  readonly file: File | undefined;
  readonly onFile: (file: File) => void;
}) {
  const [isOver, setIsOver] = useState(false);
  const input = useRef<HTMLInputElement>(null);

  function take(files: FileList | null | undefined): void {
    const [first] = files ?? [];
    if (first) onFile(first);
  }

  return (
    <div
      class={`drop${isOver ? " over" : ""}`}
      onDragOver={(event) => {
        event.preventDefault();
        setIsOver(true);
      }}
      onDragLeave={() => setIsOver(false)}
      onDrop={(event) => {
        event.preventDefault();
        setIsOver(false);
        take(event.dataTransfer?.files);
      }}
    >
      <Icon name="upload" />
      <strong>{file ? file.name : words.drop}</strong>
      <input
        id="file"
        ref={input}
        type="file"
        accept=".csv,.tsv,.txt,.ndjson,.jsonl,.json,.vcf,.xlsx,.gz"
        onChange={() => take(input.current?.files)}
      />
      <label for="file" class="button">
        {file ? words.chooseOther : words.choose}
      </label>
      <span class="small muted">{words.dropHint}</span>
    </div>
  );
}
