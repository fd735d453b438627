/** The parts of Bun that the program uses. */

declare module "bun" {
  /** A file that is opened when it is used. */
  interface BunFile {
    /** In bytes; 0 for none, infinite for what has no end, such as a FIFO. */
    size: number;
    text(): Promise<string>;
  }
  export const stdout: BunFile;
  export const stderr: BunFile;
  export function file(path: string): BunFile;
  export function write(file: BunFile, text: string): Promise<number>;
}

declare module "bun:ffi" {
  type Pointer = number & { readonly pointer: unique symbol };

  export function dlopen(
    library: string,
    functions: { setitimer: { args: ["i32", "ptr", "ptr"]; returns: "i32" } },
  ): { symbols: { setitimer(clock: number, timer: Pointer, old: null): number } };
  /** The address of an array's content. */
  export function ptr(array: BigInt64Array): Pointer;
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
