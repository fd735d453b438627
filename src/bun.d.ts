/** The parts of Bun that the program uses. */

declare module "bun" {
  /** A file that is opened when it is used. */
  interface BunFile {
    /** In bytes; 0 for none, infinite for what has no end, such as a FIFO. */
    size: number;
  }
  export const stdout: BunFile;
  export const stderr: BunFile;
  export function file(path: string): BunFile;
  export function write(file: BunFile, text: string): Promise<number>;
}

declare module "bun:ffi" {
  export function dlopen(
    library: string,
    functions: { alarm: { args: ["u32"]; returns: "u32" } },
  ): { symbols: { alarm(seconds: number): number } };
  type OfId = { args: readonly ["u32"]; returns: "i32" };
  export function dlopen(
    library: string,
    functions: { setegid: OfId; seteuid: OfId },
  ): { symbols: Record<"setegid" | "seteuid", (id: number) => number> };
}

declare namespace NodeJS {
  interface Process {
    getBuiltinModule(name: "bun:ffi"): typeof import("bun:ffi");
  }
}

declare module "bun:sqlite" {
  type Value = string | number | null;

  export class Database {
    constructor(file: string, options: { readonly: boolean } | { create: boolean });
    exec(sql: string): void;
    prepare<Row = never>(sql: string): Statement<Row>;
    close(): void;
  }

  interface Statement<Row> {
    run(...values: Value[]): void;
    get(...values: Value[]): Row | null | undefined;
    all(...values: Value[]): Row[];
  }
}
