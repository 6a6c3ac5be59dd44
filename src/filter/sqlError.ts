/** Why an SQL92 expression is refused, and where: lines and columns from 1, tabs to the next multiple of 8, as JavaCC counts. */
export class SqlError extends Error {
  readonly line: number;
  readonly column: number;

  /** @param offset of the character that the message is about, in UTF-16 units */
  constructor(message: string, text: string, offset: number) {
    const { line, column } = positionOf(text, offset);
    super(`${message} at line ${line}, column ${column}`);
    this.line = line;
    this.column = column;
  }
}

const TAB = 8;

/** Line and column of the character at `offset`; the end counts as the place of the last character. */
export function positionOf(text: string, offset: number): { line: number; column: number } {
  let line = 1;
  let column = 0;
  let afterCr = false;
  let afterLf = false;
  const last = Math.min(offset, text.length - 1);
  for (let i = 0; i <= last; i++) {
    const c = text[i];
    column++;
    if (afterLf || (afterCr && c !== "\n")) {
      line++;
      column = 1;
    }
    afterLf = c === "\n";
    afterCr = c === "\r";
    if (c === "\t") {
      column--;
      column += TAB - (column % TAB);
    }
  }
  return { line, column };
}
