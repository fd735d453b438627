/** The path of an entry whose name has a byte a character (latin1), also where that is not UTF-8. */
export function pathOf(folder: string, name: string): string | Buffer {
  return isAscii(name)
    ? `${folder}/${name}`
    : Buffer.concat([Buffer.from(`${folder}/`), Buffer.from(name, "latin1")]);
}

const isAscii = (text: string) => /^[\0-\x7f]*$/.test(text);
