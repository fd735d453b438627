/** The part of Bun's foreign function interface that deadline.ts uses. */
declare module "bun:ffi" {
  export function dlopen(
    library: string,
    functions: { alarm: { args: ["u32"]; returns: "u32" } },
  ): { symbols: { alarm(seconds: number): number } };
}
