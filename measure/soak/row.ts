/** A row of the table that scripts/soak prints. */
export interface Row {
  what: string;
  tried: number;
  refused: number;
  faults: number;
  loginsLost: number;
  bytesLost: number;
}

export function row(what: string, counts: Partial<Row>): Row {
  return { what, tried: 0, refused: 0, faults: 0, loginsLost: 0, bytesLost: 0, ...counts };
}

export function progress(text: string): void {
  process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${text}\n`);
}
