// Holds answers against the schemas that the SDK's types come from. On stdin: [[schema, answer], …]; on stdout: a list
// of what is wrong, as "schema: path: message".
import * as schemas from "@insforge/shared-schemas";

let text = "";
for await (const chunk of process.stdin) text += chunk;

const wrong = JSON.parse(text).flatMap(([schema, answer]) => {
  const issues = schemas[schema].safeParse(answer).error?.issues ?? [];
  return issues.map(({ path, message }) => `${schema}: ${path.join(".")}: ${message}`);
});
console.log(JSON.stringify(wrong));
