/**
 * Run by Bun, whose SQLite logins ask with: standard input has questions, [INDEX, ACCOUNT, FINGERPRINT] each, as a
 * list in JSON; standard output gets what a login is told, the grant, null or { fault }.
 */
import { lookUpGrant } from "../../../src/index/lookup.ts";

const questions: [string, string, string][] = await Bun.stdin.json();
const answers = questions.map((question) => {
  try {
    return lookUpGrant(...question);
  } catch (error) {
    return { fault: (error as Error).message };
  }
});
console.log(JSON.stringify(answers));
