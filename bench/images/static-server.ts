// Serves one folder by @fastify/static, to compare with: node static-server.js FOLDER
import fastifyStatic from "@fastify/static";
import fastify from "fastify";

const root = process.argv[2];
if (root === undefined) throw new Error("which folder?");
const app = fastify();
await app.register(fastifyStatic, { root, serve: true });
console.log(await app.listen({ host: "127.0.0.1", port: 0 }));
