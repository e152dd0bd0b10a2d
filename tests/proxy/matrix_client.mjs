// The official client of the TypeScript SDK: does what it is told, and writes down what it heard.
//
//     node matrix_client.mjs JOBS.json
import { createRequire } from "node:module";
import { readFileSync, writeFileSync } from "node:fs";

const jobs = JSON.parse(readFileSync(process.argv[2], "utf8"));
const require = createRequire(jobs.npm + "/");
const { Client, StreamableHTTPClientTransport } = require("@modelcontextprotocol/client");
const { StdioClientTransport } = require("@modelcontextprotocol/client/stdio");

async function heard(work) {
  try {
    return await work();
  } catch (error) {
    return { failed: error.code ?? error.name };
  }
}

async function run(job) {
  const answers = Object.entries(job.answers ?? {});  // the questions that it answers, and how
  const client = new Client(
    { name: "matrix", version: "1" },
    { versionNegotiation: { mode: job.mode }, capabilities: job.capabilities ?? {} },
  );
  for (const [method, answer] of answers) client.setRequestHandler(method, async () => answer);
  const road = job.url
    ? new StreamableHTTPClientTransport(new URL(job.url), {
        requestInit: { headers: job.token ? { authorization: `Bearer ${job.token}` } : {} },
      })
    : new StdioClientTransport({ command: job.command, args: job.args, env: job.env, stderr: "ignore" });
  await client.connect(road);
  const can = client.getServerCapabilities();
  const found = { tools: await heard(() => client.listTools()) };
  if (can.resources) {
    found.resources = await heard(() => client.listResources());
    found.templates = await heard(() => client.listResourceTemplates());
  }
  if (can.prompts) found.prompts = await heard(() => client.listPrompts());
  found.calls = [];
  for (const [name, args] of job.calls)
    found.calls.push(await heard(() => client.callTool({ name, arguments: args })));
  for (const uri of job.reads) found[uri] = await heard(() => client.readResource({ uri }));
  for (const [name, args] of job.prompts)
    found[name] = await heard(() => client.getPrompt({ name, arguments: args }));
  await client.close();
  return found;
}

const results = {};
for (const job of jobs.jobs) results[job.name] = await run(job);
writeFileSync(jobs.out, JSON.stringify(results));
process.exit(0);
