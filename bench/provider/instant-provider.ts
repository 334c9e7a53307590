// A provider that answers getAvatar at once and costs as little as it can, as a program of its own: node instant-provider.js
// It knows of HTTP/1.1 what these benchmarks send: requests with a content-length. `GET /calls` tells how many it has had.
import { createServer, type Socket } from "node:net";
import { createAnswers } from "./answers.ts";

const answers = createAnswers(Date.now());
const headersEnd = "\r\n\r\n";
const lengthPattern = /\r\ncontent-length: *(\d+)/i;
const chatPattern = /"chatId" *: *"(\d+)@/;
let calls = 0;

/** The body of the answer to one request. */
function answer(head: string, body: string): string {
  if (head.startsWith("GET ")) return String(calls);
  calls += 1;
  const [, digits = ""] = chatPattern.exec(body) ?? [];
  return answers.toBody(digits);
}

/** Answers all requests that are whole, in one write. Returns what is left of the text. */
function serve(socket: Socket, text: string): string {
  let from = 0;
  let out = "";
  for (;;) {
    const end = text.indexOf(headersEnd, from);
    if (end < 0) break;
    const head = text.slice(from, end);
    const bodyFrom = end + headersEnd.length;
    const bodyEnd = bodyFrom + Number(lengthPattern.exec(head)?.[1] ?? 0);
    if (bodyEnd > text.length) break;
    const body = answer(head, text.slice(bodyFrom, bodyEnd));
    out += `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
    from = bodyEnd;
  }
  if (out !== "") socket.write(out, "latin1");
  return text.slice(from);
}

const server = createServer({ noDelay: true }, (socket) => {
  let rest = "";
  socket.setEncoding("latin1");
  socket.on("data", (chunk: string) => (rest = serve(socket, rest + chunk)));
  socket.on("error", () => socket.destroy());
});
server.listen(0, "127.0.0.1", () => {
  const address = server.address();
  if (address !== null && typeof address !== "string") console.log(`http://127.0.0.1:${address.port}`);
});
