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
  type Value = number | NodeJS.TypedArray | null;

  /** Functions of a C library, called with numbers, and arrays where they take an address. */
  export function dlopen<Name extends string>(
    library: string,
    functions: Record<Name, { args: readonly ("i32" | "u32" | "u64" | "ptr")[]; returns: "i32" }>,
  ): { symbols: Record<Name, (...values: Value[]) => number> };
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
