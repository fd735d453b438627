const longest = 255; // a file name's limit on Linux (NAME_MAX), and within LOGIN_NAME_MAX

/** Why this name can't be an account, login and directory name; null when it can. */
export function nameProblem(name: string): { text: string; hint: string } | null {
  const rename = "Rename the file: A-Z a-z 0-9 . _ - are allowed, starting with a letter, a digit or _.";
  if (name === "all")
    return {
      text: '"all" stands for every repository, so no account can have this name.',
      hint: "Rename the file.",
    };
  if (/^[0-9]+$/.test(name))
    return { text: "A name of digits alone would be taken for a numeric id.", hint: rename };
  if (/^[.-]/.test(name))
    return { text: "The name starts with a character that names may not start with.", hint: rename };
  if (!/^[A-Za-z0-9._-]+$/.test(name))
    return { text: "The name has a character that names may not have.", hint: rename };
  if (name.length > longest) return { text: `The name is longer than ${longest} bytes.`, hint: rename };
  return null;
}
