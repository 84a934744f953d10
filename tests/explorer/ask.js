// @ts-check
/** node ask.js request.json answer: one question of answers.js, its numbers in double precision. */

import { readFileSync, writeFileSync } from "node:fs";
import { answers } from "./answers.js";

const [request, out] = process.argv.slice(2);
writeFileSync(
  out,
  new Uint8Array((await answers(JSON.parse(readFileSync(request, "utf8")))).buffer),
);
