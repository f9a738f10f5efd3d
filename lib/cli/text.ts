// Text for people: wrapped to a width, and without anything that a terminal would obey.

/** Names of files and devices may hold anything, escape sequences too. */
export function printable(text: string): string {
  return text.replaceAll(/\p{C}/gu, '?');
}

/** Lines of at most `width` characters, but for words that are longer; at least one line. */
export function wrap(text: string, width: number): readonly string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}
