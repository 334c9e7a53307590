import { CallError, send, toUrl } from "./api.ts";

/**
 * Has the browser keep an answer as a file. It is read to its end first: what is cut short is an error, and leaves no half a file.
 * @param path as of `call`
 * @throws CallError
 */
export async function download(
  path: string,
  options: {
    readonly name: string;
    readonly query?: Readonly<Record<string, string | undefined>>;
    readonly headers?: Readonly<Record<string, string>>;
  },
): Promise<void> {
  const bytes = await read(await send("GET", toUrl(path, options.query), { headers: options.headers ?? {} }));
  const link = document.createElement("a");
  link.href = URL.createObjectURL(bytes);
  link.download = options.name;
  link.click();
  // The browser has begun to keep it by then, or never will.
  setTimeout(() => URL.revokeObjectURL(link.href), keptMs);
}

async function read(response: Response): Promise<Blob> {
  try {
    return await response.blob();
  } catch {
    throw new CallError(0, "no-answer", "");
  }
}

const keptMs = 60_000;
