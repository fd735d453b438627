import { defineConfig } from "vitest/config";

/** The unit tests that judge mutants: those that are done in a moment, because each mutant runs them again. */
export default defineConfig({
  test: {
    include: ["test/unit/**/*.test.ts"],
    exclude: [
      "test/unit/imports.test.ts", // reads the source, in which all mutants stand
      "test/unit/keys/corpus.test.ts",
      "test/unit/index/{index,lookup,rebuild,served}.test.ts", // on real SQLite files
    ],
    testTimeout: 60_000,
  },
});
